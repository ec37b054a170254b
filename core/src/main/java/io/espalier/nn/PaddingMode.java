package io.espalier.nn;

import java.util.Locale;

/** What a convolution sees beyond the edge of its input. */
public enum PaddingMode {
    /** Zeros. */
    ZEROS,
    /** The input mirrored at its edge, the edge itself once. */
    REFLECT,
    /** The edge again and again. */
    REPLICATE,
    /** The other side of the input. */
    CIRCULAR;

    /** The name that PyTorch uses, such as {@code reflect}. */
    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}

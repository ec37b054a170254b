package io.espalier.compress;

import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * How a model's weights are stored, its parameters of two and more dimensions; all else is stored
 * as it is. Integers stand for 32-bit floats alone, shared values for 16-bit floats too.
 *
 * @param bits 8 or 4 for integers with a scale for each index of the first dimension; 0 for the
 *     weights as they are
 * @param shared from 1 to 8 for up to {@code 2^shared} different values of each weight besides 0; 0
 *     for the weights as they are
 */
public record Compression(int bits, int shared) {
    static final Compression LOSSLESS = new Compression(0, 0);

    /** Checks that it is one way. */
    public Compression {
        if (bits != 0 && bits != 4 && bits != 8) {
            throw new EspalierException(
                    "Weights are stored in 8 or 4 bits; asked for " + bits + ".");
        }
        if (shared < 0 || shared > 8) {
            throw new EspalierException(
                    "Weights share values of 1 to 8 bits; asked for " + shared + ".");
        }
        if (bits != 0 && shared != 0) {
            throw new EspalierException(
                    "Weights are stored as integers or share values, not both.");
        }
    }

    /** Whether it says something else of weights of this type than to store them as they are. */
    public boolean changes(ScalarType type) {
        return switch (type) {
            case Float -> bits != 0 || shared != 0;
            case Half, BFloat16 -> shared != 0;
            default -> false;
        };
    }

    /** Weights as integers of 8 or 4 bits, which are read back as integer times scale. */
    public Compression bits(int number) {
        return new Compression(number, shared);
    }

    /** Weights of up to {@code 2^bits} different values, found by k-means. */
    public Compression shared(int number) {
        return new Compression(bits, number);
    }
}

package io.espalier.nn;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;

import org.bytedeco.pytorch.Tensor;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;

/**
 * Makes the spatial dimensions larger (or smaller) by repeating or interpolating: [N, C, L] or [N,
 * C, H, W].
 */
public final class Upsample extends Module {
    private final List<Long> size;
    private final List<Double> scale;
    private final Options options;

    /** How the values between two elements are found. */
    public enum Mode {
        /** The nearest element's. */
        NEAREST,
        /** On the line between two; for [N, C, L]. */
        LINEAR,
        /** On the surface between four; for [N, C, H, W]. */
        BILINEAR,
        /** On a cubic surface through sixteen; for [N, C, H, W]. */
        BICUBIC;

        /** The name that PyTorch uses, such as {@code bilinear}. */
        @Override
        public String toString() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /**
     * How an upsampling differs from the plain one.
     *
     * @param mode how values are found
     * @param alignCorners whether the corners' centres stay in place; only for interpolating modes
     */
    public record Options(Mode mode, boolean alignCorners) {
        /** PyTorch's defaults: the nearest element. */
        public static final Options DEFAULT = new Options(Mode.NEAREST, false);

        /** The same with another mode. */
        public Options mode(Mode value) {
            return new Options(Needed.of(value, "the mode"), alignCorners);
        }

        /** The same with or without the corners kept in place. */
        public Options alignCorners(boolean value) {
            return new Options(mode, value);
        }
    }

    private Upsample(List<Long> size, List<Double> scale, UnaryOperator<Options> with) {
        this.size = size;
        this.scale = scale;
        this.options = Needed.from(with, Options.DEFAULT, "the options");
        if (options.alignCorners && options.mode == Mode.NEAREST) {
            throw new EspalierException(
                    "align_corners has no meaning for the nearest element; set another mode.");
        }
    }

    /** To a size: one number for all dimensions, or one for each. */
    public static Upsample toSize(long... size) {
        return toSize(size, options -> options);
    }

    /**
     * To a size, with other options such as {@code o -> o.mode(BILINEAR)}.
     *
     * @throws EspalierException if a number is out of range
     */
    public static Upsample toSize(long[] size, UnaryOperator<Options> with) {
        for (long value : Needed.of(size, "the size")) {
            Extents.requireAtLeast("size", value, 1);
        }
        return new Upsample(Extents.of(size), List.of(), with);
    }

    /** By a factor: one for all dimensions, or one for each. */
    public static Upsample byFactor(double... factor) {
        return byFactor(factor, options -> options);
    }

    /**
     * By a factor, with other options.
     *
     * @throws EspalierException if a factor is not positive
     */
    public static Upsample byFactor(double[] factor, UnaryOperator<Options> with) {
        for (double value : Needed.of(factor, "the factors")) {
            if (!(value > 0) || Double.isInfinite(value)) {
                throw new EspalierException(
                        "scale_factor must be positive; asked for " + value + ".");
            }
        }
        return new Upsample(List.of(), Arrays.stream(factor).boxed().toList(), with);
    }

    /** How values are found. */
    public Mode mode() {
        return options.mode;
    }

    @Override
    protected Tensor forward(Tensor x) {
        int rank = Math.toIntExact(x.dim()) - 2;
        boolean fits =
                switch (options.mode) {
                    case NEAREST -> rank == 1 || rank == 2;
                    case LINEAR -> rank == 1;
                    case BILINEAR, BICUBIC -> rank == 2;
                };
        int given = size.size() + scale.size();
        if (!fits || (given != 1 && given != rank)) {
            throw wrongInput(
                    x,
                    switch (options.mode) {
                                case NEAREST -> "[N, C, L] or [N, C, H, W] is needed";
                                case LINEAR -> "[N, C, L] is needed";
                                case BILINEAR, BICUBIC -> "[N, C, H, W] is needed";
                            }
                            + ", and one number, or one for each dimension.");
        }
        double[] factors = new double[scale.isEmpty() ? 0 : rank];
        long[] output = new long[rank];
        for (int d = 0; d < rank; d++) {
            if (scale.isEmpty()) {
                output[d] = size.get(size.size() == 1 ? 0 : d);
            } else {
                factors[d] = scale.get(scale.size() == 1 ? 0 : d);
                output[d] = (long) Math.floor(x.size(d + 2) * factors[d]);
            }
        }
        for (long extent : output) {
            if (extent < 1) {
                throw wrongInput(
                        x,
                        "the output would have the size "
                                + Arrays.toString(output)
                                + "; each must be 1 or more.");
            }
        }
        return rank == 1 && x.is_quantized()
                ? alongOneOfTwo(x, output, factors)
                : Functional.interpolate(x, output, factors, options.mode, options.alignCorners);
    }

    /**
     * Kernels for quantized tensors know two spatial dimensions; a second of one changes nothing.
     */
    private Tensor alongOneOfTwo(Tensor x, long[] output, double[] factors) {
        Mode mode = options.mode == Mode.LINEAR ? Mode.BILINEAR : options.mode;
        double[] both = factors.length == 0 ? factors : new double[] {1, factors[0]};
        long[] size = {1, output[0]};
        return Functional.interpolate(x.unsqueeze(2), size, both, mode, options.alignCorners)
                .squeeze(2);
    }

    @Override
    protected String extraRepr() {
        return (scale.isEmpty()
                        ? "size=" + Repr.numberOrTuple(size)
                        : "scale_factor=" + factorText())
                + ", mode='"
                + options.mode
                + "'";
    }

    private String factorText() {
        return scale.size() == 1
                ? Repr.of(scale.getFirst())
                : scale.stream().map(Repr::of).collect(Collectors.joining(", ", "(", ")"));
    }
}

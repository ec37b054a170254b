package io.espalier.conformance;

import io.espalier.conformance.Draws.Kind;
import io.espalier.conformance.PlainRounding.Step;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

import java.util.stream.IntStream;

/** PyTorch's rounding to integers a second time, as plain loops, on values full of ties. */
@DisplayName("Rounding, derived anew in plain loops,")
class RederivedRoundingTest {
    private static final int CASES = 150;

    static IntStream seeds() {
        return IntStream.range(0, CASES);
    }

    /** The integers of a type. */
    private record Integers(String dtype, ScalarType stored, int min, int max) {
        static final Integers[] ALL = {
            new Integers("qint8", ScalarType.Char, -128, 127),
            new Integers("quint8", ScalarType.Byte, 0, 255),
            new Integers("qint32", ScalarType.Int, Integer.MIN_VALUE, Integer.MAX_VALUE)
        };

        int zeroPoint(Draws draws) {
            return draws.random.nextInt(Math.max(min, -200), Math.min(max, 300) + 1);
        }
    }

    @ParameterizedTest(name = "tensor {0}")
    @DisplayName("gives the same integers and floats with one scale")
    @MethodSource("seeds")
    void quantizePerTensor(int seed) {
        var draws = new Draws(seed);
        Integers integers = draws.of(Integers.ALL);
        double scale = scale(draws);
        var step = new Step((float) scale, integers.zeroPoint(draws));
        long[] shape = shape(draws);
        float[] x = values(draws, Draws.size(shape), step, integers.min, integers.max);
        long[] wanted = new long[x.length];
        float[] back = new float[x.length];
        for (int i = 0; i < x.length; i++) {
            wanted[i] = step.integer(x[i], integers.min, integers.max);
            back[i] = step.real(wanted[i]);
        }

        new CaseWriter("per_tensor")
                .param("scale", scale)
                .param("zero_point", step.zeroPoint())
                .param("dtype", integers.dtype)
                .input("x", draws.tensor(x, shape))
                .expect("int_repr", Tensors.of(wanted, shape).to(integers.stored))
                .expect("dequantized", Tensors.of(back, shape))
                .passes(new QuantizeGroup());
    }

    @ParameterizedTest(name = "channels {0}")
    @DisplayName("gives the same integers and floats with a scale for each channel")
    @MethodSource("seeds")
    void quantizePerChannel(int seed) {
        var draws = new Draws(seed);
        Integers integers = draws.of(Integers.ALL);
        long[] shape = draws.shape(1, 5);
        int axis = draws.random.nextInt(shape.length);
        Step[] steps = steps(draws, (int) shape[axis], integers);
        float[] x = values(draws, Draws.size(shape), steps[0], integers.min, integers.max);
        long[] wanted = new long[x.length];
        float[] back = new float[x.length];
        for (int i = 0; i < x.length; i++) {
            Step step = steps[Draws.channel(i, shape, axis)];
            wanted[i] = step.integer(x[i], integers.min, integers.max);
            back[i] = step.real(wanted[i]);
        }

        new CaseWriter("per_channel")
                .param("axis", axis)
                .param("dtype", integers.dtype)
                .input("x", draws.tensor(x, shape))
                .input("scale", scales(steps).to(draws.of(ScalarType.Double, ScalarType.Float)))
                .input("zero_point", zeroPoints(steps))
                .expect("int_repr", Tensors.of(wanted, shape).to(integers.stored))
                .expect("dequantized", Tensors.of(back, shape))
                .passes(new QuantizeGroup());
    }

    /** Integers in use, some of more bits than any type has. */
    private static Integers range(Draws draws) {
        return draws.of(
                new Integers("", ScalarType.Int, -8, 7),
                new Integers("", ScalarType.Int, -128, 127),
                new Integers("", ScalarType.Int, -127, 127),
                new Integers("", ScalarType.Int, 0, 255),
                new Integers("", ScalarType.Int, 0, 127),
                new Integers("", ScalarType.Int, 0, 15),
                new Integers("", ScalarType.Int, -1, 1),
                new Integers("", ScalarType.Int, 0, 65535));
    }

    @ParameterizedTest(name = "fake, tensor {0}")
    @DisplayName("gives the same values and gradients of fake quantization with one scale")
    @MethodSource("seeds")
    void fakePerTensor(int seed) {
        var draws = new Draws(seed);
        Integers range = range(draws);
        double scale = scale(draws);
        var step = new Step((float) scale, draws.random.nextInt(range.min, range.max + 1));
        long[] shape = shape(draws);
        fake(new CaseWriter("per_tensor"), draws, range, shape, 0, new Step[] {step})
                .param("scale", scale)
                .param("zero_point", step.zeroPoint())
                .passes(new FakeQuantGroup());
    }

    @ParameterizedTest(name = "fake, channels {0}")
    @DisplayName("gives the same values and gradients of fake quantization per channel")
    @MethodSource("seeds")
    void fakePerChannel(int seed) {
        var draws = new Draws(seed);
        Integers range = range(draws);
        long[] shape = draws.shape(1, 5);
        int axis = draws.random.nextInt(shape.length);
        Step[] steps = steps(draws, (int) shape[axis], range);
        fake(new CaseWriter("per_channel"), draws, range, shape, axis, steps)
                .param("axis", axis)
                .input("scale", scales(steps))
                .input("zero_point", zeroPoints(steps).to(ScalarType.Int))
                .passes(new FakeQuantGroup());
    }

    private static CaseWriter fake(
            CaseWriter written, Draws draws, Integers range, long[] shape, int axis, Step[] steps) {
        float[] x = values(draws, Draws.size(shape), steps[0], range.min, range.max);
        float[] gradient = draws.normal(x.length, 1);
        float[] y = new float[x.length];
        float[] passed = new float[x.length];
        for (int i = 0; i < x.length; i++) {
            Step step = steps[steps.length == 1 ? 0 : Draws.channel(i, shape, axis)];
            y[i] = step.rounded(x[i], range.min, range.max);
            passed[i] = step.isInside(x[i], range.min, range.max) ? gradient[i] : 0;
        }
        return written.param("quant_min", range.min)
                .param("quant_max", range.max)
                .input("x", draws.tensor(x, shape))
                .input("grad_out", draws.tensor(gradient, shape))
                .expect("y", Tensors.of(y, shape))
                .expect("grad", Tensors.of(passed, shape));
    }

    // ---- random cases

    /** Any number of dimensions, none included, and now and then no elements. */
    private static long[] shape(Draws draws) {
        long[] shape = draws.shape(0, 5);
        if (shape.length > 0 && draws.random.nextInt(12) == 0) {
            shape[draws.random.nextInt(shape.length)] = 0;
        }
        return shape;
    }

    private static double scale(Draws draws) {
        return switch (draws.random.nextInt(4)) {
            case 0 -> draws.of(0.25, 0.5, 1.0, 0.125);
            case 1 -> Math.exp(-12 * draws.random.nextDouble());
            default -> 0.01 + 0.3 * draws.random.nextDouble();
        };
    }

    private static Step[] steps(Draws draws, int count, Integers integers) {
        return IntStream.range(0, count)
                .mapToObj(c -> new Step((float) scale(draws), integers.zeroPoint(draws)))
                .toArray(Step[]::new);
    }

    /**
     * Halves between two integers, values around the ends of the range, and all else, up to 10⁹
     * steps: past 2³¹ libtorch's vectorized kernel wraps around, and so does PyTorch.
     */
    private static float[] values(Draws draws, int count, Step step, int min, int max) {
        float[] x = draws.values(draws.of(Kind.values()), count);
        for (int i = 0; i < count; i++) {
            x[i] =
                    switch (draws.random.nextInt(5)) {
                        case 0 -> (draws.random.nextInt(-20, 20) + 0.5f) * step.scale();
                        case 1 ->
                                (max - step.zeroPoint() + draws.of(-0.5f, 0.5f, 0f, 3f))
                                        * step.scale();
                        case 2 ->
                                (min - step.zeroPoint() + draws.of(-0.5f, 0.5f, 0f, -3f))
                                        * step.scale();
                        default -> Math.clamp(x[i], -1e9f * step.scale(), 1e9f * step.scale());
                    };
        }
        return x;
    }

    static Tensor scales(Step[] steps) {
        float[] scales = new float[steps.length];
        for (int c = 0; c < scales.length; c++) {
            scales[c] = steps[c].scale();
        }
        return Tensors.of(scales, scales.length);
    }

    static Tensor zeroPoints(Step[] steps) {
        return Tensors.of(
                IntStream.range(0, steps.length).mapToLong(c -> steps[c].zeroPoint()).toArray(),
                steps.length);
    }
}

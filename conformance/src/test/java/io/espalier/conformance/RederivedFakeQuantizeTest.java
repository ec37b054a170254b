package io.espalier.conformance;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.espalier.conformance.Draws.Kind;
import io.espalier.conformance.PlainRounding.Step;
import io.espalier.quant.observer.MovingAverageMinMaxObserver;
import io.espalier.quant.observer.MovingAveragePerChannelMinMaxObserver;
import io.espalier.quant.observer.ObserverSettings;
import io.espalier.quant.observer.Qscheme;
import io.espalier.quant.observer.QuantizedType;
import io.espalier.quant.qat.FusedMovingAvgObsFakeQuantize;
import io.espalier.quant.qat.LearnableFakeQuantize;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/** Fake quantization that follows its data or learns, a second time, as plain loops. */
@DisplayName("Fake quantization, derived anew in plain loops,")
class RederivedFakeQuantizeTest {
    private static final int CASES = 100;

    static IntStream seeds() {
        return IntStream.range(0, CASES);
    }

    @ParameterizedTest(name = "fused {0}")
    @DisplayName("with a moving average gives the same values, scales and zero points")
    @MethodSource("seeds")
    void movingAverage(int seed) {
        var draws = new Draws(seed);
        boolean channels = draws.random.nextBoolean();
        boolean unsigned = draws.random.nextBoolean();
        boolean reduce = !(channels && unsigned) && draws.random.nextBoolean();
        int low = unsigned ? 0 : draws.of(-128, -127, -8);
        int high = unsigned ? draws.of(255, 127, 15) : draws.of(127, 7);
        double average = draws.of(0.01, 0.1, 0.5, 1.0);
        long[] shape = draws.shape(channels ? 2 : 1, 5);
        var following =
                new PlainFakeQuantize(
                        new PlainObserver(channels ? (int) shape[0] : 1),
                        channels,
                        reduce ? Math.floorDiv(low, 2) : low,
                        reduce ? Math.floorDiv(high, 2) : high,
                        average);
        Kind kind = draws.of(Kind.values());
        List<Tensor> batches = new ArrayList<>();
        List<Tensor> ys = new ArrayList<>();
        List<Tensor> scales = new ArrayList<>();
        List<Tensor> zeroPoints = new ArrayList<>();
        for (int n = draws.random.nextInt(1, 6); n > 0; n--) {
            float[] x = draws.values(kind, Draws.size(shape));
            following.see(x, shape);
            Step[] steps = following.steps();
            batches.add(draws.tensor(x, shape));
            ys.add(Tensors.of(following.rounded(x, shape), shape));
            scales.add(RederivedRoundingTest.scales(steps));
            zeroPoints.add(RederivedRoundingTest.zeroPoints(steps));
        }

        new CaseWriter("fused_moving_average")
                .param("per_channel", channels)
                .param("quant_min", low)
                .param("quant_max", high)
                .param("dtype", unsigned ? "quint8" : "qint8")
                .param("averaging_constant", average)
                .param("reduce_range", reduce)
                .input("batches", batches)
                .expect("y", ys)
                .expect("scale", scales)
                .expect("zero_point", zeroPoints)
                .passes(new FakeQuantGroup());
    }

    @ParameterizedTest(name = "switched {0}")
    @DisplayName("with its switches thrown between batches rounds by the range seen so far")
    @MethodSource("seeds")
    void switched(int seed) {
        var draws = new Draws(seed);
        boolean channels = draws.random.nextBoolean();
        boolean symmetric = draws.random.nextBoolean();
        boolean unsigned = draws.random.nextBoolean();
        long[] shape = draws.shape(2, 4);
        var following =
                new PlainFakeQuantize(
                        new PlainObserver(channels ? (int) shape[0] : 1),
                        symmetric,
                        unsigned ? 0 : -128,
                        unsigned ? 255 : 127,
                        0.3);
        var fake = new FusedMovingAvgObsFakeQuantize(settings(channels, symmetric, unsigned));
        boolean observing = true;
        boolean rounding = true;
        var story = new StringBuilder();
        for (int batch = 0; batch < 6; batch++) {
            float[] x = draws.normal(Draws.size(shape), 1 + batch);
            if (observing) {
                following.see(x, shape);
            }
            float[] wanted = rounding ? following.rounded(x, shape) : x;
            story.append(observing ? " seen" : " unseen").append(rounding ? "" : " unrounded");

            float[] y = Tensors.floats(fake.call(Tensors.of(x, shape)));

            assertArrayEquals(wanted, y, 1e-6f, () -> Arrays.toString(shape) + story);
            observing = draws.random.nextBoolean();
            rounding = draws.random.nextBoolean();
            fake.enableObserver(observing);
            fake.enableFakeQuant(rounding);
        }
    }

    private static io.espalier.quant.observer.Observer settings(
            boolean channels, boolean symmetric, boolean unsigned) {
        ObserverSettings settings =
                channels
                        ? MovingAveragePerChannelMinMaxObserver.with(0.3)
                                .qscheme(
                                        symmetric
                                                ? Qscheme.PER_CHANNEL_SYMMETRIC
                                                : Qscheme.PER_CHANNEL_AFFINE)
                        : MovingAverageMinMaxObserver.with(0.3)
                                .qscheme(
                                        symmetric
                                                ? Qscheme.PER_TENSOR_SYMMETRIC
                                                : Qscheme.PER_TENSOR_AFFINE);
        return settings.dtype(unsigned ? QuantizedType.QUINT8 : QuantizedType.QINT8).make();
    }

    @ParameterizedTest(name = "learned {0}")
    @DisplayName("with learned steps gives the same gradients of input, scale and zero point")
    @MethodSource("seeds")
    void learned(int seed) {
        var draws = new Draws(seed);
        boolean channels = draws.random.nextBoolean();
        boolean symmetric = draws.random.nextBoolean();
        boolean unsigned = !symmetric && draws.random.nextBoolean();
        int min = unsigned ? 0 : -128;
        int max = unsigned ? 255 : 127;
        long[] shape = draws.shape(2, 4);
        int count = channels ? (int) shape[0] : 1;
        var fake = new LearnableFakeQuantize(settings(channels, symmetric, unsigned));
        fake.initialize(Tensors.ones(shape));
        float[] scales = draws.uniform(count, 0.002, 0.03);
        float[] positions = draws.uniform(count, min - 5, max + 5);
        try (var guard = new NoGradGuard()) {
            fake.parameter("scale").copy_(Tensors.of(scales));
            fake.parameter("zero_point").copy_(Tensors.of(positions));
        }
        float[] values = draws.normal(Draws.size(shape), 2);
        float[] gradient = draws.normal(values.length, 1);
        float pace = (float) (1 / Math.sqrt((double) values.length * max));
        float[] y = new float[values.length];
        float[] ofX = new float[values.length];
        double[] ofScale = new double[count];
        double[] ofPosition = new double[count];
        for (int i = 0; i < values.length; i++) {
            int c = channels ? Draws.channel(i, shape, 0) : 0;
            float position = symmetric ? 0 : positions[c];
            y[i] =
                    new Step(scales[c], (int) Math.rint(Math.clamp(position, min, max)))
                            .rounded(values[i], min, max);
            // PyTorch's gradient with one scale adds a half and cuts, also below zero.
            double cut = channels ? Math.rint(position) : position + 0.5f;
            var step = new Step(scales[c], (int) Math.clamp(cut, min, max));
            boolean inside = step.isInside(values[i], min, max);
            float clamped = step.rounded(values[i], min, max);
            ofX[i] = inside ? gradient[i] : 0;
            ofPosition[c] -= inside ? 0 : gradient[i] * scales[c] * pace;
            ofScale[c] +=
                    gradient[i]
                            * pace
                            * (inside
                                    ? (clamped - values[i]) / scales[c]
                                    : step.nearest(values[i]) < min
                                            ? min - step.zeroPoint()
                                            : max - step.zeroPoint());
        }

        Tensor x = Tensors.of(values, shape).set_requires_grad(true);
        Tensor came = fake.call(x);
        came.mul(Tensors.of(gradient, shape)).sum().backward();

        assertArrayEquals(y, Tensors.floats(came.detach()), 1e-6f);
        assertArrayEquals(ofX, Tensors.floats(x.grad()), 1e-6f);
        assertArrayEquals(
                PlainDynamic.floats(ofScale),
                Tensors.floats(fake.parameter("scale").grad()),
                1e-3f);
        assertArrayEquals(
                PlainDynamic.floats(ofPosition),
                Tensors.floats(fake.parameter("zero_point").grad()),
                1e-5f);
        assertEquals(ScalarType.Float, Tensors.type(came));
    }
}

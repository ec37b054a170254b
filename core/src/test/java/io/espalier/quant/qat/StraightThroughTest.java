package io.espalier.quant.qat;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.quant.observer.MovingAverageMinMaxObserver;
import io.espalier.quant.observer.MovingAveragePerChannelMinMaxObserver;
import io.espalier.quant.observer.Observer;
import io.espalier.quant.observer.Qscheme;
import io.espalier.quant.observer.QuantizedType;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@DisplayName("Rounding with a straight-through gradient")
class StraightThroughTest {
    private static Tensor leaf(long seed) {
        Libtorch.seed(seed);
        return Tensors.randn(20_000).mul(new Scalar(3.0)).set_requires_grad(true);
    }

    @ParameterizedTest
    @CsvSource({
        "0, 255, 0.021, 128",
        "0, 127, 0.0473, 61",
        "0, 255, 0.0117, 0",
        "-128, 127, 0.0301, 0",
        "-8, 7, 0.41, 0",
        "0, 15, 0.33, 7"
    })
    @DisplayName("is libtorch's fake quantization, bit for bit, and its gradient")
    void equalsLibtorch(long quantMin, long quantMax, float scale, long zeroPoint) {
        Tensor x = leaf(1);
        Tensor other = leaf(1);
        Tensor expected =
                torch.fake_quantize_per_tensor_affine(x, scale, zeroPoint, quantMin, quantMax);
        Tensor actual = StraightThrough.round(other, scale, zeroPoint, quantMin, quantMax);

        expected.mul(expected).sum().backward();
        actual.mul(actual).sum().backward();

        assertTrue(expected.equal(actual));
        assertTrue(x.grad().equal(other.grad()));
    }

    @ParameterizedTest
    @CsvSource({"0, 255, 0.021, 128", "-8, 7, 0.41, 0", "0, 15, 0.33, 7", "-127, 127, 0.0301, 0"})
    @DisplayName("begins to clamp at the float where libtorch begins")
    void clampsWhereLibtorchDoes(long quantMin, long quantMax, float scale, long zeroPoint) {
        float[] around = new float[2000];
        float low = (quantMin - zeroPoint - 0.5f) * scale;
        float high = (quantMax - zeroPoint + 0.5f) * scale;
        for (int i = 0; i < around.length / 2; i++) {
            around[2 * i] = low + (i - 500) * Math.ulp(low);
            around[2 * i + 1] = high + (i - 500) * Math.ulp(high);
        }
        Tensor x = Tensors.of(around).set_requires_grad(true);
        Tensor other = Tensors.of(around).set_requires_grad(true);
        Tensor expected =
                torch.fake_quantize_per_tensor_affine(x, scale, zeroPoint, quantMin, quantMax);
        Tensor actual = StraightThrough.round(other, scale, zeroPoint, quantMin, quantMax);

        expected.sum().backward();
        actual.sum().backward();

        assertTrue(expected.equal(actual));
        float differing = x.grad().sub(other.grad()).abs().sum().item_float();
        assertTrue(differing <= 2, "the very last float at either end, not " + differing);
    }

    @ParameterizedTest
    @CsvSource({"-128, 127, 0", "-127, 127, 0", "-8, 7, 0", "0, 255, 128"})
    @DisplayName("is libtorch's fake quantization of channels, bit for bit, and its gradient")
    void equalsLibtorchPerChannel(long quantMin, long quantMax, long zeroPoint) {
        Tensor x = leaf(2).detach().view(20, 10, 10, 10).set_requires_grad(true);
        Tensor other = x.detach().clone().set_requires_grad(true);
        Tensor scales = Tensors.rand(20).add(new Scalar(0.5)).mul(new Scalar(4.0 / quantMax));
        Tensor zeroPoints = torch.full(new long[] {20}, new Scalar(zeroPoint)).to(ScalarType.Int);
        Tensor expected =
                torch.fake_quantize_per_channel_affine(
                        x, scales, zeroPoints, 0, quantMin, quantMax);
        Tensor actual = StraightThrough.round(other, scales, zeroPoint, quantMin, quantMax);

        expected.mul(expected).sum().backward();
        actual.mul(actual).sum().backward();

        assertTrue(expected.equal(actual));
        assertFalse(actual.signbit().logical_and(actual.eq(new Scalar(0))).any().item_bool());
        assertTrue(other.grad().eq(new Scalar(0)).any().item_bool(), "something is clamped");
        assertTrue(torch.allclose(x.grad(), other.grad(), 1e-6, 0, false));
    }

    @ParameterizedTest
    @CsvSource({"-128, 127, 4-D", "-127, 127, 4-D", "-128, 127, 2-D"})
    @DisplayName("follows the same averages of channels as libtorch's fused operator")
    void followsTheSameChannels(int quantMin, int quantMax, String shape) {
        Tensor on = torch.ones(1).to(ScalarType.Long);
        Tensor min = torch.full(new long[] {20}, new Scalar(Float.POSITIVE_INFINITY));
        Tensor max = torch.full(new long[] {20}, new Scalar(Float.NEGATIVE_INFINITY));
        Tensor scale = torch.ones(20);
        Tensor zero = torch.zeros(20).to(ScalarType.Int);
        Observer fake =
                FusedMovingAvgObsFakeQuantize.with(
                                MovingAveragePerChannelMinMaxObserver.with()
                                        .dtype(QuantizedType.QINT8)
                                        .quantRange(quantMin, quantMax)
                                        .qscheme(Qscheme.PER_CHANNEL_SYMMETRIC))
                        .make();

        for (int i = 0; i < 5; i++) {
            Tensor x = leaf(i).detach().view(20, 1000);
            x.select(0, 3).abs_();
            x.select(0, 7).abs_().neg_(); // libtorch gives it a zero point of its own
            x = shape.equals("2-D") ? x : x.view(20, 10, 10, 10);
            Tensor expected =
                    torch.fused_moving_avg_obs_fake_quant(
                            x, on, on, min, max, scale, zero, 0.01, quantMin, quantMax, 0, true,
                            true);
            assertTrue(expected.equal(fake.call(x)));
        }
        assertTrue(scale.equal(fake.buffer("scale")));
        assertTrue(min.equal(((FakeQuantize) fake).observer().buffer("min_val")));
        assertTrue(max.equal(((FakeQuantize) fake).observer().buffer("max_val")));
    }

    @ParameterizedTest
    @CsvSource({"0, 127, false", "0, 255, false", "0, 255, true", "-128, 127, true"})
    @DisplayName("follows the same moving average as libtorch's fused operator")
    void followsTheSameRange(int quantMin, int quantMax, boolean symmetric) {
        Tensor on = torch.ones(1).to(ScalarType.Long);
        Tensor min = torch.full(new long[] {1}, new Scalar(Float.POSITIVE_INFINITY)).squeeze();
        Tensor max = torch.full(new long[] {1}, new Scalar(Float.NEGATIVE_INFINITY)).squeeze();
        Tensor scale = torch.ones(1);
        Tensor zero = torch.zeros(1).to(ScalarType.Long);
        var fake = fake(quantMin, quantMax, symmetric);

        for (int i = 0; i < 5; i++) {
            Tensor x = leaf(i);
            Tensor expected =
                    torch.fused_moving_avg_obs_fake_quant(
                            x, on, on, min, max, scale, zero, 0.01, quantMin, quantMax, -1, false,
                            symmetric);
            assertTrue(expected.equal(fake.call(x)));
        }
        assertEquals(scale.item_float(), fake.buffer("scale").item_float());
        assertEquals(zero.item_long(), fake.buffer("zero_point").item_long());
    }

    private static Observer fake(int quantMin, int quantMax, boolean symmetric) {
        return FusedMovingAvgObsFakeQuantize.with(
                        MovingAverageMinMaxObserver.with()
                                .dtype(quantMin < 0 ? QuantizedType.QINT8 : QuantizedType.QUINT8)
                                .quantRange(quantMin, quantMax)
                                .qscheme(
                                        symmetric
                                                ? Qscheme.PER_TENSOR_SYMMETRIC
                                                : Qscheme.PER_TENSOR_AFFINE))
                .make();
    }
}

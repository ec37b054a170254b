package io.espalier.quant.qat;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.quant.observer.MovingAverageMinMaxObserver;
import io.espalier.quant.observer.Observer;
import io.espalier.quant.observer.Qscheme;
import io.espalier.quant.observer.QuantizedType;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
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
    @CsvSource({"0, 127, false", "0, 255, false", "0, 255, true", "-128, 127, true"})
    @DisplayName("follows the same moving average as libtorch's fused operator")
    void followsTheSameRange(int quantMin, int quantMax, boolean symmetric) {
        Tensor on = torch.ones(1).to(torch.ScalarType.Long);
        Tensor min = torch.full(new long[] {1}, new Scalar(Float.POSITIVE_INFINITY)).squeeze();
        Tensor max = torch.full(new long[] {1}, new Scalar(Float.NEGATIVE_INFINITY)).squeeze();
        Tensor scale = torch.ones(1);
        Tensor zero = torch.zeros(1).to(torch.ScalarType.Long);
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

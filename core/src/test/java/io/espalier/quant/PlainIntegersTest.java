package io.espalier.quant;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.quant.observer.Observer;
import io.espalier.quant.observer.PerChannelMinMaxObserver;
import io.espalier.quant.observer.Qscheme;
import io.espalier.quant.observer.QuantizationParameters;
import io.espalier.quant.observer.QuantizedType;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class PlainIntegersTest {
    @Test
    @DisplayName("Quantizing gives plain integers, dequantizing the floats they stand for")
    void plainIntegers() {
        Tensor x = Tensors.of(-1f, -0.05f, 0f, 0.24f, 9f);
        var parameters = QuantizationParameters.perTensor(0.1f, 10, QuantizedType.QUINT8, 0, 255);
        Tensor integers = parameters.quantize(x);
        assertArrayEquals(new long[] {0, 10, 10, 12, 100}, Tensors.longs(integers));
        assertArrayEquals(
                new float[] {-1f, 0f, 0f, 0.2f, 9f},
                Tensors.floats(parameters.dequantize(integers)),
                1e-6f);
        var perChannel =
                new QuantizationParameters(
                        new float[] {1, 1},
                        new int[] {0, 0},
                        0,
                        QuantizedType.QINT8,
                        Qscheme.PER_CHANNEL_SYMMETRIC,
                        -128,
                        127);
        assertTrue(
                messageOf(() -> perChannel.quantize(x))
                        .contains("that dimension must have 2 elements"));
    }

    @Test
    @DisplayName("Channels lie along any dimension, in whatever order the elements lie in memory")
    void channelsLast() {
        Tensor x = Tensors.of(new float[] {1, 2, 3, 4, 5, 6, 7, 8}, 1, 2, 2, 2);
        Tensor channelsLast = x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2);
        for (int axis = 1; axis < 4; axis++) {
            var parameters =
                    new QuantizationParameters(
                            new float[] {0.5f, 2},
                            new int[] {0, 1},
                            axis,
                            QuantizedType.QINT8,
                            Qscheme.PER_CHANNEL_AFFINE,
                            -128,
                            127);

            assertArrayEquals(
                    Tensors.longs(parameters.quantize(x)),
                    Tensors.longs(parameters.quantize(channelsLast)));
        }
    }

    @Test
    @DisplayName("Four bits are clamped to 0…15, one integer in a byte")
    void fourBits() {
        Tensor x = Tensors.of(-3f, -1f, 0f, 0.5f, 0.75f, 99f);
        var parameters = QuantizationParameters.perTensor(0.5f, 2, QuantizedType.QUINT4X2, 0, 15);
        Tensor integers = parameters.quantize(x);
        assertArrayEquals(new long[] {0, 0, 2, 3, 4, 15}, Tensors.longs(integers));
        assertArrayEquals(
                new float[] {-1, -1, 0, 0.5f, 1, 6.5f},
                Tensors.floats(parameters.dequantize(integers)));
    }

    @ParameterizedTest
    @EnumSource(names = {"QUINT8", "QUINT4X2"})
    @DisplayName(
            "Scales for rows of tables are at most a little longer, and exact with zero points")
    void shortScales(QuantizedType dtype) {
        Libtorch.seed(41);
        for (double size : new double[] {1e-3, 1, 300}) {
            Tensor x = Tensors.randn(200, 9).mul(new Scalar(size));
            QuantizationParameters plain = observed(x, dtype, Qscheme.PER_CHANNEL_AFFINE);
            QuantizationParameters rows =
                    observed(x, dtype, Qscheme.PER_CHANNEL_AFFINE_FLOAT_QPARAMS);
            float longest = dtype == QuantizedType.QUINT8 ? 1 + 0x1p-15f : 1 + 0x1p-6f;
            for (int row = 0; row < 200; row++) {
                float scale = rows.scales()[row];
                assertTrue(scale >= plain.scales()[row], "row " + row);
                assertTrue(scale <= plain.scales()[row] * longest + 0x1p-24f, "row " + row);
                float product = scale * rows.zeroPoints()[row];
                assertEquals((double) scale * rows.zeroPoints()[row], product, "row " + row);
                if (dtype == QuantizedType.QUINT4X2) {
                    assertEquals(product, Float.float16ToFloat(Float.floatToFloat16(product)));
                }
            }
        }
    }

    private static QuantizationParameters observed(Tensor x, QuantizedType dtype, Qscheme scheme) {
        Observer observer = PerChannelMinMaxObserver.with().dtype(dtype).qscheme(scheme).make();
        observer.call(x);
        return observer.quantizationParameters();
    }
}

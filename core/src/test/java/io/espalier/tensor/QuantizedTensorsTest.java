package io.espalier.tensor;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.MemoryFormat;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.List;
import java.util.Random;
import java.util.function.UnaryOperator;

class QuantizedTensorsTest {
    @BeforeEach
    void seed() {
        Libtorch.seed(2);
    }

    private static Tensor floats(List<Tensor> tensors, long dim) {
        return QuantizedTensors.cat(tensors.stream().map(Tensor::dequantize).toList(), dim);
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    @DisplayName(
            "Joining quantized tensors of any scales and zero points loses a step of the coarser"
                    + " range at most")
    void differentScales(boolean unsigned) {
        var random = new Random(7);
        ScalarType type = unsigned ? ScalarType.QUInt8 : ScalarType.QInt8;
        int least = unsigned ? 0 : -128;
        for (int i = 0; i < 50; i++) {
            List<Tensor> parts =
                    java.util.stream.IntStream.range(0, 2 + random.nextInt(2))
                            .mapToObj(part ->
                                    torch.quantize_per_tensor(
                                            Tensors.randn(2, 3, 4)
                                                    .mul(new Scalar(20 * random.nextDouble())),
                                            0.001 + 0.2 * random.nextDouble(),
                                            least + random.nextInt(256),
                                            type))
                            .toList();
            Tensor joined = QuantizedTensors.cat(parts, 1);
            float off = joined.dequantize().sub(floats(parts, 1)).abs().max().item_float();
            assertTrue(off <= joined.q_scale(), off + " of " + joined.q_scale());
            assertEquals(type, Tensors.type(joined));
        }
    }

    @ParameterizedTest
    @ValueSource(doubles = {0, -1, Double.NaN, Double.POSITIVE_INFINITY})
    @DisplayName("are made with a scale above 0, and finite")
    void scales(double scale) {
        Tensor integers = Tensors.zeros(ScalarType.Byte, 2);
        assertEquals(
                "A quantized tensor needs a scale above 0, and finite; it was given " + scale + ".",
                messageOf(() -> Tensors.quantized(integers, scale, 0)));
        assertEquals(0.5, Tensors.quantized(integers, 0.5, 0).q_scale());
    }

    @Test
    @DisplayName("Joining quantized tensors of one scale keeps their integers")
    void oneScale() {
        Tensor a = torch.quantize_per_tensor(Tensors.randn(2, 3), 0.03, 120, ScalarType.QUInt8);
        Tensor b = torch.quantize_per_tensor(Tensors.randn(2, 3), 0.03, 120, ScalarType.QUInt8);
        Tensor joined = QuantizedTensors.cat(List.of(a, b), 0);
        assertEquals(0.03, joined.q_scale());
        assertTrue(Tensors.equal(floats(List.of(a, b), 0), joined.dequantize()));
    }

    @Test
    @DisplayName("Joining quantized tensors of two types is refused, with what to do")
    void twoTypes() {
        Tensor a = torch.quantize_per_tensor(Tensors.randn(2, 3), 0.03, 120, ScalarType.QUInt8);
        Tensor b = torch.quantize_per_tensor(Tensors.randn(2, 3), 0.03, 0, ScalarType.QInt8);
        assertEquals(
                "Quantized tensors that are joined must be of one 8-bit type; these are [QUInt8,"
                        + " QInt8]. Join them in floats: dequantize() each.",
                messageOf(() -> QuantizedTensors.cat(List.of(a, b), 0)));
    }

    @ParameterizedTest
    @EnumSource(Engine.class)
    @DisplayName("Values are cut off at their places, in every layout, whatever engine is current")
    void cutsOff(Engine engine) {
        Tensor plain =
                torch.quantize_per_tensor(
                        Tensors.randn(2, 5, 4, 3).mul(new Scalar(4)), 0.09, 70, ScalarType.QUInt8);
        List<Tensor> layouts =
                List.of(
                        plain,
                        plain.contiguous(MemoryFormat.ChannelsLast),
                        plain.transpose(1, 3),
                        plain.narrow(1, 1, 3));
        List<UnaryOperator<Tensor>> functions =
                List.of(
                        x -> QuantizedTensors.bounded(x, torch::relu6),
                        x -> Operators.call("aten::relu6", "", x),
                        x -> Operators.call("aten::hardtanh", "", x, 0.0, 6.0),
                        x -> Operators.call("aten::clamp", "", x, 0.0, 6.0),
                        x -> Operators.find("aten::relu6").bind(Operator.TENSOR).call(x));
        for (Tensor x : layouts) {
            for (UnaryOperator<Tensor> function : functions) {
                Tensor actual = engine.during(() -> function.apply(x)).dequantize();
                float off = actual.sub(torch.relu6(x.dequantize())).abs().max().item_float();
                assertTrue(off <= 0.05, "off by " + off);
            }
        }
    }
}

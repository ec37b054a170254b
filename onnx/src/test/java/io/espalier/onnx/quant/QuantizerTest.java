package io.espalier.onnx.quant;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.quant.QuantizationResult.Layer;
import io.espalier.onnx.quant.matmul.RoundingMethod;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;

@DisplayName("A quantizer")
class QuantizerTest {
    @ParameterizedTest
    @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "FLOAT16")
    @DisplayName("makes a smaller model that gives nearly the same, in each mode")
    void modes(QuantizationMode mode) {
        OnnxModel model = network();

        QuantizationResult result = Quantizer.of(mode).threads(1).quantize(model, data());

        assertTrue(result.size() < 0.5, result.summary());
        assertTrue(result.drop() < 0.01, result.summary());
        assertTrue(result.table().contains("int8"), result.table());
    }

    @Test
    @DisplayName("names the runtime's own operators only where it calls one")
    void domains() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, 8, 6, 6]")
                        .weight("w", 32, 8, 3, 3)
                        .node("y = Conv(x, w)")
                        .output("y")
                        .build();
        Inputs data = Inputs.of(List.of(Map.of("x", Tensors.randn(2, 8, 6, 6))));

        OnnxModel stored =
                Quantizer.of(QuantizationMode.DYNAMIC).threads(1).quantize(model, data).model();

        assertTrue(stored.byteSize() < 0.5 * model.byteSize());
        assertEquals(Set.of(""), stored.opsets().keySet());
    }

    @Test
    @DisplayName("keeps weights in 16 bits, with results that are nearly the same")
    void halves() {
        OnnxModel model = network();

        QuantizationResult result =
                Quantizer.of(QuantizationMode.FLOAT16).threads(1).quantize(model, data());

        assertTrue(result.size() < 0.53, result.summary());
        assertTrue(result.drop() < 1e-5, result.summary());
        assertEquals(
                3,
                result.layers().stream()
                        .filter(layer -> layer.precision().equals("float16 stored"))
                        .count());
    }

    @Test
    @DisplayName("puts matrices into 4 bits, and stores the rest in 8")
    void fourBits() {
        QuantizationResult result =
                Quantizer.of(QuantizationMode.WEIGHT_ONLY)
                        .bits(4)
                        .blockSize(16)
                        .threads(1)
                        .quantize(network(), data());

        List<String> ops = result.model().graph().nodes().stream().map(OnnxNode::op).toList();
        assertTrue(ops.contains("MatMulNBits") && !ops.contains("MatMul"), ops.toString());
        assertEquals(
                List.of("int4", "int8 stored", "int8 stored"),
                result.layers().stream()
                        .map(Layer::precision)
                        .filter(p -> !p.equals("float"))
                        .toList());
        assertTrue(result.drop() < 0.01, result.summary());
    }

    @Test
    @DisplayName("gives tables the 4 bits that are asked for, and says where it does not")
    void tablesInFourBits() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Int64[N, L]")
                        .weight("table", 1024, 32)
                        .node("y = Gather(table, x)")
                        .output("y")
                        .build();
        Inputs data = Inputs.of(List.of(Map.of("x", Tensors.of(new long[] {1, 5, 9, 1000}, 2, 2))));
        Quantizer weights = Quantizer.of(QuantizationMode.WEIGHT_ONLY).threads(1);
        Quantizer auto = Quantizer.auto().embeddings(EmbeddingPrecision.INT4).threads(1);

        Layer asked = only(weights.embeddings(EmbeddingPrecision.INT4).quantize(model, data));
        Layer byBits = only(weights.bits(4).quantize(model, data));
        Layer lost = only(auto.maxDrop(1e-9).quantize(model, data));

        assertEquals("int4, a scale for each 32 values", asked.precision() + ", " + asked.why());
        assertEquals(
                "int8, a scale for each row; not int4: 32768 values are too few to save much, and"
                        + " lose more",
                byBits.precision() + ", " + byBits.why());
        assertEquals(
                "float, int4 loses more than the budget", lost.precision() + ", " + lost.why());
    }

    private static Layer only(QuantizationResult result) {
        assertEquals(1, result.layers().size(), result.summary());
        return result.layers().getFirst();
    }

    @Test
    @DisplayName("keeps tables in what it is told to, in each mode")
    void tables() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Int64[N, L]")
                        .weight("table", 1024, 32)
                        .node("y = Gather(table, x)")
                        .output("y")
                        .build();
        Inputs data = Inputs.of(List.of(Map.of("x", Tensors.of(new long[] {1, 5, 9, 1000}, 2, 2))));
        for (QuantizationMode mode :
                List.of(
                        QuantizationMode.STATIC,
                        QuantizationMode.DYNAMIC,
                        QuantizationMode.WEIGHT_ONLY,
                        QuantizationMode.FLOAT16)) {
            Quantizer quantizer = Quantizer.of(mode).threads(1);

            double integers =
                    quantizer.embeddings(EmbeddingPrecision.INT8).quantize(model, data).size();
            double floats =
                    quantizer.embeddings(EmbeddingPrecision.FLOAT).quantize(model, data).size();

            assertTrue(integers < 0.3, mode + " " + integers);
            assertEquals(mode == QuantizationMode.FLOAT16 ? 0.5 : 1, floats, 0.01);
        }
    }

    @ParameterizedTest
    @EnumSource
    @DisplayName("writes operators of the standard alone if told so, in each mode")
    void portable(QuantizationMode mode) {
        Quantizer quantizer = Quantizer.of(mode).threads(1);
        OnnxModel model = network();

        QuantizationResult result = quantizer.portable().quantize(model, data());

        assertEquals(List.of(""), List.copyOf(result.model().opsets().keySet()));
        assertTrue(result.drop() < 0.01, result.summary());
        if (mode == QuantizationMode.STATIC) {
            List<String> ops = result.model().graph().nodes().stream().map(OnnxNode::op).toList();
            assertTrue(ops.contains("DequantizeLinear"), ops.toString());
        }
    }

    @ParameterizedTest
    @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "FLOAT16")
    @DisplayName("gives a weight one scale if told so, in each mode")
    void perTensor(QuantizationMode mode) {
        Quantizer quantizer = Quantizer.of(mode).threads(1);

        QuantizationResult result = quantizer.perTensor().quantize(network(), data());

        assertTrue(result.drop() < 0.02, result.summary());
        assertEquals(Set.of(1L), scalesOfWeights(result.model()));
        assertTrue(
                scalesOfWeights(quantizer.quantize(network(), data()).model()).size() > 1,
                "a scale for each channel otherwise");
    }

    /** How many scales weights have, in each of the forms that are written. */
    private static Set<Long> scalesOfWeights(OnnxModel model) {
        Map<String, Integer> places =
                Map.of(
                        "QLinearConv",
                        4,
                        "MatMulIntegerToFloat",
                        3,
                        "Mul",
                        1,
                        "DequantizeLinear",
                        1);
        var scales = new HashSet<Long>();
        for (OnnxNode node : model.graph().nodes()) {
            Integer place = places.get(node.op());
            ConstantTensor scale = place == null ? null : model.graph().constant(node.input(place));
            if (scale != null) {
                scales.add(scale.elements());
            }
        }
        return scales;
    }

    @Test
    @DisplayName("refuses settings that make no sense together, before anything runs")
    void refusesTogether() {
        Map<String, Quantizer> wrong =
                Map.of(
                        "Weights of 4 bits are for the mode WEIGHT_ONLY, not AUTO.",
                        Quantizer.auto().bits(4),
                        "The size of blocks is for weights of 4 bits; those of 8 have a scale a"
                                + " channel.",
                        Quantizer.of(QuantizationMode.WEIGHT_ONLY).blockSize(64),
                        "The rounding is chosen for weights of 4 bits; those of 8 go to the"
                                + " nearest.",
                        Quantizer.of(QuantizationMode.WEIGHT_ONLY)
                                .rounding(RoundingMethod.NEAREST));

        wrong.forEach((words, quantizer) ->
                assertEquals(
                        words,
                        assertThrows(
                                        EspalierException.class,
                                        () -> quantizer.quantize(network(), data()))
                                .getMessage()));
        assertEquals(
                "Weights have 8 bits or 4, not 5.",
                assertThrows(EspalierException.class, () -> Quantizer.auto().bits(5)).getMessage());
    }

    @Test
    @DisplayName("looks at more examples where no values of convolutions are held")
    void examples() {
        OnnxModel products =
                TestGraphs.opset(17)
                        .input("x: Float[N, 32]")
                        .weight("w", 32, 32)
                        .node("y = MatMul(x, w)")
                        .output("y")
                        .build();
        QuantizationSettings settings = QuantizationSettings.of(QuantizationMode.STATIC);

        assertEquals(64, settings.mostExamples(network()));
        assertEquals(256, settings.mostExamples(products));
    }

    @Test
    @DisplayName("leaves the model that it was given as it is")
    void leavesTheModel() {
        OnnxModel model = network();
        String before = model.toProto().toString();

        Quantizer.of(QuantizationMode.STATIC).quantize(model, data());

        assertEquals(before, model.toProto().toString());
    }

    @Test
    @DisplayName("keeps in floats what it is told to")
    void keepsFloat() {
        QuantizationResult result =
                Quantizer.of(QuantizationMode.STATIC)
                        .keepFloat("*MatMul*", "c0/Conv")
                        .quantize(network(), data());

        List<String> ops = result.model().graph().nodes().stream().map(OnnxNode::op).toList();
        assertEquals(1, ops.stream().filter(op -> op.equals("QLinearConv")).count());
        assertTrue(ops.contains("MatMul"), ops.toString());
        assertTrue(
                result.layers().stream()
                        .filter(layer -> layer.operators().equals("MatMul"))
                        .map(Layer::precision)
                        .noneMatch(precision -> precision.equals("int8")));
        assertTrue(
                result.layers().contains(new Layer("c0/Conv", "Conv", "float", "as asked")),
                result.summary());
    }

    @Test
    @DisplayName("gives what it adds short names, and leaves those that were there")
    void shortNames() {
        OnnxModel model = network();

        OnnxModel quantized = Quantizer.of(QuantizationMode.STATIC).quantize(model, data()).model();

        for (OnnxNode node : quantized.graph().nodes()) {
            for (String value : node.outputs()) {
                assertTrue(model.graph().has(value) || value.matches("q[0-9a-z]{1,2}"), value);
            }
        }
        assertEquals(model.graph().outputs(), quantized.graph().outputs());
        assertEquals(model.graph().inputs(), quantized.graph().inputs());
    }

    @Test
    @DisplayName("gives all back to float where the budget allows nothing")
    void budgetOfNothing() {
        QuantizationResult result = Quantizer.auto().maxDrop(1e-9).quantize(network(), data());

        assertTrue(result.drop() < 1e-9, result.summary());
    }

    @Test
    @DisplayName("refuses data that do not fit the model, and settings that can't be")
    void refuses() {
        Inputs wrong = Inputs.of(List.of(Map.of("x", Tensors.rand(1, 5))));

        var data =
                assertThrows(
                        EspalierException.class, () -> Quantizer.auto().quantize(network(), wrong));
        var drop = assertThrows(EspalierException.class, () -> Quantizer.auto().maxDrop(0));

        assertTrue(String.valueOf(data.getMessage()).contains("x"), data.getMessage());
        assertEquals(
                "The accuracy that may be lost is above 0 and below 1, not 0.0.",
                drop.getMessage());
    }

    @Test
    @DisplayName("refuses settings that its mode would not use")
    void unused() {
        Quantizer halves = Quantizer.of(QuantizationMode.FLOAT16);

        assertEquals(
                "The accuracy that may be lost is a budget for the mode AUTO; the mode STATIC takes"
                        + " what it costs. Leave maxDrop out.",
                refusal(Quantizer.of(QuantizationMode.STATIC).maxDrop(0.1)));
        assertEquals(
                "A reduced range is for integers; the mode FLOAT16 has none.",
                refusal(halves.reduceRange()));
        assertEquals(
                "Fitting weights is for integers; the mode FLOAT16 has none.",
                refusal(halves.fittingWeights()));
        var libtorch =
                assertThrows(
                        EspalierException.class,
                        () -> halves.quantizeForLibtorch(network(), data()));
        assertEquals(
                "For libtorch layers are searched for by the mode AUTO alone, not FLOAT16.",
                libtorch.getMessage());
    }

    @Test
    @DisplayName("names the input that holds NaN or infinity, in each mode")
    void notNumbers() {
        for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY}) {
            Tensor numbers = Tensors.rand(4, 3, 16, 16);
            numbers.flatten().select(0, 7).fill_(new Scalar(bad));
            Inputs data = Inputs.of(List.of(Map.of("x", numbers)));
            String expected =
                    "The input 'x' holds %s in batch 1 of the calibration data; mend the data."
                            .formatted(Float.isNaN(bad) ? "NaN" : "infinity");
            for (QuantizationMode mode : QuantizationMode.values()) {
                var refused =
                        assertThrows(
                                EspalierException.class,
                                () -> Quantizer.of(mode).quantize(network(), data));

                assertEquals(expected, refused.getMessage());
            }
        }
    }

    @ParameterizedTest
    @EnumSource
    @DisplayName("keeps layers float by their weights' names, and refuses names of nothing")
    void keptFloat(QuantizationMode mode) {
        Quantizer quantizer = Quantizer.of(mode).threads(1);

        List<Layer> kept = quantizer.keepFloat("w0", "w2").quantize(network(), data()).layers();

        assertEquals(
                List.of(),
                kept.stream()
                        .filter(layer -> layer.name().matches("c0/Conv|m/MatMul"))
                        .filter(layer -> !layer.precision().equals("float"))
                        .toList());
        assertEquals(
                "No layer to be kept float is named 'w7*'; the model's layers are 'c0/Conv',"
                        + " 'c1/Conv', 'm/MatMul'.",
                refusal(quantizer.keepFloat("w1", "w7*")));
    }

    @ParameterizedTest
    @EnumSource
    @DisplayName("makes what it makes of floats of weights that a file keeps in 16 bits")
    void fromHalves(QuantizationMode mode) {
        OnnxModel halves =
                Quantizer.of(QuantizationMode.FLOAT16).quantize(network(), data()).model();

        QuantizationResult result = Quantizer.of(mode).threads(1).quantize(halves, data());

        long small =
                result.layers().stream()
                        .filter(layer -> !layer.precision().equals("float"))
                        .count();
        if (mode != QuantizationMode.AUTO) { // which leaves in floats what saves no time
            assertTrue(small >= 3, result.table());
        }
        assertTrue(
                result.size() < (mode == QuantizationMode.FLOAT16 ? 1.01 : 0.9), result.summary());
        assertTrue(result.drop() < 0.01, result.summary());
    }

    @Test
    @DisplayName("keeps in 16 bits what came so and stays float")
    void keptHalves() {
        OnnxModel halves =
                Quantizer.of(QuantizationMode.FLOAT16).quantize(network(), data()).model();

        QuantizationResult kept =
                Quantizer.of(QuantizationMode.DYNAMIC)
                        .threads(1)
                        .keepFloat("*")
                        .quantize(halves, data());

        assertTrue(kept.size() < 1.01, kept.summary());
        assertTrue(kept.drop() < 1e-9, kept.summary());
    }

    @Test
    @DisplayName("says of layers that compute in doubles beside others in floats why they stay so")
    void computedInDoubles() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, 16]")
                        .constant(
                                "w", ConstantTensor.of(Tensors.rand(16, 32).to(ScalarType.Double)))
                        .weight("v", 32, 32)
                        .node("h = Cast(x)", n -> n.with("to", 11))
                        .node("d = MatMul(h, w)")
                        .node("c = Cast(d)", n -> n.with("to", 1))
                        .node("y = MatMul(c, v)")
                        .output("y")
                        .build();
        Inputs data = Inputs.of(List.of(Map.of("x", Tensors.rand(2, 16))));

        List<Layer> layers = Quantizer.of(QuantizationMode.STATIC).quantize(model, data).layers();

        assertEquals(
                List.of("its weights are DOUBLE"),
                layers.stream()
                        .filter(layer -> layer.name().startsWith("d/"))
                        .map(Layer::why)
                        .toList());
    }

    private static String refusal(Quantizer quantizer) {
        var refused =
                assertThrows(EspalierException.class, () -> quantizer.quantize(network(), data()));
        return String.valueOf(refused.getMessage());
    }

    private static Inputs data() {
        List<Map<String, Tensor>> batches =
                Stream.generate(() -> Map.of("x", Tensors.rand(4, 3, 16, 16))).limit(3).toList();
        return Inputs.of(batches);
    }

    private static OnnxModel network() {
        return TestGraphs.opset(17)
                .input("x: Float[N, 3, 16, 16]")
                .weight("w0", 32, 3, 3, 3)
                .weight("w1", 64, 32, 3, 3)
                .weight("w2", 64, 96)
                .floats("b2", new float[96])
                .node("c0 = Conv(x, w0)", n -> n.with("pads", List.of(1L, 1L, 1L, 1L)))
                .node("a0 = Relu(c0)")
                .node("c1 = Conv(a0, w1)")
                .node("a1 = Relu(c1)")
                .node("p = GlobalAveragePool(a1)")
                .node("f = Flatten(p)")
                .node("m = MatMul(f, w2)")
                .node("y = Add(m, b2)")
                .output("y")
                .build();
    }
}

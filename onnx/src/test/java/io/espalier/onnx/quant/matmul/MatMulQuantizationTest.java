package io.espalier.onnx.quant.matmul;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.tensor.EspalierException;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.List;
import java.util.Map;

@DisplayName("Products in integers")
class MatMulQuantizationTest {
    private final PointerScope scope = new PointerScope();
    private final List<Map<String, Tensor>> data = Blocks.data(3, 4, 16, Blocks.WIDTH);

    @AfterEach
    void free() {
        scope.close();
    }

    private double error(OnnxModel model, OnnxModel quantized) {
        Map<String, Tensor> unseen = Blocks.data(1, 2, 16, Blocks.WIDTH).getFirst();
        return Blocks.error(Blocks.run(model, unseen), Blocks.run(quantized, unseen));
    }

    @Test
    @DisplayName("find each batch's range with the standard's operators, one input for a group")
    void dynamic() {
        OnnxModel model = Blocks.preNorm().build();

        MatMulQuantization.Result result = MatMulQuantization.dynamic(model, data);

        OnnxModel quantized = result.model();
        assertEquals(1, Blocks.count(quantized, "DynamicQuantizeLinear"));
        assertEquals(3, Blocks.count(quantized, "MatMulInteger"));
        assertEquals(0, Blocks.count(quantized, "MatMul"));
        assertTrue(quantized.graph().nodes().stream().allMatch(n -> n.domain().isEmpty()));
        assertTrue(error(model, quantized) < 0.02, () -> "error " + error(model, quantized));
        assertEquals(3, Blocks.count(model, "MatMul"), "the model that was given stays");
    }

    @Test
    @DisplayName("have fixed ranges with the runtime's operator, bias included")
    void fixed() {
        OnnxModel model = Blocks.postNorm().build();

        OnnxModel quantized = MatMulQuantization.fixed(model, data).model();

        assertEquals(2, Blocks.count(quantized, "QuantizeLinear"));
        assertEquals(2, Blocks.count(quantized, "MatMulIntegerToFloat"));
        assertEquals(1, Blocks.count(quantized, "Add"), "the residual's is left");
        assertTrue(error(model, quantized) < 0.03, () -> "error " + error(model, quantized));
    }

    @Test
    @DisplayName("that are portable call the standard's operators only, of each version")
    void portable() {
        OnnxModel qdq = Blocks.postNorm().build();
        OnnxModel older =
                TestGraphs.opset(11)
                        .input("x: Float[N, 32]")
                        .weight("w", Blocks.WIDTH, Blocks.WIDTH)
                        .node("y = MatMul(x, w)")
                        .output("y")
                        .build();
        List<Map<String, Tensor>> rows = Blocks.data(2, 8, Blocks.WIDTH);

        OnnxModel one = MatMulQuantization.fixed(qdq, data, s -> s.portable(true)).model();
        OnnxModel two = MatMulQuantization.fixed(older, rows, s -> s.portable(true)).model();

        assertEquals(4, Blocks.count(one, "DequantizeLinear"));
        assertEquals(1, Blocks.count(two, "MatMulInteger"));
        for (OnnxModel model : List.of(one, two)) {
            assertTrue(model.graph().nodes().stream().allMatch(n -> n.domain().isEmpty()));
        }
        assertTrue(error(qdq, one) < 0.03, () -> "error " + error(qdq, one));
        assertTrue(
                Blocks.error(Blocks.run(older, rows.getFirst()), Blocks.run(two, rows.getFirst()))
                        < 0.02);
    }

    @ParameterizedTest
    @ValueSource(longs = {7, 9, 10, 13})
    @DisplayName("of old models run too, by the runtime's own operators, or stay float")
    void oldOpsets(long opset) {
        OnnxModel model =
                TestGraphs.opset(opset)
                        .input("x: Float[N, 32]")
                        .weight("w", Blocks.WIDTH, Blocks.WIDTH)
                        .weight("b", Blocks.WIDTH)
                        .node("p = MatMul(x, w)")
                        .node("y = Add(p, b)")
                        .output("y")
                        .build();
        List<Map<String, Tensor>> rows = Blocks.data(2, 8, Blocks.WIDTH);
        float[] expected = Blocks.run(model, rows.getFirst());

        OnnxModel dynamic = MatMulQuantization.dynamic(model, rows).model();
        MatMulQuantization.Result fixed = MatMulQuantization.fixed(model, rows);

        assertEquals(0, Blocks.count(dynamic, "MatMul"));
        assertTrue(Blocks.error(expected, Blocks.run(dynamic, rows.getFirst())) < 0.02);
        assertEquals(opset >= 10, fixed.sites().getFirst().isQuantized());
        assertTrue(Blocks.error(expected, Blocks.run(fixed.model(), rows.getFirst())) < 0.02);
    }

    @Test
    @DisplayName("of a Gemm have its transposition, its factors and its vector in them")
    void gemm() {
        OnnxModel model = Blocks.gemms();
        List<Map<String, Tensor>> rows = Blocks.data(2, 8, Blocks.WIDTH);

        OnnxModel dynamic = MatMulQuantization.dynamic(model, rows).model();
        OnnxModel fixed = MatMulQuantization.fixed(model, rows).model();

        assertEquals(0, Blocks.count(dynamic, "Gemm") + Blocks.count(fixed, "Gemm"));
        float[] expected = Blocks.run(model, rows.getFirst());
        assertTrue(Blocks.error(expected, Blocks.run(dynamic, rows.getFirst())) < 0.03);
        assertTrue(Blocks.error(expected, Blocks.run(fixed, rows.getFirst())) < 0.03);
    }

    @Test
    @DisplayName("without data are quantized as they come, and no error is claimed")
    void withoutData() {
        OnnxModel model = Blocks.preNorm().build();

        MatMulQuantization.Result result = MatMulQuantization.dynamic(model, List.of());

        assertEquals(3, Blocks.count(result.model(), "MatMulInteger"));
        assertTrue(result.sites().stream().allMatch(site -> site.error().isEmpty()));
        assertThrows(EspalierException.class, () -> MatMulQuantization.fixed(model, List.of()));
    }

    @Test
    @DisplayName("stay float where asked, where too small, and where both sides vary")
    void staysFloat() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, 32, 32]")
                        .weight("w", Blocks.WIDTH, Blocks.WIDTH)
                        .weight("narrow", Blocks.WIDTH, 8)
                        .node("a = MatMul(x, w)", node -> node.withName("block/first"))
                        .node("b = MatMul(a, w)", node -> node.withName("block/second"))
                        .node("c = MatMul(b, b)", node -> node.withName("both"))
                        .node("y = MatMul(c, narrow)", node -> node.withName("last"))
                        .output("y")
                        .build();

        MatMulQuantization.Result result =
                MatMulQuantization.dynamic(model, List.of(), s -> s.keepingFloat("*/sec*"));

        assertEquals(
                List.of(
                        "block/first: int8, no data to look at",
                        "block/second: float, kept float as asked",
                        "last: float, too small: [32, 8]"),
                result.sites().stream().map(SiteReport::toString).sorted().toList());
        assertEquals(1, Blocks.count(result.model(), "MatMulInteger"));
    }

    @Test
    @DisplayName("stay float where their sums could exceed 32 bits")
    void longSums() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, 66313]")
                        .weight("w", 66313, 16)
                        .node("y = MatMul(x, w)")
                        .output("y")
                        .build();

        SiteReport site = MatMulQuantization.dynamic(model, List.of()).sites().getFirst();

        assertEquals("sums of 66313 products may exceed 32 bits", site.why());
    }

    @Test
    @DisplayName("that share a matrix store it once, which is then not multiplied")
    void sharedMatrix() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, 32]")
                        .weight("w", Blocks.WIDTH, Blocks.WIDTH)
                        .node("a = MatMul(x, w)")
                        .node("y = MatMul(a, w)")
                        .output("y")
                        .build();

        OnnxModel quantized =
                MatMulQuantization.dynamic(model, Blocks.data(1, 8, Blocks.WIDTH)).model();

        assertEquals(
                1,
                quantized.graph().constants().values().stream()
                        .filter(constant -> constant.type() == ElementType.INT8)
                        .count());
    }

    @Test
    @DisplayName("have weights of 7 bits, or one scale for all, where that is asked")
    void weights() {
        OnnxModel model = Blocks.preNorm().build();

        OnnxModel seven = MatMulQuantization.fixed(model, data, s -> s.reduceRange(true)).model();
        OnnxModel single = MatMulQuantization.fixed(model, data, s -> s.perTensor(true)).model();

        for (ConstantTensor constant : seven.graph().constants().values()) {
            if (constant.type() == ElementType.INT8) {
                for (long value : constant.toLongs()) {
                    assertTrue(Math.abs(value) <= 63, () -> "weight " + value);
                }
            }
        }
        OnnxNode product =
                single.graph().nodes().stream()
                        .filter(node -> node.op().equals("MatMulIntegerToFloat"))
                        .findFirst()
                        .orElseThrow();
        ConstantTensor scale = single.graph().constants().get(product.input(3));
        assertEquals(List.of(), scale == null ? null : scale.shape());
        assertTrue(error(model, seven) < 0.05);
        assertTrue(error(model, single) < 0.1);
    }

    @Test
    @DisplayName("lose less where outliers are divided, and the report's error says so")
    void outliersDivided() {
        OnnxModel model = Blocks.postNorm().build();

        MatMulQuantization.Result plain =
                MatMulQuantization.fixed(model, data, s -> s.smoothed(false));
        MatMulQuantization.Result divided = MatMulQuantization.fixed(model, data);

        double before = plain.sites().getFirst().error().orElseThrow();
        double after = divided.sites().getFirst().error().orElseThrow();
        assertTrue(after < before / 2, () -> after + " against " + before);
        assertEquals("channels shifted, outliers divided", divided.sites().getFirst().why());
        assertEquals(
                List.of("Add", "Mul"),
                divided.model().graph().readers("h").stream().map(OnnxNode::op).sorted().toList(),
                "the residual reads the value as it is");
        assertTrue(error(model, divided.model()) < error(model, plain.model()));
    }

    @Test
    @DisplayName("have outliers divided by the normalization before them if only they read it")
    void dividedForFree() {
        OnnxModel model = Blocks.preNorm().build();

        MatMulQuantization.Result result = MatMulQuantization.fixed(model, data);

        assertEquals("channels shifted, outliers divided", result.sites().getFirst().why());
        assertEquals(0, Blocks.count(result.model(), "Mul"));
        assertTrue(error(model, result.model()) < 0.02);
    }

    @Test
    @DisplayName("of a value that the data never reach are named")
    void neverReached() {
        OnnxModel model = Blocks.preNorm().build();

        var error =
                assertThrows(
                        EspalierException.class,
                        () -> MatMulQuantization.fixed(model, Blocks.data(1, 0, 16, Blocks.WIDTH)));

        assertTrue(String.valueOf(error.getMessage()).contains("'h'"), error.getMessage());
    }

    @Test
    @DisplayName("are refused for data that are no numbers")
    void notANumber() {
        OnnxModel model = Blocks.gemms();
        var bad = torch.full(new long[] {2, Blocks.WIDTH}, new Scalar(Float.NaN));

        assertThrows(
                EspalierException.class,
                () -> MatMulQuantization.fixed(model, List.of(Map.of("x", bad))));
    }

    @Test
    @DisplayName("take the same numbers whatever was tried on them")
    void deterministic() {
        OnnxModel model = Blocks.postNorm().build();

        float[] one = Blocks.run(MatMulQuantization.fixed(model, data).model(), data.getFirst());
        float[] two = Blocks.run(MatMulQuantization.fixed(model, data).model(), data.getFirst());

        assertArrayEquals(one, two);
        assertFalse(one.length == 0);
    }
}

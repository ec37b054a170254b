package io.espalier.onnx.shape;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.RealModels;
import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;

@DisplayName("What a model costs")
class ModelCostTest {
    @TempDir Path folder;

    private static ModelCost.Row row(ModelCost cost, String operator) {
        return cost.rows().stream()
                .filter(row -> row.node().op().equals(operator))
                .findFirst()
                .orElseThrow();
    }

    @Test
    @DisplayName("is multiplications, weights and bytes of each node, for the extents given")
    void counted() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, 4, H, 6]")
                        .weight("w", 8, 2, 3, 3)
                        .weight("b", 8)
                        .weight("v", 4, 5)
                        .weight("t", 8, 3, 2, 2)
                        .node("y = Conv(x, w, b)", node -> node.with("group", 2))
                        .node("u = ConvTranspose(y, t)")
                        .node("r = Reshape(y, rows)")
                        .integers("rows", -1, 4)
                        .node("z = MatMul(r, v)")
                        .node("again = MatMul(r, v)")
                        .node("e = Einsum(r, v)", node -> node.with("equation", "ab,bc->"))
                        .output("z")
                        .build();

        ModelCost cost = ModelCost.of(model, Map.of("x", List.of(2L, 4L, 5L, 6L)));

        long gives = 2 * 8 * 3 * 4;
        assertEquals(gives * 2 * 9, row(cost, "Conv").macs());
        assertEquals(8 * 2 * 9 + 8, row(cost, "Conv").parameters());
        assertEquals(4 * (2 * 4 * 5 * 6 + 8 * 2 * 9 + 8 + gives), row(cost, "Conv").bytes());
        assertEquals(gives * 3 * 4, row(cost, "ConvTranspose").macs());
        assertEquals(0, row(cost, "Reshape").bytes());
        assertEquals(gives / 4 * 5 * 4, row(cost, "MatMul").macs());
        assertEquals(gives / 4 * 5 * 4, row(cost, "Einsum").macs());
        assertEquals(8 * 18 + 8 + 20 + 96, cost.parameters());
        assertTrue(cost.unknown().isEmpty());
    }

    @Test
    @DisplayName("is that of their defaults where weights are inputs too")
    void weightsThatAreInputs() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, 4, 5, 6]")
                        .input("w: Float[8, 2, 3, 3]")
                        .input("one: Float[1, 1, 1, 1]")
                        .weight("w", 8, 2, 3, 3)
                        .weight("one", 1, 1, 1, 1)
                        .node("y = Conv(x, w)", node -> node.with("group", 2))
                        .node("s = ReduceSum(y, axes)")
                        .integers("axes", 1)
                        .node("z = Conv(s, one)")
                        .output("z")
                        .build();

        ModelCost cost = ModelCost.of(model, Map.of("x", List.of(1L, 4L, 5L, 6L)));

        long places = 3 * 4;
        assertEquals(8 * places * 2 * 9, row(cost, "Conv").macs());
        assertEquals(8 * places * 2 * 9 + places, cost.macs());
        assertEquals(8 * 2 * 9, row(cost, "Conv").parameters());
        assertTrue(cost.uncounted().isEmpty());
    }

    @Test
    @DisplayName("counts weights behind nodes that only give them on, and those packed in bytes")
    void hiddenWeights() {
        var codes = ConstantTensor.bytes(ElementType.INT8, List.of(4L, 5L), new byte[20]);
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, 4]")
                        .input("m: Float[3, 32]")
                        .constant("scale", ConstantTensor.scalar(0.5f))
                        .node("c = Constant()", node -> node.with("value", codes))
                        .node("d = DequantizeLinear(c, scale)")
                        .node("i = Identity(d)")
                        .node("y = MatMul(x, i)")
                        .constant(
                                "w",
                                ConstantTensor.bytes(
                                        ElementType.UINT8, List.of(10L, 2L, 8L), new byte[160]))
                        .weight("s", 20)
                        .node(
                                "z = " + OnnxNode.MICROSOFT + ":MatMulNBits(m, w, s)",
                                node ->
                                        node.with("K", 32)
                                                .with("N", 10)
                                                .with("bits", 4)
                                                .with("block_size", 16))
                        .output("y")
                        .output("z")
                        .build();

        ModelCost cost = ModelCost.of(model);

        assertEquals(20, row(cost, "MatMul").parameters());
        assertEquals(320 + 20, row(cost, "MatMulNBits").parameters());
        assertEquals(3 * 32 * 10, row(cost, "MatMulNBits").macs());
        assertEquals(20, cost.weightBytes().get(ElementType.INT8));
    }

    @Test
    @DisplayName("says which nodes could not be counted")
    void unknown() {
        ModelCost cost =
                ModelCost.of(
                        TestGraphs.opset(17)
                                .input("x: Float[2]")
                                .node("y = some.where:Mystery(x)")
                                .node("z = Relu(x)")
                                .output("y")
                                .output("z")
                                .build());

        assertEquals(List.of("Mystery"), cost.unknown().stream().map(OnnxNode::op).toList());
    }

    @Test
    @DisplayName("is known of real models with typical inputs, without being told their extents")
    void realModels() {
        ModelCost reader = ModelCost.of(OnnxModel.load(RealModels.ocr(folder)));
        ModelCost embedding = ModelCost.of(OnnxModel.load(RealModels.miniLm(folder)));

        assertEquals(Map.of("x", List.of(1L, 3L, 48L, 320L)), reader.inputs());
        assertEquals(List.of(), reader.unknown());
        assertEquals(List.of(1L, 128L), embedding.inputs().get("input_ids"));
        assertEquals(List.of(), embedding.unknown());
        long layer = 128L * (4 * 384 * 384 + 2 * 384 * 1536) + 2 * 128 * 128 * 384;
        assertEquals(6 * layer, embedding.macs());
    }
}

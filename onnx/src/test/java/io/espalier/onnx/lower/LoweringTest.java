package io.espalier.onnx.lower;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.List;
import java.util.Map;
import java.util.Set;

@DisplayName("Lowering a file's model to libtorch")
class LoweringTest {
    @Test
    @DisplayName("makes layers with names of the file's weights and nodes, its biases in them")
    void layers() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, 3, 8, 8]")
                        .weight("backbone.conv1.weight", 4, 3, 3, 3)
                        .weight("backbone.conv1.bias", 4)
                        .node("c = Conv(x, backbone.conv1.weight, backbone.conv1.bias)")
                        .weight("bn.weight", 4)
                        .weight("bn.bias", 4)
                        .weight("bn.mean", 4)
                        .floats("bn.var", 1, 2, 3, 4)
                        .node("b = BatchNormalization(c, bn.weight, bn.bias, bn.mean, bn.var)")
                        .node("p = GlobalAveragePool(b)")
                        .node("f = Flatten(p)")
                        .weight("onnx::MatMul_12", 4, 5)
                        .node(
                                "m = MatMul(f, onnx::MatMul_12)",
                                node -> node.withName("/head/head.fc/MatMul"))
                        .weight("head.fc.bias", 5)
                        .node("y = Add(head.fc.bias, m)")
                        .output("y")
                        .build();

        LoweredModel lowered = BothRuntimes.agree(model, Map.of("x", Tensors.randn(2, 3, 8, 8)));

        Map<String, Module> modules = lowered.module().modules();
        assertInstanceOf(Conv2d.class, modules.get("backbone.conv1"));
        assertInstanceOf(BatchNorm2d.class, modules.get("bn"));
        assertInstanceOf(Linear.class, modules.get("head.fc"));
        assertEquals(
                Set.of(
                        "backbone.conv1.weight",
                        "backbone.conv1.bias",
                        "bn.weight",
                        "bn.bias",
                        "head.fc.weight",
                        "head.fc.bias"),
                lowered.module().namedParameters().keySet());
    }

    @Test
    @DisplayName("computes shapes from the sizes of each call's inputs")
    void shapes() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, L, 6]")
                        .node("s = Shape(x)")
                        .integer("zero", 0)
                        .integer("one", 1)
                        .node("n = Gather(s, zero)")
                        .node("l = Gather(s, one)")
                        .integers("axis", 0)
                        .node("n1 = Unsqueeze(n, axis)")
                        .node("l1 = Unsqueeze(l, axis)")
                        .node("nl = Mul(n1, l1)")
                        .integers("two", 2)
                        .integers("three", 3)
                        .node("to = Concat(nl, two, three)", node -> node.with("axis", 0))
                        .node("y = Reshape(x, to)")
                        .node("r = Range(zero, l, one)")
                        .output("y")
                        .output("r")
                        .output("nl")
                        .build();

        LoweredModel lowered = BothRuntimes.agree(model, Map.of("x", Tensors.randn(2, 5, 6)));

        BothRuntimes.agree(lowered, model, Map.of("x", Tensors.randn(3, 4, 6)));
        assertTrue(lowered.module().graph().toString().contains("end=L"));
    }

    @Test
    @DisplayName("calls one layer where one weight is used twice")
    void sharedWeights() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, 4]")
                        .weight("fc.weight", 4, 4)
                        .node("a = MatMul(x, fc.weight)")
                        .node("r = Relu(a)")
                        .node("y = MatMul(r, fc.weight)")
                        .output("y")
                        .build();

        LoweredModel lowered = BothRuntimes.agree(model, Map.of("x", Tensors.randn(2, 4)));

        assertEquals(Set.of("fc"), lowered.module().modules().keySet());
    }

    @Test
    @DisplayName("keeps a place of its own for each tensor, whatever they are called")
    void names() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x.1: Float[N, 4]")
                        .weight("a", 4, 4)
                        .weight("a.b", 4)
                        .weight("a/b", 4)
                        .weight("0", 4)
                        .node("m = MatMul(x.1, a)")
                        .node("p = Mul(m, a.b)")
                        .node("q = Mul(p, a/b)")
                        .node("y = Mul(q, 0)")
                        .output("y")
                        .build();

        LoweredModel lowered = BothRuntimes.agree(model, Map.of("x.1", Tensors.randn(2, 4)));

        assertEquals(4, lowered.module().stateDict().size());
    }

    @Test
    @DisplayName("names the node and operator that libtorch lacks")
    void missingOperator() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, 4]")
                        .node("y = com.acme:Secret(x)", node -> node.withName("layer7"))
                        .output("y: Float[N, 4]")
                        .build();

        assertEquals(
                "The node 'layer7' calls com.acme.Secret, which has no lowering to libtorch.",
                refused(model));
    }

    @Test
    @DisplayName("names the node whose settings libtorch lacks, and what they are")
    void missingSetting() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[5, N, 3]")
                        .weight("w", 1, 6, 3)
                        .weight("r", 1, 6, 2)
                        .node("y, h = GRU(x, w, r)", node -> node.with("hidden_size", 2))
                        .output("y")
                        .build();

        assertTrue(
                refused(model)
                        .startsWith("The node 'y/GRU' (GRU) can't be run by libtorch: it resets"));
    }

    private static String refused(OnnxModel model) {
        return String.valueOf(
                assertThrows(EspalierException.class, () -> Lowering.lower(model)).getMessage());
    }

    @Test
    @DisplayName("asks for the inputs by the file's names")
    void inputs() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("a: Float[N]")
                        .input("b: Float[N]")
                        .node("y = Sub(a, b)")
                        .output("y")
                        .build();
        LoweredModel lowered = Lowering.lower(model);

        assertEquals(List.of("a", "b"), lowered.inputs());
        var error =
                assertThrows(
                        EspalierException.class,
                        () -> lowered.run(Map.of("a", Tensors.of(1), "c", Tensors.of(2))));
        assertTrue(String.valueOf(error.getMessage()).contains("takes the inputs [a, b]"));
    }

    @Test
    @DisplayName("takes the defaults of what may be given")
    void defaults() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, 3]")
                        .input("factor: Float[1]")
                        .input("w: Float[3, 4]")
                        .floats("factor", 2.5f)
                        .weight("w", 3, 4)
                        .node("m = MatMul(x, w)")
                        .node("y = Mul(m, factor)")
                        .output("y")
                        .build();

        LoweredModel lowered = BothRuntimes.agree(model, Map.of("x", Tensors.randn(2, 3)));

        assertEquals(List.of("x"), lowered.inputs());
    }

    @Test
    @DisplayName("names the node whose settings no model has")
    void impossibleSettings() {
        OnnxModel model =
                TestGraphs.opset(18)
                        .input("x: Float[1, 4, 8, 8]")
                        .weight("scale", 4)
                        .weight("shift", 4)
                        .node(
                                "y = GroupNormalization(x, scale, shift)",
                                node -> node.with("num_groups", 0))
                        .output("y")
                        .build();

        var refused = assertThrows(EspalierException.class, () -> Lowering.lower(model));

        assertTrue(
                String.valueOf(refused.getMessage())
                        .startsWith(
                                "The node 'y/GroupNormalization' (GroupNormalization) can't be run"
                                        + " by libtorch: its settings don't fit"),
                refused::getMessage);
    }
}

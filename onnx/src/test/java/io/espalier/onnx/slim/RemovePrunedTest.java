package io.espalier.onnx.slim;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.run.OnnxSession;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;

@DisplayName("What pruning has emptied")
class RemovePrunedTest {
    /** A weight whose first outputs are zero. */
    private static ConstantTensor pruned(int outputs, int empty, long... rest) {
        int inner = 1;
        for (long extent : rest) {
            inner *= (int) extent;
        }
        var values = new float[outputs * inner];
        var random = new Random(5);
        for (int i = empty * inner; i < values.length; i++) {
            values[i] = (float) random.nextGaussian();
        }
        var shape = new ArrayList<>(List.of((long) outputs));
        for (long extent : rest) {
            shape.add(extent);
        }
        return ConstantTensor.floats(shape, values);
    }

    private static TestGraphs convolutions(long padding, float... bias) {
        return TestGraphs.opset(17)
                .input("x: Float[N, 3, 8, 8]")
                .constant("w1", pruned(6, 4, 3, 3, 3))
                .floats("b1", bias)
                .node("c = Conv(x, w1, b1)")
                .node("s = Sigmoid(c)")
                .weight("w2", 5, 6, 3, 3)
                .node(
                        "d = Conv(s, w2)",
                        n -> n.with("pads", List.of(padding, padding, padding, padding)))
                .output("d");
    }

    private static void assertSame(OnnxModel before, OnnxModel after) {
        assertSame(before, after, 1e-5);
    }

    private static void assertSame(OnnxModel before, OnnxModel after, double rounding) {
        try (var scope = new PointerScope();
                var batches = Inputs.random().size("L", 4).limit(4).checkedFor(before).iterator();
                var first = OnnxSession.open(before);
                var second = OnnxSession.open(after)) {
            Map<String, Tensor> inputs = batches.next();
            Map<String, Tensor> results = second.run(inputs);
            first.run(inputs)
                    .forEach((name, tensor) -> {
                        Tensor other = Objects.requireNonNull(results.get(name));
                        double error = tensor.sub(other).abs().max().item_double();
                        double most = tensor.abs().max().item_double();
                        assertTrue(error <= rounding * most, () -> name + ": " + error);
                    });
        }
    }

    /** Channels between the first layer and the next. */
    private static long width(OnnxModel model, String op) {
        OnnxNode last =
                model.graph().nodes().stream().filter(n -> n.op().equals(op)).toList().getLast();
        ConstantTensor weight = Objects.requireNonNull(model.graph().constant(last.input(1)));
        return weight.shape().get(op.equals("MatMul") ? 0 : 1);
    }

    @Test
    @DisplayName("becomes part of a bias where no border is padded")
    void foldsInside() {
        OnnxModel model = convolutions(0, 1, -1, 2, 0.5f, 0, 0).build();

        OnnxModel slim = OnnxSlimmer.removePruned(model);

        assertEquals(2, width(slim, "Conv"));
        assertSame(model, slim);
    }

    @Test
    @DisplayName("stays where a padded border would see other numbers")
    void keepsBorders() {
        OnnxModel model = convolutions(1, 1, -1, 2, 0.5f, 0, 0).build();

        OnnxModel slim = OnnxSlimmer.removePruned(model);

        assertEquals(6, width(slim, "Conv"));
        assertSame(model, slim);
    }

    @Test
    @DisplayName("goes through a padded layer of each channel by itself only if it is zero")
    void goesThroughDepthwise() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, 3, 8, 8]")
                        .constant("w1", pruned(6, 4, 3, 1, 1))
                        .floats("b1", -1, -1, 2, 2, 0, 0)
                        .node("c = Conv(x, w1, b1)")
                        .node("r = Relu(c)")
                        .weight("w2", 6, 1, 3, 3)
                        .weight("b2", 6)
                        .node(
                                "d = Conv(r, w2, b2)",
                                n -> n.with("group", 6).with("pads", List.of(1L, 1L, 1L, 1L)))
                        .node("m = MaxPool(d)", n -> n.with("kernel_shape", List.of(2L, 2L)))
                        .weight("w3", 5, 6, 1, 1)
                        .node("y = Conv(m, w3)")
                        .output("y")
                        .build();

        OnnxModel slim = OnnxSlimmer.removePruned(model);

        assertEquals(4, width(slim, "Conv"));
        assertSame(model, slim);
    }

    @Test
    @DisplayName("is added after a product that has no bias, through what is between")
    void addsAfterProducts() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, L, 3]")
                        .constant("w1", pruned(8, 5, 3))
                        .node("t = Transpose(w1)")
                        .node("h = MatMul(x, t)")
                        .weight("b1", 8)
                        .node("a = Add(h, b1)")
                        .node("g = com.microsoft:Gelu(a)")
                        .weight("w2", 8, 4)
                        .node("y = MatMul(g, w2)")
                        .output("y")
                        .build();

        OnnxModel slim = OnnxSlimmer.removePruned(model);

        assertEquals(3, width(slim, "MatMul"));
        assertSame(model, slim);
    }

    @Test
    @DisplayName("goes with what it alone was computed from, layer after layer")
    void goesOn() {
        ConstantTensor last = pruned(5, 0, 6, 1, 1);
        float[] values = last.toFloats();
        for (int i = 0; i < values.length; i++) {
            values[i] = i % 6 < 3 ? 0 : values[i];
        }
        ConstantTensor middle = pruned(6, 0, 6, 1, 1);
        float[] between = middle.toFloats();
        for (int i = 3 * 6; i < between.length; i++) {
            between[i] = i % 6 < 2 ? 0 : between[i];
        }
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, 3, 8, 8]")
                        .weight("w1", 6, 3, 1, 1)
                        .node("c = Conv(x, w1)")
                        .node("s = Sigmoid(c)")
                        .constant("w2", ConstantTensor.floats(middle.shape(), between))
                        .node("d = Conv(s, w2)")
                        .node("t = Sigmoid(d)")
                        .constant("w3", ConstantTensor.floats(last.shape(), values))
                        .node("y = Conv(t, w3)")
                        .output("y")
                        .build();

        OnnxModel slim = OnnxSlimmer.removePruned(model);

        // Two inputs of the middle layer were read only by outputs that nobody reads.
        assertEquals(
                List.of(4L, 3L, 1L, 1L),
                Objects.requireNonNull(slim.graph().constant("w1")).shape());
        assertEquals(3, width(slim, "Conv"));
        assertSame(model, slim);
    }

    @Test
    @DisplayName(
            "leaves one channel where all are zero, and a model without zeros as wide as it is")
    void leavesOne() {
        OnnxModel empty =
                TestGraphs.opset(17)
                        .input("x: Float[N, 3]")
                        .constant("w1", ConstantTensor.floats(List.of(3L, 4L), new float[12]))
                        .floats("b1", 1, 2, -3, 4)
                        .node("h = Gemm(x, w1, b1)")
                        .node("s = Sigmoid(h)")
                        .weight("w2", 4, 2)
                        .weight("b2", 2)
                        .node("y = Gemm(s, w2, b2)")
                        .output("y")
                        .build();

        OnnxModel slim = OnnxSlimmer.removePruned(empty);

        assertEquals(List.of(1L, 2L), Objects.requireNonNull(slim.graph().constant("w2")).shape());
        assertSame(empty, slim);
    }

    /** Between two layers, with its attributes; the first four of six channels are empty. */
    private static TestGraphs between(TestGraphs graph, String operator) {
        List<Long> spatial = List.of(2L, 3L);
        return switch (operator) {
            case "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL2" ->
                    graph.node("m = %s(c)".formatted(operator), n -> n.with("axes", spatial));
            case "ReduceSum" -> graph.integers("axes", 2, 3).node("m = ReduceSum(c, axes)");
            case "AveragePool" ->
                    graph.node(
                            "m = AveragePool(c)",
                            n ->
                                    n.with("kernel_shape", List.of(3L, 3L))
                                            .with("pads", List.of(1L, 1L, 1L, 1L))
                                            .with("count_include_pad", 1));
            case "LpPool" ->
                    graph.node("m = LpPool(c)", n -> n.with("kernel_shape", List.of(3L, 3L)));
            case "Resize" ->
                    graph.floats("scales", 1, 1, 2, 2)
                            .node("m = Resize(c, , scales)", n -> n.with("mode", "linear"));
            case "Pad" -> graph.integers("pads", 0, 0, 1, 1, 0, 0, 1, 1).node("m = Pad(c, pads)");
            case "Slice" ->
                    graph.integers("starts", 1)
                            .integers("ends", 7)
                            .integers("axis", 2)
                            .node("m = Slice(c, starts, ends, axis)");
            case "Split" ->
                    graph.integers("sizes", 3, 5)
                            .node("p, m = Split(c, sizes)", n -> n.with("axis", 3));
            case "Gather" ->
                    graph.integers("rows", 5, 0, 2)
                            .node("m = Gather(c, rows)", n -> n.with("axis", 2));
            case "Cast" ->
                    graph.node("h = Cast(c)", n -> n.with("to", ElementType.FLOAT16.code()))
                            .node("m = Cast(h)", n -> n.with("to", ElementType.FLOAT.code()));
            case "SpaceToDepth" ->
                    graph.node("s = SpaceToDepth(c)", n -> n.with("blocksize", 2))
                            .node("m = DepthToSpace(s)", n -> n.with("blocksize", 2));
            case "Where" ->
                    graph.constant("low", ConstantTensor.scalar(-0.5f))
                            .node("q = Greater(c, low)")
                            .node("m = Where(q, c, low)");
            case "Expand" -> graph.integers("ones", 1, 1, 1, 1).node("m = Expand(c, ones)");
            case "Tile" -> graph.integers("times", 1, 1, 2, 1).node("m = Tile(c, times)");
            default -> throw new IllegalArgumentException(operator);
        };
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "ReduceMean",
                "ReduceMax",
                "ReduceMin",
                "ReduceL2",
                "ReduceSum",
                "AveragePool",
                "LpPool",
                "Resize",
                "Pad",
                "Slice",
                "Split",
                "Gather",
                "Cast",
                "SpaceToDepth",
                "Where",
                "Expand",
                "Tile"
            })
    @DisplayName("goes through operators that leave what is zero as it is")
    void goesThrough(String operator) {
        TestGraphs graph =
                TestGraphs.opset(14)
                        .input("x: Float[2, 3, 8, 8]")
                        .constant("w1", pruned(6, 4, 3, 1, 1))
                        .node("c = Conv(x, w1)");
        OnnxModel model =
                between(graph, operator)
                        .weight("w2", 5, 6, 1, 1)
                        .node("y = Conv(m, w2)")
                        .output("y")
                        .build();

        OnnxModel slim = OnnxSlimmer.removePruned(model);

        assertEquals(2, width(slim, "Conv"));
        assertSame(model, slim);
    }

    @ParameterizedTest
    @ValueSource(strings = {"ReduceSum", "ReduceL2", "Pad", "AveragePool", "ReduceMean"})
    @DisplayName("that is one number goes through what leaves that as it is, and nothing else")
    void numbersStay(String operator) {
        TestGraphs graph =
                TestGraphs.opset(14)
                        .input("x: Float[2, 3, 8, 8]")
                        .constant("w1", pruned(6, 4, 3, 1, 1))
                        .floats("b1", 1, 2, 3, 4, 5, 6)
                        .node("c = Conv(x, w1, b1)");
        OnnxModel model =
                between(graph, operator)
                        .weight("w2", 5, 6, 1, 1)
                        .node("y = Conv(m, w2)")
                        .output("y")
                        .build();

        OnnxModel slim = OnnxSlimmer.removePruned(model);

        assertEquals(operator.equals("ReduceMean") ? 2 : 6, width(slim, "Conv"));
        assertSame(model, slim);
    }

    @ParameterizedTest
    @EnumSource(names = {"DOUBLE", "FLOAT16"})
    @DisplayName("goes from files of other floats, which keep their type and its precision")
    void otherFloats(ElementType type) {
        ConstantTensor bias = ConstantTensor.floats(List.of(6L), 1, -1, 2, 0.5f, 0, 3);
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: %s[N, 3]".formatted(type))
                        .constant("w1", as(type, pruned(6, 4, 3)))
                        .constant("b1", as(type, bias))
                        .node("h = Gemm(x, w1, b1)", n -> n.with("transB", 1))
                        .node("s = Sigmoid(h)")
                        .constant("w2", as(type, pruned(6, 0, 5)))
                        .node("y = MatMul(s, w2)")
                        .output("y")
                        .build();

        OnnxModel slim = OnnxSlimmer.removePruned(model);

        assertEquals(2, width(slim, "MatMul"));
        assertTrue(slim.graph().constants().values().stream().allMatch(c -> c.type() == type));
        assertSame(model, slim, type == ElementType.DOUBLE ? 1e-14 : 2e-3);
    }

    private static ConstantTensor as(ElementType type, ConstantTensor floats) {
        return ConstantTensor.of(floats.toTensor().to(type.libtorch()));
    }
}

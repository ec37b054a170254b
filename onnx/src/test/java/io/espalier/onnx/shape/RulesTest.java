package io.espalier.onnx.shape;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxNode;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;

@DisplayName("Each operator's results have the types and extents that they have in a run:")
class RulesTest {
    private static final String IMAGE = "x: Float[N, 4, H, W]";
    private static final Map<String, Long> SIZES =
            Map.of("N", 2L, "H", 13L, "W", 18L, "S", 5L, "T", 7L);
    private static final String MS = OnnxNode.MICROSOFT + ":";

    private static void check(TestGraphs graph) {
        var model = graph.build();
        ActualShapes.checkRandom(model, SIZES);
        ActualShapes.checkRandom(model, Map.of("N", 1L, "H", 16L, "W", 11L, "S", 3L, "T", 4L));
    }

    private static UnaryOperator<OnnxNode> integers(String name, Long... values) {
        return node -> node.with(name, List.of(values));
    }

    private static UnaryOperator<OnnxNode> integer(String name, long value) {
        return node -> node.with(name, value);
    }

    private static UnaryOperator<OnnxNode> text(String name, String value) {
        return node -> node.with(name, value);
    }

    @Test
    @DisplayName("convolutions")
    void convolutions() {
        check(
                TestGraphs.opset(17)
                        .input(IMAGE)
                        .weight("w", 6, 4, 3, 3)
                        .weight("depth", 4, 1, 3, 5)
                        .weight("t", 4, 3, 2, 2)
                        .node("a = Conv(x, w)", integers("strides", 2L, 2L))
                        .node("b = Conv(x, w)", integers("dilations", 2L, 3L))
                        .node("c = Conv(x, w)", integers("pads", 0L, 1L, 2L, 3L))
                        .node(
                                "d = Conv(x, depth)",
                                node ->
                                        node.with("group", 4)
                                                .with("auto_pad", "SAME_UPPER")
                                                .with("strides", List.of(2L, 3L)))
                        .node("e = Conv(x, w)", text("auto_pad", "VALID"))
                        .node(
                                "f = ConvTranspose(x, t)",
                                node ->
                                        node.with("strides", List.of(2L, 2L))
                                                .with("output_padding", List.of(1L, 0L))
                                                .with("group", 2))
                        .node(
                                "g = ConvTranspose(x, t)",
                                node ->
                                        node.with("strides", List.of(3L, 2L))
                                                .with("pads", List.of(0L, 1L, 1L, 0L)))
                        .output("a"));
    }

    @Test
    @DisplayName("poolings, also rounded up")
    void poolings() {
        check(
                TestGraphs.opset(17)
                        .input(IMAGE)
                        .node(
                                "a, i = MaxPool(x)",
                                node ->
                                        node.with("kernel_shape", List.of(3L, 3L))
                                                .with("strides", List.of(2L, 2L))
                                                .with("ceil_mode", 1))
                        .node(
                                "b = AveragePool(x)",
                                node ->
                                        node.with("kernel_shape", List.of(2L, 3L))
                                                .with("strides", List.of(3L, 4L))
                                                .with("pads", List.of(1L, 1L, 1L, 1L))
                                                .with("ceil_mode", 1))
                        .node(
                                "c = MaxPool(x)",
                                node ->
                                        node.with("kernel_shape", List.of(3L, 3L))
                                                .with("auto_pad", "SAME_LOWER")
                                                .with("strides", List.of(2L, 2L)))
                        .node("d = GlobalAveragePool(x)")
                        .output("a"));
    }

    @Test
    @DisplayName("products of matrices, stacks and vectors, sums by equations")
    void matrices() {
        check(
                TestGraphs.opset(17)
                        .input("x: Float[N, S, 8]")
                        .input("y: Float[N, 8, T]")
                        .input("q: Float[N, 2, S, 4]")
                        .input("m: Float[S, 6]")
                        .weight("w", 8, 10)
                        .weight("v", 8)
                        .weight("b", 10, 6)
                        .node("a = MatMul(x, y)")
                        .node("c = MatMul(x, w)")
                        .node("d = MatMul(x, v)")
                        .node("e = MatMul(v, w)")
                        .node("f = Gemm(m, b)", integer("transB", 1))
                        .node("g = Einsum(q, q)", text("equation", "bhid,bhjd->bhij"))
                        .node("h = Einsum(x, w)", text("equation", "...i,ij->...j"))
                        .node("k = Einsum(x, v)", text("equation", "bsi,i"))
                        .node(
                                "l = " + MS + "FusedMatMul(x, x)",
                                node -> node.with("transB", 1).with("alpha", 0.5f))
                        .output("a"));
    }

    @Test
    @DisplayName("elements one by one, broadcast")
    void elementwise() {
        check(
                TestGraphs.opset(17)
                        .input("x: Float[N, 1, S]")
                        .input("y: Float[T, 1]")
                        .input("z: Float[N, T, S]")
                        .node("a = Add(x, y)")
                        .node("b = Less(x, y)")
                        .node("c = Where(b, z, x)")
                        .node("d = Cast(c)", integer("to", ElementType.INT32.code()))
                        .node("e = Softmax(z)")
                        .node("f = Max(x, y, z)")
                        .node("g = CastLike(x, d)")
                        .node("h = IsNaN(x)")
                        .node("i, mask = Dropout(z)")
                        .node("j = " + MS + "FastGelu(z)")
                        .output("a"));
    }

    @Test
    @DisplayName("reductions with axes as attribute and as operand")
    void reductions() {
        check(
                TestGraphs.opset(13)
                        .input("x: Float[N, S, T]")
                        .integers("last", -1)
                        .integers("k", 2)
                        .integer("zero", 0)
                        .node("a = ReduceMean(x)", integers("axes", 1L))
                        .node("b = ReduceSum(x, last)", integer("keepdims", 0))
                        .node("c = ReduceMax(x)")
                        .node("d = ArgMax(x)", node -> node.with("axis", 2).with("keepdims", 0))
                        .node("e, f = TopK(x, k)", integer("axis", 1))
                        .node("g = CumSum(x, zero)")
                        .output("a"));
        check(
                TestGraphs.opset(18)
                        .input("x: Float[N, S, T]")
                        .integers("axes", 0, -1)
                        .node("a = ReduceMean(x, axes)")
                        .node("b = ReduceL2(x)", integer("noop_with_empty_axes", 1))
                        .output("a"));
    }

    @Test
    @DisplayName("other extents for the same elements")
    void layouts() {
        check(
                TestGraphs.opset(17)
                        .input(IMAGE)
                        .integers("rows", 0, -1, 2)
                        .integers("all", -1)
                        .integers("front", 0, -1)
                        .node("a = Reshape(x, rows)")
                        .node("b = Reshape(x, all)")
                        .node("c = Flatten(x)", integer("axis", 2))
                        .node("d = Unsqueeze(x, front)")
                        .node("e = Squeeze(d, front)")
                        .node("f = Transpose(x)", integers("perm", 0L, 2L, 3L, 1L))
                        .node("g = DepthToSpace(x)", integer("blocksize", 2))
                        .node("h = SpaceToDepth(g)", integer("blocksize", 2))
                        .output("a"));
    }

    @Test
    @DisplayName("parts taken, put together and put in place")
    void selections() {
        check(
                TestGraphs.opset(17)
                        .input(IMAGE)
                        .integers("starts", 1, -1)
                        .integers("ends", Long.MAX_VALUE, Long.MIN_VALUE)
                        .integers("axes", 2, 3)
                        .integers("steps", 2, -3)
                        .integers("sizes", 1, 3)
                        .constant("places", ConstantTensor.longs(List.of(2L, 1L), 0, 1))
                        .integer("one", 1)
                        .integer("depth", 3)
                        .weight("values", 2)
                        .node("a = Slice(x, starts, ends, axes, steps)")
                        .node("b, c = Split(x, sizes)", integer("axis", 1))
                        .node("d = Concat(x, c, x)", integer("axis", 1))
                        .node("e = Gather(x, one)", integer("axis", 2))
                        .node("f = Gather(x, places)", integer("axis", 1))
                        .node("h = GatherND(e, places)", integer("batch_dims", 1))
                        .node("i = OneHot(places, depth, values)", integer("axis", 1))
                        .node("j = Trilu(x)")
                        .output("a"));
        check(
                TestGraphs.opset(18)
                        .input("x: Float[S, 8]")
                        .node(
                                "a, b, c = Split(x)",
                                node -> node.with("num_outputs", 3).with("axis", 1))
                        .output("a"));
    }

    @Test
    @DisplayName("tensors made longer and shorter")
    void sizing() {
        check(
                TestGraphs.opset(18)
                        .input(IMAGE)
                        .integers("pads", 0, 1, 0, 2, 0, -1, 3, 0)
                        .integers("few", 1, 2)
                        .integers("axes", 3)
                        .integers("repeats", 1, 2, 1, 3)
                        .integers("onto", 3, 1, 1, 1, 1)
                        .integers("sizes", 9, 5)
                        .integers("spatial", 2, 3)
                        .floats("scales", 1, 1, 2, 1.5f)
                        .floats("zero", 0)
                        .node("a = Pad(x, pads)")
                        .node("b = Pad(x, few, , axes)")
                        .node("c = Tile(x, repeats)")
                        .node("d = Expand(x, onto)")
                        .node("e = Resize(x, , scales)")
                        .node("f = Resize(x, , , sizes)", integers("axes", 2L, 3L))
                        .output("a"));
        check(
                TestGraphs.opset(10)
                        .input(IMAGE)
                        .floats("scales", 1, 1, 0.5f, 3)
                        .node("a = Resize(x, scales)", text("mode", "nearest"))
                        .output("a"));
        check(
                TestGraphs.opset(9)
                        .input(IMAGE)
                        .floats("scales", 1, 1, 2, 3)
                        .node("a = Upsample(x, scales)", text("mode", "nearest"))
                        .node(
                                "b = Slice(x)",
                                node ->
                                        node.with("axes", List.of(2L, 3L))
                                                .with("starts", List.of(-4L, 1L))
                                                .with("ends", List.of(-1L, 1000L)))
                        .output("a"));
    }

    @Test
    @DisplayName("normalizations and recurrent networks")
    void normalizations() {
        check(
                TestGraphs.opset(17)
                        .input("x: Float[N, 4, T]")
                        .input("t: Float[T, N, 6]")
                        .weight("c", 4)
                        .weight("l", 4, 1)
                        .weight("w", 2, 12, 6)
                        .weight("r", 2, 12, 3)
                        .weight("gw", 1, 9, 6)
                        .weight("gr", 1, 9, 3)
                        .node("a = InstanceNormalization(x, c, c)")
                        .node("b, mean, scale = LayerNormalization(x, l)", integer("axis", 1))
                        .node(
                                "d, e, f = LSTM(t, w, r)",
                                node ->
                                        node.with("hidden_size", 3)
                                                .with("direction", "bidirectional"))
                        .node("g, h = GRU(t, gw, gr)", integer("hidden_size", 3))
                        .output("a"));
    }

    @Test
    @DisplayName("integers and what scales them")
    void quantization() {
        var u8 = ElementType.UINT8;
        var s8 = ElementType.INT8;
        check(
                TestGraphs.opset(17)
                        .input("x: Float[N, 4, H, W]")
                        .input("m: Float[N, S, 4]")
                        .constant("s", ConstantTensor.scalar(0.1f))
                        .constant("z", ConstantTensor.bytes(u8, List.of(), (byte) 3))
                        .constant("zw", ConstantTensor.bytes(s8, List.of(), (byte) 0))
                        .constant(
                                "w",
                                ConstantTensor.bytes(s8, List.of(6L, 4L, 1L, 1L), new byte[24]))
                        .constant("d", ConstantTensor.bytes(s8, List.of(4L, 5L), new byte[20]))
                        .node("q = QuantizeLinear(x, s, z)")
                        .node("f = DequantizeLinear(q, s, z)")
                        .node("c = QLinearConv(q, s, z, w, s, zw, s, z)")
                        .node("i = ConvInteger(q, w, z)")
                        .node("mq, ms, mz = DynamicQuantizeLinear(m)")
                        .node("mi = MatMulInteger(mq, d, mz)")
                        .node("mm = QLinearMatMul(mq, ms, mz, d, s, zw, s, z)")
                        .node("mf = " + MS + "MatMulIntegerToFloat(mq, d, ms, s, mz, zw)")
                        .node("md = " + MS + "DynamicQuantizeMatMul(m, d, s, zw)")
                        .node("qa = " + MS + "QLinearAdd(q, s, z, q, s, z, s, z)")
                        .node("ql = " + MS + "QLinearLeakyRelu(q, s, z, s, z)")
                        .node("qg = " + MS + "QLinearGlobalAveragePool(q, s, z, s, z)")
                        .node(
                                "qp = " + MS + "QLinearAveragePool(q, s, z, s, z)",
                                node ->
                                        node.with("kernel_shape", List.of(2L, 2L))
                                                .with("strides", List.of(2L, 2L)))
                        .node(
                                "qc = " + MS + "QLinearConcat(s, z, q, s, z, q, s, z)",
                                integer("axis", 1))
                        .node("last = Transpose(q)", integers("perm", 0L, 2L, 3L, 1L))
                        .node(
                                "qw = " + MS + "QLinearConv(last, s, z, w, s, zw, s, z)",
                                integer("channels_last", 1))
                        .output("f"));
    }

    @Test
    @DisplayName("weights and tables of 4 bits, and the runtime's fused operators")
    void blocks() {
        check(
                TestGraphs.opset(17)
                        .input("m: Float[N, S, 32]")
                        .constant(
                                "w",
                                ConstantTensor.bytes(
                                        ElementType.UINT8, List.of(10L, 2L, 8L), new byte[160]))
                        .weight("scales", 20)
                        .constant(
                                "table",
                                ConstantTensor.bytes(
                                        ElementType.UINT8, List.of(7L, 16L), new byte[112]))
                        .weight("rows", 7, 2)
                        .weight("g", 32)
                        .constant("ids", ConstantTensor.longs(List.of(2L, 3L), 0, 1, 2, 3, 4, 5))
                        .node(
                                "a = " + MS + "MatMulNBits(m, w, scales)",
                                node ->
                                        node.with("K", 32)
                                                .with("N", 10)
                                                .with("bits", 4)
                                                .with("block_size", 16))
                        .node(
                                "b = " + MS + "GatherBlockQuantized(table, ids, rows)",
                                node ->
                                        node.with("block_size", 16)
                                                .with("bits", 4)
                                                .with("quantize_axis", 1))
                        .node("c = " + MS + "SkipLayerNormalization(m, m, g)")
                        .node("d = " + MS + "BiasGelu(m, g)")
                        .output("a"));
    }

    @Test
    @DisplayName("attention in one operator, and what the runtime fuses into convolutions")
    void attention() {
        check(
                TestGraphs.opset(17)
                        .input("x: Float[N, S, 8]")
                        .input("y: Float[N, T, 8]")
                        .input("p: Float[N, 4, H, W]")
                        .weight("w", 8, 24)
                        .weight("b", 24)
                        .weight("c", 6, 4, 3, 3)
                        .node("a = " + MS + "Attention(x, w, b)", integer("num_heads", 2))
                        .node("m = " + MS + "MultiHeadAttention(x, y, y)", integer("num_heads", 2))
                        .node(
                                "f = " + MS + "FusedConv(p, c)",
                                node -> node.with("activation", "Relu"))
                        .node("g = " + MS + "Gelu(x)")
                        .output("a"));
    }

    @Test
    @DisplayName("extents computed in the graph, as exporters write them")
    void arithmetic() {
        check(
                TestGraphs.opset(17)
                        .input(IMAGE)
                        .integer("i0", 0)
                        .integer("i2", 2)
                        .integer("i3", 3)
                        .integers("minus", -1)
                        .integers("front", 0)
                        .integers("two", 2)
                        .integers("four", 4)
                        .integers("pattern", 1, -1, -1)
                        .constant("half", ConstantTensor.scalar(0.5f))
                        .node("shape = Shape(x)")
                        .node("n = Gather(shape, i0)")
                        .node("h = Gather(shape, i2)")
                        .node("w = Gather(shape, i3)")
                        .node("hw = Mul(h, w)")
                        .node("n1 = Unsqueeze(n, front)")
                        .node("hw1 = Unsqueeze(hw, front)")
                        .node("tokens = Concat(n1, minus, hw1)", integer("axis", 0))
                        .node("a = Reshape(x, tokens)")
                        .node("hf = Cast(h)", integer("to", 1))
                        .node("hh = Mul(hf, half)")
                        .node("hc = Ceil(hh)")
                        .node("hi = Cast(hc)", integer("to", 7))
                        .node("h1 = Unsqueeze(hi, front)")
                        .node("spatial = Slice(shape, two, four, front)")
                        .node("doubled = Mul(spatial, two)")
                        .node("lead = Slice(shape, front, two, front)")
                        .node("sizes = Concat(lead, doubled)", integer("axis", 0))
                        .node("b = Resize(x, , , sizes)", text("mode", "nearest"))
                        .node("zeros = ConstantOfShape(spatial)")
                        .node("range = Range(i0, hw, i2)")
                        .node("line = ConstantOfShape(h1)")
                        .node("same = Equal(pattern, minus)")
                        .node("onto = Where(same, tokens, pattern)")
                        .node("rows = Unsqueeze(range, front)")
                        .node("size = Size(x)")
                        .node("flat = Reshape(x, all)")
                        .node("all = Unsqueeze(size, front)")
                        .output("a"));
    }

    @Test
    @DisplayName("paddings as exporters write those of odd lengths: reversed and turned")
    void paddings() {
        check(
                TestGraphs.opset(17)
                        .input("x: Float[N, 4, 13, 18]")
                        .integer("i2", 2)
                        .integer("i3", 3)
                        .integer("two", 2)
                        .integers("nothing", 0)
                        .integers("pairs", -1, 2)
                        .integers("row", -1)
                        .integers("last", -1)
                        .integers("first", Long.MIN_VALUE + 1)
                        .integers("four", 4)
                        .node("shape = Shape(x)")
                        .node("h = Gather(shape, i2)")
                        .node("w = Gather(shape, i3)")
                        .node("oddH = Mod(h, two)")
                        .node("oddW = Mod(w, two)")
                        .node("padH = Unsqueeze(oddH, nothing)")
                        .node("padW = Unsqueeze(oddW, nothing)")
                        .node("given = Concat(nothing, padW, nothing, padH)", integer("axis", 0))
                        .node("others = ConstantOfShape(four)")
                        .node("rest = Cast(others)", integer("to", 7))
                        .node("all = Concat(given, rest)", integer("axis", 0))
                        .node("sides = Reshape(all, pairs)")
                        .node("reversed = Slice(sides, last, first, nothing, last)")
                        .node("turned = Transpose(reversed)", integers("perm", 1L, 0L))
                        .node("pads = Reshape(turned, row)")
                        .node("y = Pad(x, pads)")
                        .node("z = Relu(y)")
                        .output("z"));
    }

    @Test
    @DisplayName("branches and loops")
    void controlFlow() {
        var twice = TestGraphs.opset(17).node("t = Concat(x, x)", integer("axis", 1)).output("t");
        var other = TestGraphs.opset(17).node("u = Concat(x, x)", integer("axis", 1)).output("u");
        var body =
                TestGraphs.opset(17)
                        .input("i: Int64[]")
                        .input("go: Bool[]")
                        .input("grown: Float")
                        .input("kept: Float")
                        .node("goes = Identity(go)")
                        .node("longer = Concat(grown, x)", integer("axis", 1))
                        .node("still = Relu(kept)")
                        .node("each = ReduceSum(kept)", integer("keepdims", 0))
                        .output("goes: Bool[]")
                        .output("longer: Float")
                        .output("still: Float")
                        .output("each: Float[]");
        var step =
                TestGraphs.opset(17)
                        .input("state: Float[4]")
                        .input("row: Float[4]")
                        .node("next = Add(state, row)")
                        .node("seen = Mul(next, next)")
                        .output("next: Float[4]")
                        .output("seen: Float[4]");
        var model =
                TestGraphs.opset(17)
                        .input("x: Float[N, 4]")
                        .input("flag: Bool[]")
                        .integer("count", 3)
                        .weight("start", 4)
                        .constant(
                                "true", ConstantTensor.bytes(ElementType.BOOL, List.of(), (byte) 1))
                        .node(
                                "y = If(flag)",
                                node ->
                                        node.with("then_branch", twice.graph())
                                                .with("else_branch", other.graph()))
                        .node(
                                "z, kept_z, all = Loop(count, true, x, x)",
                                node -> node.with("body", body.graph()))
                        .node(
                                "end, steps = Scan(start, x)",
                                node -> node.with("body", step.graph()).with("num_scan_inputs", 1))
                        .output("y")
                        .output("z")
                        .build();
        Shapes shapes = Shapes.of(model);

        assertEquals("Float[N, 8]", shapes.type("y").toString());
        assertEquals("Float[N, ?]", shapes.type("z").toString().replaceAll("\\?\\d+", "?"));
        assertEquals("Float[N, 4]", shapes.type("kept_z").toString());
        assertEquals("Float[3]", shapes.type("all").toString());
        assertEquals("Float[4]", shapes.type("end").toString());
        assertEquals("Float[N, 4]", shapes.type("steps").toString());
    }
}

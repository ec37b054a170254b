package io.espalier.onnx.slim;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.model.OnnxModel;

import java.util.List;

/** What goes together in a small graph: units and what each is made of. */
@SuppressWarnings("ImmutableEnumChecker") // Slimmers leave the models that they are given.
enum SmallNetwork {
    NORMALIZED(
            TestGraphs.opset(17)
                    .input("x: Float[N, 3, 8, 8]")
                    .weight("w1", 8, 3, 3, 3)
                    .node("c = Conv(x, w1)", n -> n.with("pads", List.of(1L, 1L, 1L, 1L)))
                    .weight("scale", 8)
                    .weight("shift", 8)
                    .node("n = InstanceNormalization(c, scale, shift)")
                    .weight("slope", 8, 1, 1)
                    .node("p = PRelu(n, slope)")
                    .weight("w2", 8, 1, 3, 3)
                    .node("d = Conv(p, w2)", n -> n.with("group", 8))
                    .weight("w3", 5, 8, 1, 1)
                    .node("y = Conv(d, w3)")
                    .output("y"),
            "8 units of w1[0], scale[0], shift[0], slope[0], w2[0], w3[1]"),
    GROUPED(
            TestGraphs.opset(17)
                    .input("x: Float[N, 3, 8, 8]")
                    .weight("w1", 12, 3, 1, 1)
                    .node("c = Conv(x, w1)")
                    .weight("w2", 8, 3, 3, 3)
                    .node("g = Conv(c, w2)", n -> n.with("group", 4))
                    .weight("w3", 8, 5, 2, 2)
                    .node("t = ConvTranspose(g, w3)", n -> n.with("group", 2))
                    .output("t"),
            // Two groups of the second layer make one of the third, which are both needed.
            "2 units of 6 of w1[0], 4 of w2[0], 4 of w3[0]"),
    RECURRENT(
            TestGraphs.opset(17)
                    .input("x: Float[L, 2, 6]")
                    .weight("w", 2, 32, 6)
                    .weight("r", 2, 32, 8)
                    .weight("b", 2, 64)
                    .node(
                            "h, last, cell = LSTM(x, w, r, b)",
                            n -> n.with("hidden_size", 8).with("direction", "bidirectional"))
                    .node("t = Transpose(h)", n -> n.with("perm", List.of(0L, 2L, 1L, 3L)))
                    .integers("both", 0, 0, -1)
                    .node("f = Reshape(t, both)")
                    .weight("out", 16, 3)
                    .node("y = MatMul(f, out)")
                    .output("y"),
            "8 units of 4 of r[1], r[2], 4 of w[1], 8 of b[1], 2 of out[0]"),
    PIXELS(
            TestGraphs.opset(17)
                    .input("x: Float[N, 3, 4, 4]")
                    .weight("w1", 24, 3, 1, 1)
                    .node("c = Conv(x, w1)")
                    .node("d = DepthToSpace(c)", n -> n.with("blocksize", 2).with("mode", "CRD"))
                    .weight("w2", 3, 6, 1, 1)
                    .node("y = Conv(d, w2)")
                    .output("y"),
            "6 units of 4 of w1[0], w2[1]"),
    GATED(
            TestGraphs.opset(17)
                    .input("x: Float[N, L, 6]")
                    .weight("w1", 6, 16)
                    .node("h = MatMul(x, w1)")
                    .node("a, b = Split(h)", n -> n.with("axis", -1))
                    .node("s = Sigmoid(a)")
                    .node("m = Mul(s, b)")
                    .weight("w2", 8, 6)
                    .node("z = MatMul(m, w2)")
                    .node("y = Add(z, x)")
                    .output("y"),
            "8 units of 2 of w1[1], w2[0]"),
    TIED(
            TestGraphs.opset(17)
                    .input("i: Int64[N, L]")
                    .weight("table", 9, 6)
                    .node("e = Gather(table, i)")
                    .weight("w", 6, 6)
                    .node("h = MatMul(e, w)")
                    .node("t = Transpose(table)")
                    .node("y = MatMul(h, t)")
                    .output("y"),
            "6 units of table[1], w[0], w[1]"),
    PARTS(
            TestGraphs.opset(17)
                    .input("x: Float[N, 3, 8, 8]")
                    .weight("w1", 10, 3, 1, 1)
                    .node("c = Conv(x, w1)")
                    .integers("pads", 0, 2, 0, 0, 0, 0, 0, 0)
                    .node("p = Pad(c, pads)")
                    .integers("starts", 1)
                    .integers("ends", 10)
                    .integers("axes", 1)
                    .node("s = Slice(p, starts, ends, axes)")
                    .integers("order", 8, 6, 4, 2)
                    .node("g = Gather(s, order)", n -> n.with("axis", 1))
                    .weight("w2", 3, 4, 1, 1)
                    .node("y = Conv(g, w2)")
                    .output("y"),
            "4 units of w1[0], w2[1]"),
    MEANS(
            TestGraphs.opset(17)
                    .input("x: Float[N, L, 6]")
                    .weight("w1", 6, 8)
                    .node("h = MatMul(x, w1)")
                    .weight("scale", 8)
                    .weight("shift", 8)
                    .node("n = LayerNormalization(h, scale, shift)")
                    .weight("w2", 8, 3)
                    .node("y = MatMul(n, w2)")
                    .output("y"),
            "8 units of w1[1], scale[0], shift[0], w2[0]; changes 'n/LayerNormalization'"),
    EXTREMES(
            TestGraphs.opset(17)
                    .input("x: Float[N, 3, 8, 8]")
                    .weight("w1", 8, 3, 1, 1)
                    .node("c = Conv(x, w1)")
                    .node("m = ReduceMax(c)", n -> n.with("axes", List.of(1L)))
                    .node("l = ReduceMin(c)", n -> n.with("axes", List.of(1L)))
                    .node("a = Concat(m, l)", n -> n.with("axis", 1))
                    .weight("wa", 1, 2, 1, 1)
                    .node("g = Conv(a, wa)")
                    .node("s = Mul(c, g)")
                    .weight("w2", 4, 8, 1, 1)
                    .node("y = Conv(s, w2)")
                    .output("y"),
            "8 units of w1[0], w2[1]; changes 'm/ReduceMax'"),
    POSITIONS(
            TestGraphs.opset(17)
                    .input("x: Float[N, 5, 6]")
                    .weight("w1", 6, 8)
                    .node("h = MatMul(x, w1)")
                    .weight("w", 5, 5, 1)
                    .node("c = Conv(h, w)")
                    .weight("w2", 8, 3)
                    .node("y = MatMul(c, w2)")
                    .output("y"),
            "8 units of w1[1], w2[0]"),
    UNKNOWN(
            TestGraphs.opset(17)
                    .input("x: Float[N, 3, 8, 8]")
                    .weight("w1", 8, 3, 1, 1)
                    .node("c = Conv(x, w1)")
                    .node("l = LRN(c)", n -> n.with("size", 3))
                    .weight("w2", 8, 8, 1, 1)
                    .node("d = Conv(l, w2)")
                    .weight("w3", 4, 8, 1, 1)
                    .node("y = Conv(d, w3)")
                    .output("y"),
            "8 units of w2[0], w3[1]");

    final OnnxModel model;
    final String group;

    SmallNetwork(TestGraphs graph, String group) {
        model = graph.build();
        this.group = group;
    }
}

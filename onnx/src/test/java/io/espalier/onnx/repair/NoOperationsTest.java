package io.espalier.onnx.repair;

import static io.espalier.onnx.repair.Results.assertSame;
import static io.espalier.onnx.repair.Results.assertUntouched;
import static io.espalier.onnx.repair.Results.operators;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.List;
import java.util.function.UnaryOperator;

@DisplayName("What gives its input unchanged")
class NoOperationsTest {
    private static final String PASS = "no-operations";

    private static TestGraphs graph() {
        return TestGraphs.opset(17)
                .input("x: Float[N, 3, 4]")
                .constant("zero", ConstantTensor.scalar(0))
                .floats("one", 1)
                .constant("trains", ConstantTensor.bytes(ElementType.BOOL, List.of(), (byte) 1))
                .constant("large", ConstantTensor.floats(List.of(1L, 1L, 1L, 1L), 1))
                .integers("same", 0, 3, -1)
                .integers("other", 0, 4, 3)
                .integers("axes", 0, 2)
                .integers("axis", 1)
                .integers("nowhere", 0, 0, 0, 0, 0, 0)
                .integers("somewhere", 0, 0, 1, 0, 0, 0);
    }

    /** A call between two others, so that it gives no result of the graph. */
    private static TestGraphs within(String call, UnaryOperator<OnnxNode> attributes) {
        return graph().node("a = Relu(x)")
                .node(call, attributes)
                .node("y = Sigmoid(b)")
                .output("y");
    }

    private static void removes(String call, UnaryOperator<OnnxNode> attributes) {
        OnnxModel model = within(call, attributes).build();
        OnnxModel less = Repair.pass(PASS).run(model);

        assertEquals("Relu 1, Sigmoid 1", operators(less), call);
        assertSame(model, less, 2, 3, 4);
    }

    private static void removes(String call) {
        removes(call, n -> n);
    }

    private static void keeps(String call, UnaryOperator<OnnxNode> attributes) {
        assertUntouched(PASS, within(call, attributes).build());
    }

    private static void keeps(String call) {
        keeps(call, n -> n);
    }

    @Test
    @DisplayName("is taken out")
    void removed() {
        removes("b = Identity(a)");
        removes("b = Dropout(a)");
        removes("b = Dropout(a, zero, trains)");
        removes("b = Cast(a)", n -> n.with("to", ElementType.FLOAT.code()));
        removes("b = Sum(a)");
        removes("b = Concat(a)", n -> n.with("axis", 1));
        removes("b = Clip(a)");
        removes("b = Transpose(a)", n -> n.with("perm", List.of(0L, 1L, 2L)));
        removes("b = Add(zero, a)");
        removes("b = Sub(a, zero)");
        removes("b = Mul(a, one)");
        removes("b = Div(a, one)");
        removes("b = Pow(a, one)");
        removes("b = Pad(a, nowhere)");
        removes("b = Reshape(a, same)");
    }

    @Test
    @DisplayName("is kept where it does change something")
    void kept() {
        keeps("b = Cast(a)", n -> n.with("to", ElementType.DOUBLE.code()));
        keeps("b = Sum(a, x)");
        keeps("b = Concat(a, x)", n -> n.with("axis", 1));
        keeps("b = Clip(a, zero)");
        keeps("b = Transpose(a)", n -> n.with("perm", List.of(0L, 2L, 1L)));
        keeps("b = Transpose(a)");
        keeps("b = Sub(zero, a)");
        keeps("b = Mul(a, zero)");
        keeps("b = Mul(a, large)");
        keeps("b = Div(one, a)");
        keeps("b = Pow(one, a)");
        keeps("b = Pad(a, somewhere)");
        keeps("b = Reshape(a, other)");
    }

    @Test
    @DisplayName("gives way also where it gives a result of the graph, whose name stays")
    void results() {
        OnnxModel model =
                graph().node("a = Relu(x)")
                        .node("b = Neg(a)")
                        .node("y = Identity(a)")
                        .output("y")
                        .output("b")
                        .build();
        OnnxModel less = Repair.pass(PASS).run(model);
        assertEquals("Neg 1, Relu 1", operators(less));
        assertSame(model, less, 2, 3, 4);

        assertUntouched(PASS, graph().node("y = Identity(x)").output("y").build());
        assertUntouched(
                PASS,
                graph().node("a = Relu(x)")
                        .node("y = Identity(a)")
                        .output("y")
                        .output("a")
                        .build());
    }

    @Test
    @DisplayName("is taken out in pairs that undo each other, and rearrangements become one")
    void pairs() {
        OnnxModel model =
                graph().node("a = Transpose(x)", n -> n.with("perm", List.of(1L, 2L, 0L)))
                        .node("b = Transpose(a)", n -> n.with("perm", List.of(2L, 0L, 1L)))
                        .node("c = Relu(b)")
                        .node("d = Transpose(c)", n -> n.with("perm", List.of(1L, 2L, 0L)))
                        .node("e = Transpose(d)", n -> n.with("perm", List.of(1L, 0L, 2L)))
                        .node("f = Unsqueeze(e, axis)")
                        .node("g = Squeeze(f, axis)")
                        .node("h = Neg(g)")
                        .integers("flat", -1)
                        .integers("wide", 4, -1)
                        .node("i = Reshape(h, flat)")
                        .node("y = Reshape(i, wide)")
                        .output("y")
                        .build();

        Repaired repaired = Repair.run(model, List.of(Repair.pass(PASS)));

        assertEquals("Neg 1, Relu 1, Reshape 1, Transpose 1", operators(repaired.model()));
        assertSame(model, repaired.model(), 2, 3, 4);
    }

    @Test
    @DisplayName("is no pair where the second reads what the first had by other axes or extents")
    void noPairs() {
        assertUntouched(
                PASS,
                graph().node("a = Unsqueeze(x, axes)")
                        .node("b = Squeeze(a, axis2)")
                        .node("c = Relu(b)")
                        .integers("axis2", 0)
                        .integers("flat", 0, -1)
                        .integers("copy", 0, 2, 6)
                        .node("d = Reshape(c, flat)")
                        .node("y = Reshape(d, copy)")
                        .output("y")
                        .build());
    }

    @Test
    @DisplayName("is a Dropout only as long as it is not told to train")
    void training() {
        var yes = ConstantTensor.bytes(ElementType.BOOL, List.of(), (byte) 1);
        var no = ConstantTensor.bytes(ElementType.BOOL, List.of(), (byte) 0);
        for (ConstantTensor training : List.of(yes, no)) {
            OnnxModel model =
                    graph().constant("half", ConstantTensor.scalar(0.5f))
                            .constant("training", training)
                            .node("a = Relu(x)")
                            .node("b = Dropout(a, half, training)")
                            .node("y = Neg(b)")
                            .output("y")
                            .build();
            OnnxModel less = Repair.pass(PASS).run(model);
            assertEquals(
                    training == yes ? "Dropout 1, Neg 1, Relu 1" : "Neg 1, Relu 1",
                    operators(less));
        }
    }
}

package io.espalier.onnx.repair;

import static io.espalier.onnx.repair.Results.assertSame;
import static io.espalier.onnx.repair.Results.assertUntouched;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxModel;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.List;

@DisplayName("The version of the operators")
class OpsetConversionTest {
    private static final String PASS = "opset";

    /** A graph with HardSwish spelled out as {@code h}. */
    private static TestGraphs hardSwish(int opset) {
        return TestGraphs.opset(opset)
                .input("x: Float[N, 4, 6]")
                .constant("zero", ConstantTensor.scalar(0))
                .constant("three", ConstantTensor.scalar(3))
                .constant("six", ConstantTensor.scalar(6))
                .node("a = Add(x, three)")
                .node("b = Clip(a, zero, six)")
                .node("c = Mul(x, b)")
                .node("h = Div(c, six)");
    }

    @Test
    @DisplayName("is raised where an operator is spelled out that a newer one has")
    void raised() {
        OnnxModel model =
                hardSwish(11)
                        .node("u = Unsqueeze(h)", n -> n.with("axes", List.of(1L)))
                        .node("v = Squeeze(u)", n -> n.with("axes", List.of(1L)))
                        .node(
                                "p, q = Split(v)",
                                n -> n.with("axis", 1).with("split", List.of(1L, 3L)))
                        .node("s = ReduceSum(q)", n -> n.with("axes", List.of(1L)))
                        .node("t = Softmax(s)", n -> n.with("axis", 2))
                        .node("d = Dropout(t)", n -> n.with("ratio", 0.3f))
                        .node("m = ReduceMean(p)", n -> n.with("axes", List.of(-1L)))
                        .node("y = Add(d, m)")
                        .output("y")
                        .build();

        OnnxModel raised = Repair.pass(PASS).run(model);

        assertEquals(14, raised.opset());
        assertSame(model, raised, 2, 4, 6);
    }

    @Test
    @DisplayName("is raised from where attributes were what inputs are now")
    void old() {
        OnnxModel model =
                TestGraphs.opset(9)
                        .input("x: Float[N, 4, 6]")
                        .constant("three", ConstantTensor.scalar(3))
                        .constant("six", ConstantTensor.scalar(6))
                        .weight("gain", 4)
                        .weight("shift", 4)
                        .weight("mean", 4)
                        .floats("variance", 1, 2, 3, 4)
                        .floats("scales", 1, 2, 1)
                        .node("a = Add(x, three)")
                        .node("b = Clip(a)", n -> n.with("min", 0f).with("max", 6f))
                        .node("c = Mul(x, b)")
                        .node("h = Div(c, six)")
                        .node("n = BatchNormalization(h, gain, shift, mean, variance)")
                        .node("l = Clip(n)", n -> n.with("max", 1f))
                        .node(
                                "p = Pad(l)",
                                n ->
                                        n.with("pads", List.of(0L, 0L, 1L, 0L, 1L, 2L))
                                                .with("value", 2f))
                        .node(
                                "s = Slice(p)",
                                n ->
                                        n.with("starts", List.of(1L, 0L))
                                                .with("ends", List.of(9L, -1L))
                                                .with("axes", List.of(2L, 1L)))
                        .node("t, places = TopK(s)", n -> n.with("k", 5).with("axis", 2))
                        .node("u = Upsample(t, scales)", n -> n.with("mode", "nearest"))
                        .node("y = Unsqueeze(u)", n -> n.with("axes", List.of(1L)))
                        .output("y")
                        .output("places")
                        .build();

        OnnxModel raised = Repair.pass(PASS).run(model);

        assertEquals(14, raised.opset());
        assertSame(model, raised, 2, 4, 6);
        assertEquals(11, Repair.raised(model, 11).opset());
        assertSame(model, Repair.raised(model, 11), 2, 4, 6);
    }

    @Test
    @DisplayName("stays where nothing is spelled out, or it is high enough")
    void notNeeded() {
        assertUntouched(PASS, hardSwish(14).output("h").build());
        assertUntouched(
                PASS,
                TestGraphs.opset(11).input("x: Float[N]").node("y = Relu(x)").output("y").build());
    }

    @Test
    @DisplayName("stays where an operator would mean something else, or isn't known")
    void notPossible() {
        assertUntouched(PASS, hardSwish(11).node("y = Magic(h)").output("y").build());
        assertUntouched(
                PASS,
                hardSwish(11)
                        .floats("scales", 1, 1, 0.5f)
                        .node("y = Upsample(h, scales)")
                        .output("y")
                        .build());
    }

    @Test
    @DisplayName("is raised where shares are over several dimensions, which are rows then")
    void sharesOverRows() {
        OnnxModel model =
                hardSwish(11)
                        .node("s = Softmax(h)", n -> n.with("axis", 1))
                        .node("l = LogSoftmax(h)", n -> n.with("axis", -2))
                        .node("y = Add(s, l)")
                        .output("y")
                        .build();

        OnnxModel raised = Repair.raised(model, 13);

        assertEquals(13, raised.opset());
        assertSame(model, raised, 2, 4, 6);
    }
}

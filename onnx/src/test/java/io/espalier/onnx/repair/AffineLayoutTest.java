package io.espalier.onnx.repair;

import static io.espalier.onnx.repair.Results.assertSame;
import static io.espalier.onnx.repair.Results.assertUntouched;
import static io.espalier.onnx.repair.Results.operators;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.model.OnnxModel;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.List;

@DisplayName("A scale and a shift between convolutions that no weights take in")
class AffineLayoutTest {
    private static final String PASS = "affine-layout";

    private static TestGraphs graph() {
        return TestGraphs.opset(17)
                .input("x: Float[N, 4, 9, 9]")
                .weight("w", 8, 4, 3, 3)
                .weight("d", 8, 1, 3, 3)
                .weight("each", 8, 1, 1)
                .floats("s", 1.3f)
                .floats("t", -0.4f);
    }

    private static TestGraphs padded(TestGraphs graphs, String from) {
        return graphs.node(
                        "y = Conv(" + from + ", d)",
                        n -> n.with("group", 8).with("pads", List.of(1L, 1L, 1L, 1L)))
                .output("y");
    }

    @Test
    @DisplayName("become one BatchNormalization")
    void normalization() {
        OnnxModel model =
                padded(
                                graph().node("c = Conv(x, w)")
                                        .node("h = HardSwish(c)")
                                        .node("m = Mul(s, h)")
                                        .node("a = Add(m, t)")
                                        .node("e = Mul(a, each)"),
                                "e")
                        .build();

        OnnxModel normalized = Repair.pass(PASS).run(model);

        assertEquals("BatchNormalization 1, Conv 2, HardSwish 1", operators(normalized));
        assertSame(model, normalized, 2, 4, 9, 9);
    }

    @Test
    @DisplayName("stay where they only scale, or don't follow a convolution")
    void untouched() {
        assertUntouched(
                PASS, padded(graph().node("c = Conv(x, w)").node("m = Mul(s, c)"), "m").build());
        assertUntouched(
                PASS,
                padded(
                                graph().node("c = Conv(x, w)")
                                        .node("r = Sigmoid(c)")
                                        .node("m = Add(r, t)"),
                                "m")
                        .build());
    }
}

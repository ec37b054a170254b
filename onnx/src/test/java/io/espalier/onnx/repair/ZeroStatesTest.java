package io.espalier.onnx.repair;

import static io.espalier.onnx.repair.Results.assertSame;
import static io.espalier.onnx.repair.Results.assertUntouched;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.slim.OnnxSlimmer;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.List;

@DisplayName("Initial states of recurrent layers")
class ZeroStatesTest {
    private static final String PASS = "zero-states";

    /** A layer as exporters write it whose batch is free. */
    private static TestGraphs recurrent(float state) {
        return TestGraphs.opset(17)
                .input("x: Float[T, N, 6]")
                .node("shape = Shape(x)")
                .integers("second", 1)
                .integers("first", 1)
                .integers("last", 8)
                .node("batch = Gather(shape, second)")
                .node("sizes = Concat(first, batch, last)", n -> n.with("axis", 0))
                .constant("number", ConstantTensor.floats(List.of(1L, 1L, 1L), state))
                .node("h = Expand(number, sizes)")
                .node("c = ConstantOfShape(sizes)");
    }

    private static OnnxNode eight(OnnxNode node) {
        return node.with("hidden_size", 8);
    }

    @Test
    @DisplayName("are left out where they are zero, and hidden units can go then")
    void zero() {
        OnnxModel model =
                recurrent(0)
                        .weight("w", 1, 32, 6)
                        .weight("r", 1, 32, 8)
                        .weight("b", 1, 64)
                        .node("all = LSTM(x, w, r, b, , h, c)", ZeroStatesTest::eight)
                        .integers("to", 0, -1, 8)
                        .node("rows = Reshape(all, to)")
                        .weight("o", 8, 5)
                        .node("y = MatMul(rows, o)")
                        .output("y")
                        .build();

        OnnxModel less = Repair.run(model).model();

        assertSame(model, less, 3, 2, 6);
        OnnxNode layer =
                less.graph().nodes().stream().filter(n -> n.is("LSTM")).findFirst().orElseThrow();
        assertEquals(4, layer.inputs().size());
        assertEquals(
                List.of(8),
                OnnxSlimmer.of(model).groups().all().stream()
                        .map(group -> group.units().size())
                        .toList());
    }

    @Test
    @DisplayName("stay where they are not")
    void others() {
        assertUntouched(
                PASS,
                recurrent(0.5f)
                        .weight("w", 1, 24, 6)
                        .weight("r", 1, 24, 8)
                        .node("y = GRU(x, w, r, , , h)", ZeroStatesTest::eight)
                        .output("y")
                        .build());
    }
}

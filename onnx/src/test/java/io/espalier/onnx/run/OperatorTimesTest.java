package io.espalier.onnx.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.Map;

@DisplayName("The times of a model's operators")
class OperatorTimesTest {
    @Test
    @DisplayName("compare what two models do in another way, and that alone")
    void changes() {
        try (var scope = new PointerScope()) {
            OperatorTimes softmax = times("Softmax");
            OperatorTimes hardmax = times("Hardmax");

            assertEquals(1, softmax.speedupOfChanges(softmax), "nothing is another");
            assertEquals(
                    softmax.all().getOrDefault("last", 0.0)
                            / hardmax.all().getOrDefault("last", 0.0),
                    softmax.speedupOfChanges(hardmax),
                    1e-9);
            assertTrue(softmax.all().containsKey("product"), softmax.all().toString());
        }
    }

    private static OperatorTimes times(String last) {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[64, 256]")
                        .weight("w", 256, 256)
                        .node("a = MatMul(x, w)", node -> node.withName("product"))
                        .node("y = " + last + "(a)", node -> node.withName("last"))
                        .output("y")
                        .build();
        return OperatorTimes.of(model, Map.of("x", Tensors.randn(64, 256)), 1, 2);
    }
}

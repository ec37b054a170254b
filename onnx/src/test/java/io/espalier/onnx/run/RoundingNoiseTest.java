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

@DisplayName("What a model's results differ by when they are computed in another way")
class RoundingNoiseTest {
    @Test
    @DisplayName("is a little where sums are made, and nothing where nothing is rounded")
    void rounding() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[1, 16, 12, 12]")
                        .weight("w", 16, 16, 3, 3)
                        .weight("v", 16, 16, 3, 3)
                        .weight("factor", 16, 1, 1)
                        .node("a = Conv(x, w)")
                        .node("b = Mul(a, factor)")
                        .node("summed = Conv(b, v)")
                        .node("positive = Relu(x)")
                        .node("places = ArgMax(x)")
                        .output("summed")
                        .output("positive")
                        .output("places")
                        .build();
        try (var scope = new PointerScope()) {
            RoundingNoise noise =
                    RoundingNoise.of(model, Map.of("x", Tensors.randn(1, 16, 12, 12)), 1);

            assertTrue(noise.of("summed") > 0);
            assertTrue(noise.of("summed") < 0.1, "summed: " + noise.of("summed"));
            assertEquals(0, noise.of("positive"));
            assertEquals(0, noise.of("places"));
        }
    }
}

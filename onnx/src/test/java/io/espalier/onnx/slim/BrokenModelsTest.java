package io.espalier.onnx.slim;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.tensor.EspalierException;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@DisplayName("Slimming of a model that can't run")
class BrokenModelsTest {
    private static OnnxModel withGroups(String op, long groups) {
        return TestGraphs.opset(17)
                .input("x: Float[N, 6]")
                .weight("w1", 6, 6)
                .weight("w2", 6, 6)
                .weight("w3", 6, 6, 1, 1)
                .integers("image", -1, 6, 1, 1)
                .node("h = MatMul(x, w1)")
                .node("r = Relu(h)")
                .node("i = MatMul(r, w2)")
                .node("s = Reshape(i, image)")
                .node("y = %s(s, w3)".formatted(op), node -> node.with("group", groups))
                .output("y")
                .build();
    }

    @ParameterizedTest
    @ValueSource(longs = {0, 5})
    @DisplayName("keeps the channels of a transposed convolution in groups that can't be")
    void impossibleGroups(long groups) {
        OnnxModel model = withGroups("ConvTranspose", groups);
        String found = OnnxSlimmer.of(model).groups().toString();

        assertTrue(found.contains("1: 6 units of w1[1], w2[0]"), found);
        assertTrue(found.contains("6 channels don't make %d groups".formatted(groups)), found);
    }

    @ParameterizedTest
    @ValueSource(longs = {0, 1L << 60, -2})
    @DisplayName("is refused where a convolution has groups that can't be")
    void noGroups(long groups) {
        OnnxModel model = withGroups("Conv", groups);

        var refused = assertThrows(EspalierException.class, () -> OnnxSlimmer.of(model));

        String begin = "The model can't run: its node 'y/Conv' (Conv) ";
        assertTrue(String.valueOf(refused.getMessage()).startsWith(begin), refused::getMessage);
    }

    @Test
    @DisplayName("is refused with the node that takes what doesn't fit together")
    void contradiction() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, 6]")
                        .weight("w1", 6, 40)
                        .weight("w2", 8, 40)
                        .node("h = MatMul(x, w1)")
                        .node("r = Relu(h)")
                        .node("y = Gemm(r, w2)")
                        .output("y")
                        .build();
        String name = model.graph().nodes().getLast().name();

        var refused = assertThrows(EspalierException.class, () -> OnnxSlimmer.of(model));

        assertEquals(
                "The model can't run: its node '%s' (Gemm) takes [N, 40] and [8, 40], which don't multiply."
                        .formatted(name),
                refused.getMessage());
    }

    @Test
    @DisplayName("takes nothing of what a product by a vector reads that takes a matrix")
    void noMatrix() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, 6]")
                        .weight("w", 6, 8)
                        .weight("b", 8)
                        .node("h = MatMul(x, w)")
                        .node("y = Gemm(h, b)")
                        .output("y")
                        .build();

        String found = OnnxSlimmer.of(model).groups().toString();

        assertTrue(found.contains("is not understood: it reads what has 1 dimensions"), found);
    }
}

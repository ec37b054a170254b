package io.espalier.onnx.tune;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.quant.ReferenceOutputs;
import io.espalier.tensor.Tensors;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.List;
import java.util.Map;

@DisplayName("A judge by a teacher")
class JudgeTest {
    /** How far the products of either input are off. */
    private static OnnxModel off(float first, float second) {
        return TestGraphs.opset(17)
                .input("x: Float[N, 2]")
                .constant("w", ConstantTensor.floats(List.of(2L, 2L), 1, first, second, 1))
                .node("y = MatMul(x, w)")
                .output("y")
                .build();
    }

    private static ReferenceOutputs taught(float... rows) {
        return ReferenceOutputs.of(off(0, 0), List.of(Map.of("x", Tensors.of(rows, 2, 2))), 1);
    }

    private static double share(OnnxModel model, OnnxModel usual) {
        Judge judge = new Judge(List.of(taught(1, 0, 3, 0), taught(0, 1, 0, 3)));
        return judge.beside(usual).apply(model).share();
    }

    @Test
    @DisplayName("finds nearer what is so on all inputs, not what pays for some with others")
    void all() {
        OnnxModel usual = off(0.2f, 0.2f);

        assertTrue(share(off(0.1f, 0.1f), usual) < 0.5);
        assertTrue(share(off(0.1f, 0.3f), usual) > 1);
        assertTrue(share(off(0.3f, 0.1f), usual) > 1);
        assertTrue(share(usual, off(0, 0)) > 1);
        assertEquals(1, share(off(0, 0), off(0, 0)));
    }
}

package io.espalier.onnx.shape;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.List;

@DisplayName("A model's program")
class ModelProgramTest {
    @Test
    @DisplayName("has types, constants where they are read, attributes, and graphs inside nodes")
    void printed() {
        var yes = TestGraphs.opset(17).node("t = Relu(y)").output("t");
        var no = TestGraphs.opset(17).node("u = Neg(y)").output("u");
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, 3, H, 9]")
                        .input("flag: Bool[]")
                        .weight("w", 4, 3, 2, 2)
                        .integers("rows", 0, -1)
                        .node("c = Constant()", n -> n.with("value", ConstantTensor.scalar(0.5f)))
                        .node("y = Conv(x, w)", n -> n.with("strides", List.of(2L, 1L)))
                        .node("z = Clip(y, , c)")
                        .node("r = Reshape(z, rows)")
                        .node("q = " + OnnxNode.MICROSOFT + ":Mystery(r)", n -> n.with("mode", "a"))
                        .node(
                                "i = If(flag)",
                                n ->
                                        n.with("then_branch", yes.graph())
                                                .with("else_branch", no.graph()))
                        .output("i")
                        .build();

        assertEquals(
                """
                graph(x: Float[N, 3, H, 9], flag: Bool[]):
                    y: Float[N, 4, H / 2, 8] = Conv(x, w[4, 3, 2, 2], strides=[2, 1])
                    z: Float[N, 4, H / 2, 8] = Clip(y, _, 0.5)
                    r: Float[N, 32 * (H / 2)] = Reshape(z, [0, -1])
                    q: ?[...] = com.microsoft.Mystery(r, mode="a")
                    i: Float[N, 4, H / 2, 8] = If(flag)
                        then_branch():
                            t = Relu(y)
                            return t
                        else_branch():
                            u = Neg(y)
                            return u
                    return i\
                """,
                String.join("\n", ModelProgram.of(model, Shapes.of(model))));
    }
}

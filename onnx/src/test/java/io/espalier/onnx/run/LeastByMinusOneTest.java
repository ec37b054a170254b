package io.espalier.onnx.run;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.repair.Repair;
import io.espalier.onnx.shape.Extent;
import io.espalier.onnx.shape.Shapes;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Map;
import java.util.Objects;

@DisplayName("A quotient that no integer holds")
class LeastByMinusOneTest {
    private static OnnxModel model(String program) {
        TestGraphs graphs =
                TestGraphs.opset(17)
                        .input("x: Float[N]")
                        .integers("least", Long.MIN_VALUE, 5)
                        .integers("half", Long.MIN_VALUE / 2, 5)
                        .integers("minus", -1)
                        .integers("two", 2)
                        .integers("apart", 2, -1)
                        .constant(
                                "least32",
                                ConstantTensor.of(
                                        ElementType.INT32,
                                        List.of(1L),
                                        MemorySegment.ofArray(new byte[] {0, 0, 0, -128})))
                        .constant(
                                "minus32",
                                ConstantTensor.of(
                                        ElementType.INT32,
                                        List.of(),
                                        MemorySegment.ofArray(new byte[] {-1, -1, -1, -1})));
        for (String line : program.split(";", -1)) {
            graphs.node(line.strip());
        }
        return graphs.node("c = Cast(q)", node -> node.with("to", ElementType.FLOAT.code()))
                .node("y = Add(x, c)")
                .output("y")
                .build();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "q = Div(least, minus)",
                "q = Mod(least, minus)",
                "q = Div(least32, minus32)",
                "q = Mod(least32, minus32)",
                "a = Mul(half, two); b = Neg(minus); d = Neg(b); q = Div(a, d)"
            })
    @DisplayName("is refused where it is the same in each run; repairs leave it")
    void isRefused(String program) {
        OnnxModel model = model(program);

        OnnxModel repaired = Repair.run(model).model();

        for (OnnxModel either : List.of(model, repaired)) {
            String message =
                    assertThrows(EspalierException.class, () -> OnnxSession.open(either).close())
                            .getMessage();
            String op = program.contains("Div") ? "Div" : "Mod";
            String type = program.contains("32") ? "INT32" : "INT64";
            assertEquals(
                    "The node 'q/"
                            + op
                            + "' divides the least "
                            + type
                            + " by -1, at which ONNX Runtime ends the whole process; mend the"
                            + " model.",
                    message);
        }
    }

    @Test
    @DisplayName("is refused in a branch")
    void inBranch() {
        var branch =
                TestGraphs.opset(17).integers("one", -1).node("r = Div(least, one)").output("r");
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N]")
                        .input("b: Bool[]")
                        .integers("least", Long.MIN_VALUE)
                        .node(
                                "q = If(b)",
                                node ->
                                        node.with("then_branch", branch.graph())
                                                .with("else_branch", branch.graph()))
                        .output("q")
                        .build();

        assertThrows(EspalierException.class, () -> OnnxSession.open(model).close());
    }

    @Test
    @DisplayName("wraps around like all that is too large for its integers, and is no extent then")
    void wrapsAround() {
        OnnxModel model = model("a = Add(least32, minus32); q = Identity(a)");

        List<Extent> found = Objects.requireNonNull(Shapes.of(model).integers("a"));
        assertFalse(found.getFirst().isKnown());
        assertEquals(Integer.MAX_VALUE, run(Repair.run(model).model())[0], 1e3);
    }

    @Test
    @DisplayName("is not seen where the two don't meet")
    void doNotMeet() {
        assertArrayEquals(
                new float[] {(float) (Long.MIN_VALUE / 2), -5},
                run(model("q = Div(least, apart)")));
        assertArrayEquals(
                new float[] {-0x1p62f, -10},
                run(model("a = Mul(half, two); i = Identity(apart); q = Div(a, i)")));
    }

    private static float[] run(OnnxModel model) {
        try (var scope = new PointerScope();
                var session = OnnxSession.open(model)) {
            Tensor found = session.run(Map.of("x", Tensors.zeros(2))).get("y");
            return Tensors.floats(Objects.requireNonNull(found));
        }
    }
}

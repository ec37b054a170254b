package io.espalier.onnx.shape;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.tensor.EspalierException;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.List;
import java.util.Map;

@DisplayName("Types and extents of a model's values")
class ShapesTest {
    private static OnnxModel convolution() {
        return TestGraphs.opset(17)
                .input("x: Float[N, 3, ?, 32]")
                .weight("w", 4, 3, 3, 3)
                .node("y = Conv(x, w)", node -> node.with("strides", List.of(2L, 2L)))
                .node("z = Relu(y)")
                .output("z")
                .build();
    }

    @Test
    @DisplayName("depend on the free dimensions of its inputs by name")
    void named() {
        Shapes shapes = Shapes.of(convolution());

        assertEquals("Float[N, 4, (x_2 + 1) / 2 - 1, 15]", shapes.type("z").toString());
        assertEquals("Float[4, 3, 3, 3]", shapes.type("w").toString());
        assertNull(shapes.extents("z"));
    }

    @Test
    @DisplayName("are numbers for inputs of given extents")
    void given() {
        Shapes shapes = Shapes.of(convolution(), Map.of("x", List.of(2L, 3L, 9L, 32L)));

        assertEquals(List.of(2L, 4L, 4L, 15L), shapes.extents("z"));
    }

    @Test
    @DisplayName("are refused for extents that the model does not take")
    void refused() {
        OnnxModel model = convolution();
        for (Map<String, List<Long>> wrong :
                List.of(
                        Map.of("x", List.of(2L, 3L, 9L, 33L)),
                        Map.of("x", List.of(2L, 3L, 9L)),
                        Map.of("x", List.of(-1L, 3L, 9L, 32L)),
                        Map.of("y", List.of(1L)))) {
            assertThrows(EspalierException.class, () -> Shapes.of(model, wrong));
        }
        OnnxModel sum =
                TestGraphs.opset(17)
                        .input("a: Float[N]")
                        .input("b: Float[N]")
                        .node("c = Add(a, b)")
                        .output("c")
                        .build();
        var error =
                assertThrows(
                        EspalierException.class,
                        () -> Shapes.of(sum, Map.of("a", List.of(2L), "b", List.of(3L))));
        assertEquals(true, String.valueOf(error.getMessage()).contains("dimension N"));
        assertEquals(List.of(2L), Shapes.of(sum, Map.of("a", List.of(2L))).extents("b"));
    }

    @Test
    @DisplayName("are what the file says where an operator is not known, and go on from there")
    void unknownOperator() {
        Shapes shapes =
                Shapes.of(
                        TestGraphs.opset(17)
                                .input("x: Float[N, 3]")
                                .node("a = some.where:Mystery(x)")
                                .node("b = Relu(a)")
                                .node("c = some.where:Mystery(x)")
                                .node("d = Relu(c)")
                                .info("c: Float16[N, 7]")
                                .output("b")
                                .output("d")
                                .build());

        assertEquals(ValueType.UNKNOWN, shapes.type("b"));
        assertEquals("Float16[N, 7]", shapes.type("d").toString());
    }

    @Test
    @DisplayName("are left open where operands contradict their operator or attributes are wrong")
    void contradictions() {
        Shapes shapes =
                Shapes.of(
                        TestGraphs.opset(17)
                                .input("x: Float[2, 3]")
                                .weight("w", 4, 5)
                                .integers("huge", Long.MAX_VALUE, Long.MAX_VALUE)
                                .node("a = MatMul(x, w)")
                                .node("b = Add(x, w)")
                                .node("c = Concat(x)", node -> node.with("axis", 9))
                                .node("d = Concat(x)", node -> node.with("axis", "no"))
                                .node("e = Transpose(x)", node -> node.with("perm", List.of(0L)))
                                .node("f = Expand(x, huge)")
                                .node("g = Tile(f, huge)")
                                .node("h = Cast(x)", node -> node.with("to", 99))
                                .node("i = Conv(x, w)")
                                .node("j = Reshape(x, x)")
                                .output("a")
                                .build());

        for (String value : List.of("a", "b", "c", "d", "e", "h", "i", "j")) {
            assertNull(shapes.extents(value), value);
        }
    }

    @Test
    @DisplayName("include the elements of small integers that follow from extents")
    void integers() {
        Shapes shapes =
                Shapes.of(
                        TestGraphs.opset(17)
                                .input("x: Float[N, 3]")
                                .integers("two", 2)
                                .node("s = Shape(x)")
                                .node("t = Mul(s, two)")
                                .node("u = Concat(t, two)", node -> node.with("axis", 0))
                                .output("u")
                                .build());

        assertEquals("[2 * N, 6, 2]", String.valueOf(shapes.integers("u")));
        assertNull(shapes.integers("x"));
    }
}

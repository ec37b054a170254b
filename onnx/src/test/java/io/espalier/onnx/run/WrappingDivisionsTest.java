package io.espalier.onnx.run;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.lower.Lowering;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.proto.GraphProto;
import io.espalier.onnx.repair.Repair;
import io.espalier.onnx.shape.Extent;
import io.espalier.onnx.shape.Shapes;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Map;
import java.util.Objects;

@DisplayName("The least integer divided by -1, whose quotient no integer holds,")
class WrappingDivisionsTest {
    private static final long[] DIVIDED = {Long.MIN_VALUE, Long.MIN_VALUE + 1, -7, 7, 0};
    private static final long[] DIVISORS = {-1, -1, 2, -2, -1};

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
    @CsvSource({
        "'q = Div(least, minus)', -9223372036854775808",
        "'q = Mod(least, minus)', 0",
        "'q = Div(least32, minus32)', -2147483648",
        "'q = Mod(least32, minus32)', 0",
        "'a = Mul(half, two); b = Neg(minus); d = Neg(b); q = Div(a, d)', -9223372036854775808",
        "'q = Div(least, apart)', -4611686018427387904"
    })
    @DisplayName("is itself where it is the same in each run, also after repairs")
    void ofConstants(String program, long quotient) {
        OnnxModel model = model(program);

        assertEquals((float) quotient, run(model)[0]);
        assertEquals((float) quotient, run(Repair.run(model).model())[0]);
    }

    private static OnnxModel dividing(long opset, String op, ElementType type, String between) {
        TestGraphs graphs =
                TestGraphs.opset(opset)
                        .input("a: %s[N]".formatted(type))
                        .input("b: %s[N]".formatted(type));
        if (!between.isEmpty()) {
            graphs.node(between);
        }
        return graphs.node("y = %s(a, %s)".formatted(op, between.isEmpty() ? "b" : "c"))
                .output("y: %s[N]".formatted(type))
                .build();
    }

    private static long[] quotients(OnnxModel model, boolean wide) {
        return quotients(model, wide, false);
    }

    private static long[] quotients(OnnxModel model, boolean wide, boolean libtorch) {
        try (var scope = new PointerScope()) {
            long[] divided = DIVIDED.clone();
            if (!wide) {
                divided[0] = Integer.MIN_VALUE;
                divided[1] = Integer.MIN_VALUE + 1;
            }
            ScalarType type = wide ? ScalarType.Long : ScalarType.Int;
            Map<String, Tensor> inputs =
                    Map.of(
                            "a", Tensors.of(divided, divided.length).to(type),
                            "b", Tensors.of(DIVISORS, DIVISORS.length).to(type));
            Map<String, Tensor> found;
            if (libtorch) {
                found = Lowering.lower(model).run(inputs);
            } else {
                try (var session = OnnxSession.open(model)) {
                    found = session.run(inputs);
                }
            }
            return Tensors.longs(Objects.requireNonNull(found.get("y")).to(ScalarType.Long));
        }
    }

    private static long[] quotients(long least) {
        return new long[] {least, -(least + 1), -3, -3, 0};
    }

    @ParameterizedTest
    @ValueSource(longs = {8, 17})
    @DisplayName("is itself where the numbers come with a call, on either runtime")
    void ofInputs(long opset) {
        for (boolean libtorch : List.of(false, true)) {
            assertArrayEquals(
                    quotients(Long.MIN_VALUE),
                    quotients(dividing(opset, "Div", ElementType.INT64, ""), true, libtorch));
            assertArrayEquals(
                    quotients(Integer.MIN_VALUE),
                    quotients(dividing(opset, "Div", ElementType.INT32, ""), false, libtorch));
        }
    }

    @Test
    @DisplayName("leaves nothing")
    void remainders() {
        for (boolean libtorch : List.of(false, true)) {
            for (boolean wide : List.of(false, true)) {
                ElementType type = wide ? ElementType.INT64 : ElementType.INT32;
                assertArrayEquals(
                        new long[] {0, 0, 1, -1, 0},
                        quotients(dividing(17, "Mod", type, ""), wide, libtorch));
            }
        }
    }

    @Test
    @DisplayName("is itself where the type of what divides it is not known")
    void ofUnknownType() {
        var body = TestGraphs.opset(17).node("r = Div(p, q)");
        for (boolean wide : List.of(false, true)) {
            ElementType type = wide ? ElementType.INT64 : ElementType.INT32;
            TestGraphs graphs =
                    TestGraphs.opset(17)
                            .input("a: %s[N]".formatted(type))
                            .input("b: %s[N]".formatted(type))
                            .node("s = SequenceConstruct(a, b)")
                            .integer("first", 0)
                            .integer("second", 1)
                            .node("p = SequenceAt(s, first)")
                            .node("q = SequenceAt(s, second)")
                            .function("r = my:Quotient(p, q)", body)
                            .node("y = my:Quotient(p, q)");
            assertArrayEquals(
                    quotients(wide ? Long.MIN_VALUE : Integer.MIN_VALUE),
                    quotients(graphs.output("y: %s[N]".formatted(type)).build(), wide));
        }
    }

    private static GraphProto branch(String line) {
        return TestGraphs.opset(17).node(line).output("r").graph();
    }

    @Test
    @DisplayName("is itself within branches and functions that they call")
    void inBranches() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("a: Int64[N]")
                        .input("b: Int64[N]")
                        .node("m = ReduceMin(b)", node -> node.with("keepdims", 0))
                        .node("t = Cast(m)", node -> node.with("to", ElementType.BOOL.code()))
                        .function(
                                "z = my:Quotient(p, q)", TestGraphs.opset(17).node("z = Div(p, q)"))
                        .node(
                                "u = If(t)",
                                node ->
                                        node.with("then_branch", branch("r = Div(a, b)"))
                                                .with("else_branch", branch("r = Identity(a)")))
                        .node(
                                "v = If(t)",
                                node ->
                                        node.with("then_branch", branch("r = my:Quotient(a, b)"))
                                                .with("else_branch", branch("r = Identity(a)")))
                        .node("e = Equal(u, v)")
                        .node("y = Where(e, u, m)")
                        .output("y: Int64[N]")
                        .build();

        assertArrayEquals(quotients(Long.MIN_VALUE), quotients(model, true));
    }

    @Test
    @DisplayName("changes nothing for real numbers whose type is not known")
    void realNumbers() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("a: Float[N]")
                        .input("b: Float[N]")
                        .node("s = SequenceConstruct(a, b)")
                        .integer("first", 0)
                        .integer("second", 1)
                        .node("p = SequenceAt(s, first)")
                        .node("q = SequenceAt(s, second)")
                        .node("y = Div(p, q)")
                        .output("y: Float[N]")
                        .build();
        float[] divided = {0, -0.0f, 0, Float.NEGATIVE_INFINITY, -0x1p63f, 3, 1};
        float[] divisors = {-1, -1, 1, -1, -1, 0, Float.NaN};

        try (var scope = new PointerScope();
                var session = OnnxSession.open(model)) {
            Tensor found =
                    session.run(
                                    Map.of(
                                            "a", Tensors.of(divided, divided.length),
                                            "b", Tensors.of(divisors, divisors.length)))
                            .get("y");
            float[] expected = new float[divided.length];
            for (int i = 0; i < expected.length; i++) {
                expected[i] = divided[i] / divisors[i];
            }
            assertArrayEquals(expected, Tensors.floats(Objects.requireNonNull(found)));
        }
    }

    @Test
    @DisplayName("is no matter of division by 0, which is one error")
    void byZero() {
        OnnxModel model = dividing(17, "Div", ElementType.INT64, "");
        try (var scope = new PointerScope();
                var session = OnnxSession.open(model)) {
            Map<String, Tensor> inputs =
                    Map.of(
                            "a", Tensors.of(new long[] {5}, 1),
                            "b", Tensors.of(new long[] {0}, 1));
            assertThrows(EspalierException.class, () -> session.run(inputs));
            var lowered = Lowering.lower(model);
            assertThrows(EspalierException.class, () -> lowered.run(inputs));
        }
    }

    @Test
    @DisplayName("wraps around like all that is too large for its integers, and is no extent then")
    void wrapsAround() {
        OnnxModel model = model("a = Add(least32, minus32); q = Identity(a)");

        List<Extent> found = Objects.requireNonNull(Shapes.of(model).integers("a"));
        assertFalse(found.getFirst().isKnown());
        assertEquals(Integer.MAX_VALUE, run(Repair.run(model).model())[0], 1e3);
    }

    private static float[] run(OnnxModel model) {
        try (var scope = new PointerScope();
                var session = OnnxSession.open(model)) {
            Tensor found = session.run(Map.of("x", Tensors.zeros(2))).get("y");
            return Tensors.floats(Objects.requireNonNull(found));
        }
    }
}

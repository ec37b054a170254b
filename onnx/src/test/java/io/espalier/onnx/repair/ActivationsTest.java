package io.espalier.onnx.repair;

import static io.espalier.onnx.repair.Results.assertSame;
import static io.espalier.onnx.repair.Results.assertUntouched;
import static io.espalier.onnx.repair.Results.operators;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.Set;

@DisplayName("A spelled-out activation")
class ActivationsTest {
    private static TestGraphs graph(int opset) {
        var graphs = TestGraphs.opset(opset).input("x: Float[N, 6]").output("y");
        for (double number :
                new double[] {
                    -1,
                    0,
                    0.5,
                    1,
                    2,
                    3,
                    6,
                    1 / 6.0,
                    Math.sqrt(2),
                    Math.sqrt(0.5),
                    0.044715,
                    Math.sqrt(2 / Math.PI)
                }) {
            String name = "c" + String.valueOf(Math.round(1000 * number)).replace('-', 'm');
            graphs.constant(name, ConstantTensor.scalar((float) number));
        }
        return graphs;
    }

    private static OnnxModel model(int opset, String program) {
        TestGraphs graphs = graph(opset);
        for (String call : program.split(";", -1)) {
            graphs.node(call.strip());
        }
        return graphs.build();
    }

    private static void recognizes(String pass, String operators, OnnxModel model) {
        OnnxModel recognized = Repair.pass(pass).run(model);

        assertEquals(operators, operators(recognized));
        assertSame(model, recognized, 5, 6);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "a = Add(x, c3000); b = Clip(a, c0, c6000); c = Mul(x, b); y = Div(c, c6000)",
                "a = Add(c3000, x); b = Clip(a, c0, c6000); c = Div(b, c6000); y = Mul(c, x)",
                "a = Add(x, c3000); b = Clip(a, c0, c6000); c = Mul(b, c167); y = Mul(x, c)",
                "a = Mul(x, c167); d = Add(a, c500); b = Clip(d, c0, c1000); y = Mul(x, b)",
                "a = Add(x, c3000); b = Clip(a, c0, c6000); c = Mul(x, c167); y = Mul(c, b)"
            })
    @DisplayName("is found to be HardSwish in whatever order it is written")
    void hardSwish(String program) {
        recognizes("hard-swish", "HardSwish 1", model(17, program));
    }

    @Test
    @DisplayName("is found to be HardSwish by HardSigmoid, and by a Clip with attributes")
    void hardSwishByHardSigmoid() {
        OnnxModel model =
                graph(14)
                        .node("a = HardSigmoid(x)", n -> n.with("alpha", 1 / 6f).with("beta", 0.5f))
                        .node("y = Mul(a, x)")
                        .build();

        recognizes("hard-swish", "HardSwish 1", model);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "a = Add(x, c2000); b = Clip(a, c0, c6000); c = Mul(x, b); y = Div(c, c6000)",
                "a = Add(x, c3000); b = Clip(a, c0, c6000); c = Mul(x, b); y = Div(c, c3000)",
                "a = Add(x, c3000); b = Clip(a, cm1000, c6000); c = Mul(x, b); y = Div(c, c6000)",
                "a = Add(x, c3000); b = Clip(a, c0); c = Mul(x, b); y = Div(c, c6000)",
                "z = Neg(x); a = Add(x, c3000); b = Clip(a, c0, c6000); c = Mul(z, b); y = Div(c,"
                        + " c6000)",
                "a = Add(x, c3000); b = Clip(a, c0, c6000); c = Mul(b, b); y = Div(c, c6000)",
                "a = HardSigmoid(x); y = Mul(a, x)"
            })
    @DisplayName("is left alone where it is another one than HardSwish")
    void noHardSwish(String program) {
        assertUntouched("hard-swish", model(17, program));
    }

    @Test
    @DisplayName("is left alone where HardSwish is not of the version, or inner results are given")
    void noHardSwishHere() {
        String program =
                "a = Add(x, c3000); b = Clip(a, c0, c6000); c = Mul(x, b); y = Div(c, c6000)";
        assertUntouched("hard-swish", model(13, program));

        TestGraphs given = graph(17).output("c");
        for (String call : program.split(";", -1)) {
            given.node(call.strip());
        }
        assertUntouched("hard-swish", given.build());
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "a = Div(x, c1414); b = Erf(a); c = Add(b, c1000); d = Mul(x, c); y = Mul(d, c500)",
                "a = Mul(x, c707); b = Erf(a); c = Add(c1000, b); d = Mul(c, c500); y = Mul(d, x)",
                "h = Mul(x, c500); a = Div(x, c1414); b = Erf(a); c = Add(b, c1000); y = Mul(h, c)",
                "a = Div(x, c1414); b = Erf(a); c = Add(b, c1000); d = Mul(x, c); y = Div(d, c2000)"
            })
    @DisplayName("is found to be GELU in whatever order it is written")
    void gelu(String program) {
        recognizes("gelu", "Gelu 1", model(13, program));
        recognizes("gelu", "Gelu 1", model(20, program));
        assertSpelledOut(model(13, program));
    }

    /** A file of standard operators stays one. */
    private static void assertSpelledOut(OnnxModel model) {
        OnnxModel found = Repair.pass("gelu").run(model);
        OnnxModel spelled = SpelledOut.as(model, found);

        assertEquals(Set.of(""), spelled.opsets().keySet());
        assertTrue(spelled.graph().nodes().stream().allMatch(node -> node.domain().isEmpty()));
        assertSame(model, spelled, 5, 6);
        assertEquals(found, SpelledOut.as(found, found));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "p = Pow(x, c3000); q = Mul(p, c45); r = Add(x, q); s = Mul(r, c798); t = Tanh(s);"
                        + "u = Add(t, c1000); v = Mul(x, u); y = Mul(v, c500)",
                "p = Mul(x, x); q = Mul(p, c45); r = Add(q, c1000); o = Mul(x, c798); s = Mul(o,"
                        + " r);t = Tanh(s); u = Add(t, c1000); h = Mul(x, c500); y = Mul(h, u)",
                "p = Mul(x, x); w = Mul(p, x); q = Mul(c45, w); r = Add(x, q); s = Mul(c798, r);"
                        + "t = Tanh(s); u = Add(c1000, t); h = Mul(c500, u); y = Mul(x, h)"
            })
    @DisplayName("is found to be GELU by the hyperbolic tangent")
    void tanhGelu(String program) {
        recognizes("gelu", "FastGelu 1", model(13, program));
        assertSpelledOut(model(13, program));
        OnnxModel newer = Repair.pass("gelu").run(model(20, program));

        OnnxNode gelu = newer.graph().nodes().getFirst();
        assertEquals("tanh", gelu.text("approximate", "none"));
        assertSame(model(20, program), newer, 5, 6);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "a = Div(x, c2000); b = Erf(a); c = Add(b, c1000); d = Mul(x, c); y = Mul(d, c500)",
                "a = Div(x, c1414); b = Erf(a); c = Add(b, c2000); d = Mul(x, c); y = Mul(d, c500)",
                "a = Div(x, c1414); b = Erf(a); c = Add(b, c1000); d = Mul(x, c); y = Mul(d,"
                        + " c2000)",
                "z = Neg(x); a = Div(z, c1414); b = Erf(a); c = Add(b, c1000); d = Mul(x, c); y ="
                        + " Mul(d, c500)"
            })
    @DisplayName("is left alone where it is another one than GELU")
    void noGelu(String program) {
        assertUntouched("gelu", model(13, program));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "a = Neg(x); b = Exp(a); c = Add(b, c1000); y = Div(c1000, c) | Sigmoid 1",
                "a = Mul(x, cm1000); b = Exp(a); c = Add(c1000, b); y = Reciprocal(c) | Sigmoid 1",
                "a = Neg(x); b = Exp(a); c = Add(b, c1000); y = Div(x, c) | Mul 1, Sigmoid 1"
            })
    @DisplayName("is found to be a sigmoid, or a value times its own")
    void sigmoid(String program, String operators) {
        recognizes("sigmoid", operators, model(13, program));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "b = Exp(x); c = Add(b, c1000); y = Div(c1000, c)",
                "a = Neg(x); b = Exp(a); c = Add(b, c2000); y = Div(c1000, c)",
                "a = Neg(x); b = Exp(a); c = Add(b, c1000); y = Div(c2000, c)",
                "a = Neg(x); b = Exp(a); c = Add(b, c1000); y = Div(c, c1000)"
            })
    @DisplayName("is left alone where it is no sigmoid")
    void noSigmoid(String program) {
        assertUntouched("sigmoid", model(13, program));
    }
}

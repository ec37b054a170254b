package io.espalier.onnx.quant;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.compare.ModelComparison;
import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.slim.OnnxSlimmer;
import io.espalier.onnx.tune.FineTuner;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

@DisplayName("What the float model gives")
class ReferenceOutputsTest {
    private static final float NAN = Float.NaN;
    private static final float HIDDEN = Float.NEGATIVE_INFINITY;

    /** A model of one line, y of x. */
    private static OnnxModel model(String line) {
        return TestGraphs.opset(17)
                .input("x: Float[N, 4]")
                .floats("c", 1, 2, 3, 4)
                .node(line)
                .output("y")
                .build();
    }

    private static ReferenceOutputs of(OnnxModel model, float... numbers) {
        return ReferenceOutputs.of(model, data(numbers), 1);
    }

    private static List<Map<String, Tensor>> data(float... numbers) {
        return List.of(Map.of("x", Tensors.of(numbers, numbers.length / 4, 4)));
    }

    private static void assertSaysNothing(String why, Executable judging) {
        var refused = assertThrows(EspalierException.class, judging);
        assertEquals(
                "No model can be judged by what the float one gives of these data: "
                        + why
                        + "; give data of which its results differ.",
                refused.getMessage());
    }

    @Test
    @DisplayName("judges nobody where it is the same everywhere or nowhere finite")
    void saysNothing() {
        assertSaysNothing("'y' is 0 everywhere", () -> of(model("y = Mul(x, c)"), 0, 0, 0, 0));
        assertSaysNothing("'y' is nowhere finite", () -> of(model("y = Log(x)"), -1, -1, -2, 0));
        assertSaysNothing("'y' is 1 everywhere", () -> of(model("y = Exp(x)"), 0, 0, 0, 0));
        assertSaysNothing(
                "'y' is 0 everywhere, 'z' is 0.5 everywhere",
                () ->
                        of(
                                TestGraphs.opset(17)
                                        .input("x: Float[N, 4]")
                                        .node("y = Relu(x)")
                                        .node("z = Sigmoid(y)")
                                        .output("y")
                                        .output("z")
                                        .build(),
                                -1,
                                -2,
                                -3,
                                -4));
    }

    @Test
    @DisplayName("judges by those results alone that say something")
    void saysSomething() {
        OnnxModel both =
                TestGraphs.opset(17)
                        .input("x: Float[N, 4]")
                        .node("y = Relu(x)")
                        .node("z = Neg(x)")
                        .output("y")
                        .output("z")
                        .build();

        assertEquals(0, of(both, -1, -2, -3, -4).drop(both));
    }

    @Test
    @DisplayName("has to be met in what is not finite, which is no part of the cosine")
    void notFinite() {
        ReferenceOutputs masked = of(model("y = Add(x, c)"), 1, 2, HIDDEN, 3, NAN, 1, 1, 1);

        assertEquals(0, masked.drop(model("y = Add(x, c)")));
        double other = masked.drop(model("y = Mul(x, c)"));
        assertTrue(other > 1e-3 && other < 0.2, () -> "lost " + other);
        // Of minus infinity it makes 0.
        assertTrue(masked.drop(model("y = Sigmoid(x)")) > 0.5);
    }

    @Test
    @DisplayName("a classifier that has learned nothing is judged by what is inside, and stays one")
    void witness() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, 32]")
                        .weight("w", 32, 32)
                        .floats("none", new float[32])
                        .node("h = MatMul(x, w)")
                        .node("t = Tanh(h)")
                        .node("y = Mul(t, none)")
                        .output("y")
                        .build();
        Inputs rows = Inputs.of(List.of(Map.of("x", Tensors.randn(8, 32))));

        var said = new ArrayList<String>();
        QuantizationResult result =
                Quantizer.of(QuantizationMode.STATIC)
                        .progress(progress -> said.add(progress.toString()))
                        .quantize(model, rows);

        assertTrue(said.toString().contains("judged by 't' inside"), said::toString);
        assertTrue(result.drop() > 0 && result.drop() < 1e-3, () -> "lost " + result.drop());
        assertEquals(1, result.model().graph().outputs().size());
        assertEquals(1, LayerSensitivity.measuring().of(model, rows).size());
        assertSaysNothing(
                "'y' is 0 everywhere", () -> Quantizer.auto().quantizeForLibtorch(model, rows));
    }

    @Test
    @DisplayName("is asked for whoever judges: quantizers, rankings, comparisons, fine-tuning")
    void everyJudge() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, 32]")
                        .weight("w", 32, 32)
                        .node("h = MatMul(x, w)")
                        .node("y = Relu(h)")
                        .output("y")
                        .build();
        Inputs zeros = Inputs.of(List.of(Map.of("x", Tensors.zeros(4, 32))));
        String why = "'y' is 0 everywhere";

        for (QuantizationMode mode : QuantizationMode.values()) {
            assertSaysNothing(why, () -> Quantizer.of(mode).quantize(model, zeros));
        }
        assertSaysNothing(why, () -> Quantizer.auto().quantizeForLibtorch(model, zeros));
        assertSaysNothing(why, () -> LayerSensitivity.measuring().of(model, zeros));
        assertSaysNothing(why, () -> FineTuner.distilling(model).tune(model, zeros));
        assertSaysNothing(why, () -> ModelComparison.of(model, model, zeros.checkedFor(model)));
    }

    @ParameterizedTest
    @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY})
    @DisplayName("is asked for first of weights, which are finite numbers")
    void finiteWeights(float number) {
        float[] weight = new float[32 * 32];
        weight[7] = number;
        OnnxModel model = layer(ConstantTensor.floats(List.of(32L, 32L), weight));
        Inputs rows = Inputs.random().size("N", 4).limit(8);
        String why = "The weight 'w' of 'h/MatMul' (MatMul) holds NaN or infinity; mend the model.";

        for (QuantizationMode mode : QuantizationMode.values()) {
            assertEquals(
                    why, message(() -> Quantizer.of(mode).quantize(model, rows)), mode::toString);
        }
        assertEquals(why, message(() -> OnnxSlimmer.of(model).ratio(0.5).run()));
        assertEquals(why, message(() -> FineTuner.distilling(model).tune(model, rows)));
    }

    @Test
    @DisplayName("is refused where nothing is finite, whatever values inside are")
    void nowhereFinite() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, 32]")
                        .weight("w", 32, 32)
                        .node("h = MatMul(x, w)")
                        .floats("zero", 0)
                        .node("z = Mul(h, zero)")
                        .node("y = Div(z, zero)")
                        .output("y")
                        .build();
        Inputs rows = Inputs.random().size("N", 4).limit(8);

        for (QuantizationMode mode : QuantizationMode.values()) {
            assertSaysNothing(
                    "'y' is nowhere finite", () -> Quantizer.of(mode).quantize(model, rows));
        }
    }

    private static OnnxModel layer(ConstantTensor weight) {
        return TestGraphs.opset(17)
                .input("x: Float[N, 32]")
                .constant("w", weight)
                .node("h = MatMul(x, w)")
                .node("r = Relu(h)")
                .weight("v", 32, 4)
                .node("y = MatMul(r, v)")
                .output("y")
                .build();
    }

    private static String message(Executable call) {
        return String.valueOf(assertThrows(EspalierException.class, call).getMessage());
    }
}

package io.espalier.onnx.quant.matmul;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.run.OnnxSession;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Stream;

@DisplayName("Output layers")
class OutputLayersTest {
    @BeforeEach
    void seed() {
        torch.manual_seed(7);
    }

    @ParameterizedTest
    @ValueSource(strings = {"MatMul", "Gemm"})
    @DisplayName("make up for what the layers before them give otherwise")
    void makeUp(String operator) {
        OnnxModel model = operator.equals("MatMul") ? products() : gemms();
        OnnxModel changed = changed(model);
        List<Map<String, Tensor>> data = batches(8, 64);

        try (var layers = OutputLayers.of(model, data)) {
            OnnxModel refitted = layers.refitted(changed);

            assertEquals(Set.of("y/" + operator), layers.names());
            double before = distance(model, changed);
            double after = distance(model, refitted);
            assertTrue(after < 0.7 * before, before + " -> " + after);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"MatMul", "Gemm"})
    @DisplayName("keep each zero of a pruned matrix, and make up with the other weights")
    void zerosStay(String operator) {
        OnnxModel model = pruned(operator.equals("MatMul") ? products() : gemms());
        OnnxModel changed = changed(model);
        List<Map<String, Tensor>> data = batches(8, 64);

        try (var layers = OutputLayers.of(model, data)) {
            OnnxModel refitted = layers.refitted(changed);

            float[] before = outputWeight(model, operator);
            float[] after = outputWeight(refitted, operator);
            int moved = 0;
            for (int i = 0; i < before.length; i++) {
                assertEquals(before[i] == 0, after[i] == 0, "weight " + i);
                moved += before[i] == after[i] ? 0 : 1;
            }
            assertTrue(moved > before.length / 3, "moved " + moved);
            double apart = distance(model, changed);
            double still = distance(model, refitted);
            assertTrue(still < 0.8 * apart, apart + " -> " + still);
        }
    }

    /** The same with each second weight of the product behind the result zero. */
    private static OnnxModel pruned(OnnxModel model) {
        return model.rewritten(graph -> {
            ConstantTensor weight = Objects.requireNonNull(graph.constant("w1"));
            float[] values = weight.toFloats();
            for (int i = 0; i < values.length; i += 2) {
                values[(i + i / 16 % 2) % values.length] = 0;
            }
            graph.setConstant("w1", ConstantTensor.floats(weight.shape(), values));
        });
    }

    /** [inputs, outputs], or for Gemm as it is stored. */
    private static float[] outputWeight(OnnxModel model, String operator) {
        var product =
                model.graph().nodes().stream()
                        .filter(node -> node.name().equals("y/" + operator))
                        .findFirst()
                        .orElseThrow();
        return Objects.requireNonNull(model.graph().constant(product.input(1))).toFloats();
    }

    @Test
    @DisplayName("stay as they are where one example alone could tell")
    void oneExample() {
        OnnxModel model = products();
        OnnxModel changed = changed(model);

        try (var layers = OutputLayers.of(model, batches(1, 1))) {
            assertEquals(0, distance(changed, layers.refitted(changed)));
        }
    }

    @Test
    @DisplayName("are none where something else than an activation follows the product")
    void none() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, 32]")
                        .weight("w", 32, 16)
                        .node("h = MatMul(x, w)")
                        .node("y = Mul(h, h)")
                        .output("y")
                        .build();

        try (var layers = OutputLayers.of(model, batches(2, 8))) {
            assertTrue(layers.isEmpty());
            assertSame(model, layers.refitted(model));
        }
    }

    private static OnnxModel products() {
        return TestGraphs.opset(17)
                .input("x: Float[N, 32]")
                .weight("w0", 32, 48)
                .weight("w1", 48, 16)
                .weight("b", 16)
                .node("h = MatMul(x, w0)")
                .node("r = Relu(h)")
                .node("y = MatMul(r, w1)")
                .node("z = Add(y, b)")
                .node("p = Softmax(z)")
                .output("p")
                .build();
    }

    private static OnnxModel gemms() {
        return TestGraphs.opset(17)
                .input("x: Float[N, 32]")
                .weight("w0", 32, 48)
                .weight("w1", 16, 48)
                .weight("b", 16)
                .node("h = MatMul(x, w0)")
                .node("r = Relu(h)")
                .node("y = Gemm(r, w1, b)", node -> node.with("transB", 1).with("alpha", 0.5f))
                .node("p = Softmax(y)")
                .output("p")
                .build();
    }

    /** The same with its first weights rounded and too small. */
    private static OnnxModel changed(OnnxModel model) {
        return model.rewritten(graph -> {
            ConstantTensor weight = Objects.requireNonNull(graph.constant("w0"));
            float[] values = weight.toFloats();
            for (int i = 0; i < values.length; i++) {
                values[i] = 0.7f * Math.round(values[i] * 64) / 64;
            }
            graph.setConstant("w0", ConstantTensor.floats(weight.shape(), values));
        });
    }

    private static List<Map<String, Tensor>> batches(int count, int rows) {
        return Stream.generate(() -> Map.of("x", Tensors.randn(rows, 32))).limit(count).toList();
    }

    /** Of the results for other data, the mean difference. */
    private static double distance(OnnxModel a, OnnxModel b) {
        try (var scope = new PointerScope();
                var first = OnnxSession.open(a);
                var second = OnnxSession.open(b)) {
            double sum = 0;
            for (Map<String, Tensor> batch : batches(4, 32)) {
                float[] x = Tensors.floats(first.run(batch).values().iterator().next());
                float[] y = Tensors.floats(second.run(batch).values().iterator().next());
                assertEquals(x.length, y.length, () -> Arrays.toString(x));
                for (int i = 0; i < x.length; i++) {
                    sum += Math.abs(x[i] - y[i]);
                }
            }
            return sum;
        }
    }
}

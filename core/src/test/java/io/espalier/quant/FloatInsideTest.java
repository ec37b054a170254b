package io.espalier.quant;

import static io.espalier.Errors.messageOf;
import static io.espalier.TensorAssertions.assertClose;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.FloatFunctional;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.nio.file.Path;
import java.util.Set;

class FloatInsideTest {
    @TempDir Path directory;

    @BeforeEach
    void seed() {
        Libtorch.seed(31);
    }

    /** Layers with arithmetic between them that has no int8 kernel. */
    static final class Gated extends Module {
        final Linear first = add("first", new Linear(8, 8));
        final Sequential second =
                add("second", new Sequential(new Linear(8, 8), new ReLU(), new Linear(8, 8)));
        final FloatFunctional sum = add("sum", new FloatFunctional());

        @Override
        protected Tensor forward(Tensor x) {
            Tensor gate = first.call(x).sin();
            return sum.add(second.call(gate.exp()), gate).cos().add(x.cos());
        }
    }

    private static Sequential calibrated(Sequential model, Tensor x) {
        model.eval();
        model.qconfig(QConfig.forBackend("x86"));
        Quantization.prepare(model);
        model.call(x);
        return model;
    }

    private static Sequential model() {
        return new Sequential(new Linear(8, 8), new Gated(), new Linear(8, 4));
    }

    private static float noise(Tensor expected, Tensor actual) {
        return actual.sub(expected).norm().item_float() / expected.norm().item_float();
    }

    @ParameterizedTest
    @ValueSource(strings = {"1", ""})
    @DisplayName("What has no int8 kernel runs in floats where convert is told so")
    void runsInFloats(String path) {
        Sequential original = model();
        original.eval();
        Tensor x = Tensors.randn(16, 8);
        Tensor expected = original.call(x);
        Sequential model = calibrated(original.copy(), x);

        Quantization.convert(model, path.isEmpty() ? Set.of("", "1") : Set.of(path));

        Tensor y = model.call(x);
        assertTrue(noise(expected, y) > 0 && noise(expected, y) < 0.05, "" + noise(expected, y));
        assertTrue(model.module("1.second.2").toString().startsWith("QuantizedLinear("));
        assertTrue(model.module("1.sum").toString().startsWith("QFunctional("));
        assertClose(y, model.<Sequential>copy().call(x), 0);
        Path file = directory.resolve("gated.safetensors");
        Quantization.save(model, file);
        assertClose(y, Quantization.load(original, file).call(x), 0);
    }

    @Test
    @DisplayName("Otherwise the operator is named, with all ways out")
    void namesTheOperator() {
        Tensor x = Tensors.randn(16, 8);
        Sequential model = calibrated(model(), x);
        Quantization.convert(model);
        String message = messageOf(() -> model.call(x));
        assertTrue(
                message.startsWith("Gated() on shape [16, 8]: aten::sin")
                        && message.contains("put a DeQuantStub before it")
                        && message.contains("Quantization.convert(model, Set.of(path))"),
                message);
    }

    @Test
    @DisplayName("A path that names nothing, or a layer, is refused before anything is changed")
    void refusesPaths() {
        Tensor x = Tensors.randn(16, 8);
        Sequential model = calibrated(model(), x);
        String before = model.toString();
        assertTrue(
                messageOf(() -> Quantization.convert(model, Set.of("3")))
                        .startsWith("No module '3' in Sequential"));
        assertEquals(before, model.toString());
    }
}

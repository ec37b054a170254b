package io.espalier.quant;

import static io.espalier.Errors.messageOf;
import static io.espalier.TensorAssertions.assertClose;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.BatchNorm1d;
import io.espalier.nn.Embedding;
import io.espalier.nn.LSTM;
import io.espalier.nn.LayerNorm;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.quant.layer.PackedLayer;
import io.espalier.quant.layer.QuantizedLayer;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.nio.file.Path;
import java.util.List;

/** A module that stands at two places is one module, before and after quantization. */
class SharedModulesTest {
    @TempDir Path directory;

    @BeforeEach
    void seed() {
        Libtorch.seed(37);
    }

    private static Sequential twice(Module layer, Module between) {
        Sequential model = new Sequential(layer, between, layer);
        model.eval();
        return model;
    }

    private static float noise(Tensor expected, Tensor actual) {
        return actual.sub(expected).norm().item_float() / expected.norm().item_float();
    }

    private static void quantize(Module model, Tensor x) {
        model.qconfig(QConfig.forBackend("x86"));
        Quantization.prepare(model);
        model.call(x);
        Quantization.convert(model);
    }

    @Test
    @DisplayName("Both places get the same converted module, which saves, loads and copies")
    void convertsBoth() {
        for (Module layer : List.of(new Linear(6, 6), new LSTM(6, 6), new LayerNorm(6))) {
            Sequential original = new Sequential(layer, layer);
            original.eval();
            Sequential model = original.copy();
            Tensor x = Tensors.randn(5, 3, 6);
            Tensor expected = original.call(x);
            quantize(model, x);
            assertSame(model.get(0), model.get(1));
            assertTrue(model.get(0) instanceof QuantizedLayer);
            Tensor y = model.call(x);
            assertTrue(noise(expected, y) < 0.1, "" + noise(expected, y));
            Path file = directory.resolve("twice.safetensors");
            Quantization.save(model, file);
            Sequential back = Quantization.load(original, file);
            assertClose(y, back.call(x), 0);
            Sequential copy = model.copy();
            assertSame(copy.get(0), copy.get(1));
            assertClose(y, copy.call(x), 0);
        }
    }

    @Test
    @DisplayName("Dynamic quantization and training replace both places too")
    void otherWays() {
        Sequential dynamic = twice(new Linear(6, 6), new ReLU());
        Quantization.quantizeDynamic(dynamic);
        assertSame(dynamic.get(0), dynamic.get(2));

        Sequential trained = twice(new Linear(6, 6), new ReLU());
        trained.train();
        trained.qconfig(QConfig.qatForBackend("x86"));
        Quantization.prepareQat(trained);
        assertSame(trained.get(0), trained.get(2));
        trained.call(Tensors.randn(4, 6));
        trained.eval();
        Quantization.convert(trained);
        assertSame(trained.get(0), trained.get(2));
        assertTrue(trained.get(0) instanceof PackedLayer);
    }

    /** One table for what comes in and what goes out, as translators have it. */
    static final class Tied extends Module {
        final Embedding in = add("in", new Embedding(9, 4));
        final Embedding out = add("out", in);

        @Override
        protected Tensor forward(Tensor x) {
            return in.call(x).add(out.call(x));
        }
    }

    @Test
    @DisplayName("A tied table is one table")
    void tied() {
        var model = new Tied();
        Quantization.quantizeDynamic(model);
        assertSame(model.module("in"), model.module("out"));
        assertEquals(1, model.namedBuffers().size());
    }

    @Test
    @DisplayName("A chain whose modules stand at two places is fused at both")
    void fusesBoth() {
        var linear = new Linear(6, 6);
        var relu = new ReLU();
        Sequential model = new Sequential(linear, relu, linear, relu);
        model.eval();
        Tensor x = Tensors.randn(4, 6);
        Tensor expected = model.call(x);
        Quantization.fuseModules(model, List.of(List.of("0", "1"), List.of("2", "3")));
        assertSame(model.get(0), model.get(2));
        assertEquals("Identity()", model.get(3).toString());
        assertClose(expected, model.call(x), 0);
        quantize(model, x);
        assertTrue(noise(expected, model.call(x)) < 0.1);
    }

    @Test
    @DisplayName("A chain that would take a shared module from where it is not fused is refused")
    void refusesHalves() {
        var relu = new ReLU();
        Sequential model = new Sequential(new Linear(6, 6), relu, new Linear(6, 6), relu);
        String before = model.toString();
        assertEquals(
                "Can't fuse '1': the same module also stands at '3', where it is not fused; name"
                        + " both places, or give each a module of its own.",
                messageOf(() -> Quantization.fuseModules(model, List.of("0", "1"))));
        assertEquals(before, model.toString());
        Quantization.fuseModules(model, List.of(List.of("0", "1"), List.of("2", "3")));
        assertTrue(model.get(2).toString().startsWith("LinearReLU("));

        var linear = new Linear(6, 6);
        Sequential norms = new Sequential(linear, new BatchNorm1d(6), linear, new BatchNorm1d(6));
        norms.eval();
        assertEquals(
                "Can't fuse [0, 1] and [2, 3]: both begin with the same layer and go on"
                        + " differently; give each a layer of its own.",
                messageOf(() ->
                        Quantization.fuseModules(
                                norms, List.of(List.of("0", "1"), List.of("2", "3")))));
    }
}

package io.espalier.quant;

import static io.espalier.Errors.messageOf;
import static io.espalier.TensorAssertions.assertClose;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.graph.GraphModule;
import io.espalier.nn.BatchNorm1d;
import io.espalier.nn.Embedding;
import io.espalier.nn.Functional;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.Sequential;
import io.espalier.prune.Prune;
import io.espalier.prune.Target;
import io.espalier.tensor.Engine;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

import java.nio.file.Path;
import java.util.List;
import java.util.Set;

@DisplayName("A weight that is used at two places")
class TiedWeightsTest {
    @TempDir Path directory;

    @BeforeEach
    void seed() {
        Libtorch.seed(4);
    }

    /** Words in and scores of words out, by one table: Long [N] to [N, 12]. */
    private static final class Words extends Module {
        final Embedding table = add("table", new Embedding(12, 6));
        final Linear middle = add("middle", new Linear(6, 6));

        @Override
        protected Tensor forward(Tensor words) {
            return Functional.linear(middle.call(table.call(words)), table.weight(), null);
        }
    }

    /** A weight there and back: [N, 8] to [N, 8]. */
    private static final class Autoencoder extends Module {
        final Linear encoder = add("encoder", new Linear(8, 4));
        final boolean relu;

        Autoencoder(boolean relu) {
            this.relu = relu;
        }

        @Override
        protected Tensor forward(Tensor x) {
            Tensor code = encoder.call(x);
            return Functional.matmul(relu ? Functional.relu(code) : code, encoder.value("weight"));
        }
    }

    /** Two layers that hold one tensor: [N, 6] to [N, 6]. */
    private static final class Twins extends Module {
        final Linear first = add("first", new Linear(6, 6));
        final Linear second = add("second", new Linear(6, 6));

        Twins() {
            second.adopt(first);
        }

        @Override
        protected Tensor forward(Tensor x) {
            return second.call(Functional.relu(first.call(x)));
        }
    }

    private static <M extends Module> M inference(M model) {
        model.eval();
        return model;
    }

    private Path saved(Module model) {
        Path file = directory.resolve("model.safetensors");
        Quantization.save(model, file);
        return file;
    }

    private static void assertSameOutput(Module one, Module other, Tensor x) {
        assertTrue(Tensors.equal(one.call(x), inference(other).call(x)));
    }

    @ParameterizedTest
    @ValueSource(strings = {"int8", "float16", "tables"})
    @DisplayName("is what the layer computes with, before and after saving a dynamic model")
    void dynamic(String kind) {
        Tensor words = Tensors.of(new long[] {0, 3, 11, 5}, 4);
        Words model = inference(new Words());
        Tensor expected = model.call(words).detach();
        switch (kind) {
            case "int8" -> Quantization.quantizeDynamic(model);
            case "float16" -> Quantization.quantizeDynamic(model, QConfig.float16());
            default -> Quantization.quantizeDynamic(model, QConfig.weightOnly());
        }
        assertClose(expected, model.call(words), 0.15f);
        Tensor again = Quantization.load(new Words(), saved(model)).call(words);
        assertTrue(Tensors.equal(model.call(words), again));
        assertSameOutput(model, model.copy(), words);
    }

    @ParameterizedTest
    @EnumSource(Engine.class)
    @DisplayName("is what the layer computes with, before and after saving a static model")
    void converted(Engine engine) {
        Tensor x = Tensors.randn(5, 8);
        for (boolean relu : new boolean[] {true, false}) {
            Autoencoder model = inference(new Autoencoder(relu));
            Tensor expected = model.call(x).detach();
            model.qconfig(QConfig.forBackend(engine.toString()));
            Quantization.prepare(model);
            model.call(x);
            Quantization.convert(model, Set.of(""));
            assertClose(expected, model.call(x), 0.1f);
            assertSameOutput(model, Quantization.load(new Autoencoder(relu), saved(model)), x);
            assertSameOutput(model, model.copy(), x);
        }
    }

    @Test
    @DisplayName("is what the layer computes with after training for integers")
    void trained() {
        Tensor x = Tensors.randn(5, 8);
        Autoencoder model = new Autoencoder(true);
        model.qconfig(QConfig.qatForBackend("x86"));
        Quantization.prepareQat(model);
        model.call(x);
        model.eval();
        Tensor expected = model.call(x).detach();
        Quantization.convert(model, Set.of(""));
        assertClose(expected, model.call(x), 0.1f);
        assertSameOutput(model, Quantization.load(new Autoencoder(true), saved(model)), x);
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    @DisplayName("is what the layer computes with in a graph, before and after saving it")
    void graph(boolean relu) {
        Tensor x = Tensors.randn(5, 8);
        Autoencoder model = inference(new Autoencoder(relu));
        Tensor expected = model.call(x).detach();
        GraphModule graph = Quantization.quantize(model, x, List.of(x));
        assertClose(expected, graph.call(x), 0.1f);
        Path file = directory.resolve("graph.safetensors");
        Quantization.save(graph, file);
        assertSameOutput(graph, Quantization.loadGraph(file), x);
    }

    /** A layer whose normalization can be folded into a weight that is used again. */
    private static final class Normalized extends Module {
        final Linear layer = add("layer", new Linear(6, 6));
        final BatchNorm1d norm = add("norm", new BatchNorm1d(6));

        @Override
        protected Tensor forward(Tensor x) {
            return Functional.matmul(norm.call(layer.call(x)), layer.weight());
        }
    }

    @Test
    @DisplayName("is not read where a normalization was folded into it, and stays apart in graphs")
    void folded() {
        Tensor x = Tensors.randn(5, 6);
        Normalized model = new Normalized();
        model.call(Tensors.randn(20, 6).mul(new Scalar(3.0)));
        model.eval();
        Tensor expected = model.call(x).detach();
        GraphModule graph = Quantization.quantize(model, x, List.of(x));
        assertClose(expected, graph.call(x), 0.3f);
        Quantization.fuseModules(model, List.of("layer", "norm"));
        String message = messageOf(() -> model.call(x));
        assertTrue(message.contains("Can't read 'weight' of Linear: 'layer' was fused"), message);
    }

    @Test
    @DisplayName("is masked at both, also after saving, copying and quantizing")
    void pruned() {
        Tensor x = Tensors.randn(5, 8);
        Autoencoder model = inference(new Autoencoder(false));
        Prune.l1Unstructured(model.encoder, "weight", 0.5);
        assertEquals(16, model.encoder.value("weight").eq(new Scalar(0L)).sum().item_long());
        Tensor expected = model.call(x).detach();
        Path file = directory.resolve("pruned.safetensors");
        model.save(file);
        Autoencoder again = inference(new Autoencoder(false));
        again.load(file);
        assertTrue(Tensors.equal(expected, again.call(x)));
        assertTrue(Tensors.equal(expected, model.<Autoencoder>copy().call(x)));
        Quantization.quantizeDynamic(again);
        assertClose(expected, again.call(x), 0.1f);
        assertSameOutput(again, Quantization.load(new Autoencoder(false), saved(again)), x);
    }

    @Test
    @DisplayName("stays one tensor when the model is copied, saved and loaded")
    void oneTensor() {
        Twins model = new Twins();
        Twins copy = model.copy();
        assertSame(copy.first.parameter("weight"), copy.second.parameter("weight"));
        assertEquals(
                List.of("first.weight", "first.bias"),
                List.copyOf(model.namedParameters().keySet()));
        Path file = directory.resolve("twins.safetensors");
        model.save(file);
        Twins loaded = new Twins();
        loaded.load(file);
        assertSame(loaded.first.parameter("weight"), loaded.second.parameter("weight"));
        Tensor x = Tensors.randn(3, 6);
        assertTrue(Tensors.equal(model.call(x), loaded.call(x)));
    }

    @Test
    @DisplayName("that two layers hold is no target of pruning a whole model")
    void notPruned() {
        assertEquals(List.of(), Target.weights(new Twins()));
        var layer = new Linear(3, 3);
        assertEquals(
                List.of(new Target(layer, "weight")), Target.weights(new Sequential(layer, layer)));
    }

    @ParameterizedTest
    @ValueSource(strings = {"dynamic", "float16", "static", "graph"})
    @DisplayName("that two layers hold is right in both when one or both are quantized")
    void twins(String way) {
        Tensor x = Tensors.randn(5, 6);
        Twins model = inference(new Twins());
        Tensor expected = model.call(x).detach();
        switch (way) {
            case "dynamic" -> Quantization.quantizeDynamic(model);
            case "float16" -> Quantization.quantizeDynamic(model, QConfig.float16());
            case "graph" -> {
                assertClose(expected, Quantization.quantize(model, x, List.of(x)).call(x), 0.1f);
                return;
            }
            default -> {
                model.qconfig(QConfig.forBackend("x86"));
                model.second.qconfig(null);
                Quantization.prepare(model);
                model.call(x);
                Quantization.convert(model);
            }
        }
        assertClose(expected, model.call(x), 0.1f);
        assertSameOutput(model, Quantization.load(new Twins(), saved(model)), x);
    }
}

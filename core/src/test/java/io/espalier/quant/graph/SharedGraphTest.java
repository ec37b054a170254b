package io.espalier.quant.graph;

import static io.espalier.Errors.messageOf;
import static io.espalier.quant.graph.GraphNetworks.Net;
import static io.espalier.quant.graph.GraphNetworks.images;
import static io.espalier.quant.graph.GraphNetworks.plain;
import static io.espalier.quant.graph.GraphNetworks.settled;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.graph.GraphModule;
import io.espalier.nn.Functional;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.MultiheadAttention;
import io.espalier.nn.Sequential;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.nio.file.Path;
import java.util.List;

@DisplayName("A quantized graph that is saved, copied, or called by many")
class SharedGraphTest {
    @BeforeEach
    void seed() {
        Libtorch.seed(3);
    }

    @Test
    @DisplayName("is saved to one file that needs no code, and copied")
    void savesAndCopies(@TempDir Path folder) {
        GraphModule quantized =
                Quantization.quantize(settled(new Net()), images(), List.of(images()));
        Tensor x = images();
        Tensor expected = quantized.call(x);

        Path file = folder.resolve("net.safetensors");
        Quantization.save(quantized, file);
        GraphModule loaded = Quantization.loadGraph(file);

        assertEquals(quantized.toString(), loaded.toString());
        assertEquals(quantized.graph(), loaded.graph());
        assertTrue(Tensors.equal(expected, loaded.call(x)));
        assertTrue(Tensors.equal(expected, quantized.<GraphModule>copy().call(x)));
        String message = messageOf(() -> Quantization.load(new Net(), file));
        assertTrue(message.contains("holds a quantized graph"), message);
    }

    @Test
    @DisplayName("reads layers that stayed in float with the model they come from, or without")
    void loadsWithFloatLayers(@TempDir Path folder) {
        Sequential model = settled(plain());
        model.qconfig(QConfig.forBackend("x86"));
        model.get(0).qconfig(null);
        Tensor x = images();
        GraphModule quantized = Quantization.quantize(model, x, List.of(x));
        Path file = folder.resolve("net.safetensors");
        Quantization.save(quantized, file);

        GraphModule loaded = Quantization.loadGraph(plain(), file);
        GraphModule alone = Quantization.loadGraph(file);

        assertTrue(Tensors.equal(quantized.call(x), loaded.call(x)));
        assertTrue(Tensors.equal(quantized.call(x), alone.call(x)));
    }

    @Test
    @DisplayName("is computed by eight threads as by one")
    void threads() throws InterruptedException {
        GraphModule quantized =
                Quantization.quantize(settled(new Net()), images(), List.of(images()));
        Tensor x = images();
        Tensor expected = quantized.call(x);
        var failures = new java.util.concurrent.ConcurrentLinkedQueue<String>();
        List<Thread> threads =
                java.util.stream.IntStream.range(0, 8)
                        .mapToObj(i ->
                                Thread.ofPlatform()
                                        .start(() -> {
                                            for (int k = 0; k < 20; k++) {
                                                if (!Tensors.equal(expected, quantized.call(x))) {
                                                    failures.add("thread " + i);
                                                }
                                            }
                                        }))
                        .toList();
        for (Thread thread : threads) {
            thread.join();
        }

        assertTrue(failures.isEmpty(), failures.toString());
    }

    /** Tensors of its own beside a layer, used before or after it. */
    private static final class Scaled extends Module {
        private final Linear fc = add("fc", new Linear(8, 8));
        private final boolean first;

        Scaled(boolean first) {
            this.first = first;
            addParameter("scale", Tensors.randn(8));
        }

        @Override
        protected Tensor forward(Tensor x) {
            return first
                    ? fc.call(Functional.mul(x, value("scale")))
                    : Functional.mul(fc.call(x), value("scale"));
        }
    }

    /** Attention whose steps are seen, as a part of a model. */
    private static final class Attending extends Module {
        private final MultiheadAttention attention =
                add("attention", new MultiheadAttention(8, 2, o -> o.lookedInto(true)));

        @Override
        protected Tensor forward(Tensor x) {
            return attention.callAll(List.of(x, x, x)).getFirst();
        }
    }

    @Test
    @DisplayName("may have parts with tensors of their own beside layers, at any depth")
    void ownTensorsBesideLayers(@TempDir Path folder) {
        Tensor x = Tensors.randn(6, 3, 8);
        for (Module part :
                List.of(new Scaled(true), new Scaled(false), new Attending(), new Scaled(true))) {
            var model = new Sequential(new Linear(8, 8), new Sequential(part));
            model.eval();
            Tensor expected = model.call(x);

            GraphModule quantized = Quantization.quantize(model, x, List.of(x));
            Path file = folder.resolve("nested.safetensors");
            Quantization.save(quantized, file);

            Tensor given = quantized.call(x);
            double off = given.sub(expected).abs().max().item_double();
            assertTrue(off < 0.05 * expected.abs().max().item_double(), off + " of " + part);
            assertTrue(Tensors.equal(given, Quantization.loadGraph(file).call(x)));
            assertTrue(Tensors.equal(given, quantized.<GraphModule>copy().call(x)));
        }
    }
}

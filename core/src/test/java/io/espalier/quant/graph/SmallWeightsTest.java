package io.espalier.quant.graph;

import static io.espalier.quant.graph.GraphNetworks.decibels;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.graph.GraphModule;
import io.espalier.nn.Embedding;
import io.espalier.nn.EmbeddingBag;
import io.espalier.nn.Functional;
import io.espalier.nn.GRU;
import io.espalier.nn.LSTM;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Recurrent;
import io.espalier.nn.Sequential;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.quant.layer.DynamicLayer;
import io.espalier.quant.layer.QuantizedLayer;
import io.espalier.quant.layer.QuantizedTable;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

import java.nio.file.Path;
import java.util.List;

@DisplayName("A quantized graph with tables of vectors and recurrent networks")
class SmallWeightsTest {
    private static final int WORDS = 40;

    /** Tags each word: a table, a network that reads both ways, a classifier. */
    private static final class Tagger extends Module {
        private final Embedding table = add("table", new Embedding(WORDS, 12));
        private final Recurrent network;
        private final Linear out = add("out", new Linear(32, 5));

        Tagger(boolean lstm) {
            network =
                    add(
                            "network",
                            lstm
                                    ? new LSTM(12, 16, o -> o.layers(2).bidirectional(true))
                                    : new GRU(12, 16, o -> o.batchFirst(true).bidirectional(true)));
        }

        @Override
        protected Tensor forward(Tensor words) {
            return out.call(Functional.relu(network.call(table.call(words))));
        }
    }

    @BeforeEach
    void seed() {
        Libtorch.seed(21);
    }

    private static Tensor words(long... shape) {
        return Tensors.rand(shape).mul(new Scalar((double) WORDS)).to(ScalarType.Long);
    }

    private static void assertSavesAndLoads(GraphModule quantized, Tensor x, Path folder) {
        Path file = folder.resolve("graph.safetensors");
        Quantization.save(quantized, file);
        GraphModule loaded = Quantization.loadGraph(file);
        assertEquals(quantized.toString(), loaded.toString());
        assertTrue(Tensors.equal(quantized.call(x), loaded.call(x)));
    }

    @ParameterizedTest
    @CsvSource({
        "x86, true",
        "x86, false",
        "onednn, true",
        "fbgemm, false",
        "fbgemm, true",
        "qnnpack, true",
        "qnnpack, false"
    })
    @DisplayName("has all their weights in 8 bit, stays close to the float one, and is saved")
    void tagger(String engine, boolean lstm, @TempDir Path folder) {
        var model = new Tagger(lstm);
        model.eval();
        model.qconfig(QConfig.forBackend(engine));
        Tensor x = words(7, 3);

        GraphModule quantized = Quantization.quantize(model, x, List.of(x, words(5, 4)));

        assertInstanceOf(QuantizedTable.class, quantized.module("table"));
        assertInstanceOf(DynamicLayer.class, quantized.module("network"));
        assertInstanceOf(QuantizedLayer.class, quantized.module("out"));
        assertTrue(decibels(model.call(x), quantized.call(x)) > 25);
        assertSavesAndLoads(quantized, x, folder);
    }

    @ParameterizedTest
    @ValueSource(ints = {4, 8})
    @DisplayName("can have small tables alone, which need no layer beside them")
    void tablesOnly(int bits, @TempDir Path folder) {
        var model = new Sequential(new EmbeddingBag(WORDS, 16), new Linear(16, 3));
        model.eval();
        model.qconfig(bits == 8 ? QConfig.weightOnly() : QConfig.weightOnly4Bit());
        Tensor x = words(6, 4);

        GraphModule quantized = Quantization.quantize(model, x, List.of(x));

        assertInstanceOf(QuantizedTable.class, quantized.module("0"));
        assertInstanceOf(Linear.class, quantized.module("1"));
        assertTrue(decibels(model.call(x), quantized.call(x)) > (bits == 8 ? 35 : 12));
        assertSavesAndLoads(quantized, x, folder);
    }

    @Test
    @DisplayName("has what is configured so without a kernel that needs ranges")
    void dynamicLinear(@TempDir Path folder) {
        var model = new Sequential(new Linear(8, 16), new ReLU(), new Linear(16, 3));
        model.eval();
        model.qconfig(QConfig.forBackend("x86"));
        model.get(0).qconfig(QConfig.dynamicPerChannel());
        Tensor x = Tensors.randn(32, 8);

        GraphModule quantized = Quantization.quantize(model, x, List.of(x));

        assertInstanceOf(DynamicLayer.class, quantized.module("0"));
        assertInstanceOf(QuantizedLayer.class, quantized.module("2"));
        assertTrue(decibels(model.call(x), quantized.call(x)) > 28);
        assertSavesAndLoads(quantized, x, folder);
    }

    /** The table's weight is the classifier's, too. */
    private static final class Tied extends Module {
        private final Embedding table = add("table", new Embedding(WORDS, 16));
        private final Linear hidden = add("hidden", new Linear(16, 16));

        @Override
        protected Tensor forward(Tensor words) {
            Tensor y = Functional.relu(hidden.call(table.call(words)));
            return Functional.linear(y, table.value("weight"), null);
        }
    }

    @Test
    @DisplayName("keeps in float the weight that something else reads, beside the small table")
    void tied(@TempDir Path folder) {
        var model = new Tied();
        model.eval();
        Tensor x = words(9, 4);

        GraphModule quantized = Quantization.quantize(model, x, List.of(x));

        assertInstanceOf(QuantizedTable.class, quantized.module("table#1"));
        assertTrue(decibels(model.call(x), quantized.call(x)) > 25);
        assertSavesAndLoads(quantized, x, folder);
    }
}

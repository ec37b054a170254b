package io.espalier.quant;

import static io.espalier.Errors.messageOf;
import static io.espalier.TensorAssertions.assertClose;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.Embedding;
import io.espalier.nn.EmbeddingBag;
import io.espalier.nn.EmbeddingBag.Mode;
import io.espalier.nn.Linear;
import io.espalier.nn.Mask;
import io.espalier.nn.Module;
import io.espalier.nn.Sequential;
import io.espalier.quant.layer.QuantizedTable;
import io.espalier.quant.observer.PerChannelMinMaxObserver;
import io.espalier.quant.observer.PlaceholderObserver;
import io.espalier.quant.observer.Qscheme;
import io.espalier.quant.observer.QuantizedType;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;
import io.espalier.train.Optimizers;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

import java.nio.file.Path;
import java.util.List;
import java.util.Set;

class EmbeddingQuantizationTest {
    private static final int COUNT = 50;

    @TempDir Path directory;

    @BeforeEach
    void seed() {
        Libtorch.seed(11);
    }

    private static QConfig bits(int bits) {
        return bits == 8 ? QConfig.weightOnly() : QConfig.weightOnly4Bit();
    }

    private static Tensor longs(long... values) {
        return Tensors.of(values, values.length);
    }

    private static Tensor all() {
        return torch.arange(new Scalar(COUNT)).to(ScalarType.Long);
    }

    /** Half the step between two integers of each row, and what 16-bit floats add to it. */
    private static void assertWithinHalfStep(Tensor wanted, Tensor actual, int bits) {
        for (int row = 0; row < wanted.size(0); row++) {
            Tensor values = wanted.get(row);
            float range =
                    Math.max(values.max().item_float(), 0) - Math.min(values.min().item_float(), 0);
            float step = range / ((1 << bits) - 1);
            float largest = actual.get(row).sub(values).abs().max().item_float();
            assertTrue(largest <= step * 0.52f, "row " + row + ": " + largest + " of " + step);
        }
    }

    @Nested
    @DisplayName("A table")
    class Tables {
        @ParameterizedTest
        @ValueSource(ints = {8, 4})
        @DisplayName("gives every value within half a step of its row, of any size of vectors")
        void isPrecise(int bits) {
            for (int size : new int[] {1, 7, 16, 33}) {
                Sequential model = new Sequential(new Embedding(COUNT, size));
                Tensor wanted = model.call(all()).detach();
                Quantization.quantizeDynamic(model, bits(bits));
                Tensor actual = model.call(all());
                assertWithinHalfStep(wanted, actual, bits);
                assertTrue(size == 1 || actual.sub(wanted).abs().max().item_float() > 0);
                Tensor square = all().reshape(5, 10);
                assertClose(actual.reshape(5, 10, size), model.call(square), 0);
                assertClose(actual, model.call(all().to(ScalarType.Int)), 0);
            }
        }

        @ParameterizedTest
        @ValueSource(ints = {8, 4})
        @DisplayName("keeps zeros exactly: pruned weights and the padding's vector")
        void keepsZeros(int bits) {
            Embedding table = new Embedding(COUNT, 16, 3);
            Tensor kept = Tensors.rand(COUNT, 16).gt(new Scalar(0.5)).to(ScalarType.Float);
            prune(table, kept);
            Sequential model = new Sequential(table);
            Quantization.quantizeDynamic(model, bits(bits));
            Tensor values = model.call(all());
            assertEquals(0, values.masked_select(kept.eq(new Scalar(0))).abs().sum().item_float());
            assertEquals(0, values.get(3).abs().sum().item_float());
            assertTrue(values.abs().sum().item_float() > 0);
        }

        @ParameterizedTest
        @ValueSource(ints = {8, 4})
        @DisplayName("prints as PyTorch's, takes the bytes it should, copies, saves and loads")
        void savesAndLoads(int bits) {
            Sequential original = new Sequential(new Embedding(COUNT, 16), new Linear(16, 2));
            Sequential model = original.copy();
            Quantization.quantizeDynamic(model, bits(bits));
            assertEquals(
                    """
                    Sequential(
                      (0): QuantizedEmbedding(num_embeddings=50, embedding_dim=16, dtype=torch.%s, qscheme=torch.per_channel_affine_float_qparams)
                      (1): Linear(in_features=16, out_features=2, bias=True)
                    )\
                    """
                            .formatted(bits == 8 ? "quint8" : "quint4x2"),
                    model.toString());
            assertEquals((bits == 8 ? 24L : 12L) * COUNT, model.get(0).buffer("weight").nbytes());
            Tensor y = model.call(all());
            Path file = directory.resolve("table.safetensors");
            Quantization.save(model, file);
            Sequential back = Quantization.load(original, file);
            assertClose(y, back.call(all()), 0);
            assertClose(y, model.<Sequential>copy().call(all()), 0);
            assertEquals(model.toString(), back.toString());
        }

        @Test
        @DisplayName("refuses indices that are no integers or not in the table, and goes on")
        void refusesIndices() {
            Sequential model = new Sequential(new Embedding(4, 2));
            Quantization.quantizeDynamic(model);
            assertEquals(
                    "An index of a table of 4 vectors must be in 0…3; got 0…4.",
                    messageOf(() -> model.call(longs(1, 0, 4))));
            assertEquals(
                    "An index of a table of 4 vectors must be in 0…3; got -1…-1.",
                    messageOf(() -> model.call(longs(-1))));
            assertTrue(
                    messageOf(() -> model.call(Tensors.ones(2)))
                            .contains("indices are Long or Int; these are Float."));
            assertArrayEquals(new long[] {2, 2}, Tensors.shape(model.call(longs(0, 3))));
            assertArrayEquals(
                    new long[] {0, 2},
                    Tensors.shape(model.call(Tensors.zeros(ScalarType.Long, 0))));
        }

        @Test
        @DisplayName("of values that 16-bit floats can't hold is refused for 4 bits")
        void refusesLargeValues() {
            Sequential model = new Sequential(new Embedding(4, 2));
            model.get(0).parameter("weight").detach().fill_(new Scalar(-1e6));
            assertEquals(
                    "The table '0.weight' holds values of more than 65504.0, the largest 16-bit"
                            + " float, in which 4-bit rows keep their offset; use 8 bits.",
                    messageOf(() -> Quantization.quantizeDynamic(model, bits(4))));
            Quantization.quantizeDynamic(model, bits(8));
            assertClose(Tensors.of(-1e6f, -1e6f), model.call(longs(2)).get(0), 20);
        }
    }

    @Nested
    @DisplayName("A table of bags")
    class TablesOfBags {
        private final Tensor indices = longs(4, 9, 4, 30, 2, 49, 0);
        private final Tensor offsets = longs(0, 3, 3, 5);

        private Tensor weights(Mode mode) {
            return mode == Mode.SUM ? Tensors.randn(7) : Tensors.zeros(0);
        }

        @ParameterizedTest
        @EnumSource
        @DisplayName("reduces as the float one does, with padding, empty bags and weights")
        void reduces(Mode mode) {
            for (int bits : new int[] {8, 4}) {
                for (long padding : new long[] {-1, 4, 30}) {
                    EmbeddingBag bag =
                            new EmbeddingBag(
                                    COUNT,
                                    6,
                                    o ->
                                            padding < 0
                                                    ? o.mode(mode)
                                                    : o.mode(mode).paddingIndex(padding));
                    Sequential model = new Sequential(bag);
                    Sequential dequantized = model.copy();
                    Quantization.quantizeDynamic(model, bits(bits));
                    var table = (QuantizedTable) model.get(0);
                    dequantized
                            .get(0)
                            .parameter("weight")
                            .detach()
                            .copy_(table.floatWeights().get("weight"));
                    assertClose(
                            dequantized.call(indices, offsets),
                            model.call(indices, offsets),
                            1e-5f);
                    Tensor square = all().reshape(10, 5);
                    assertClose(dequantized.call(square), model.call(square), 1e-5f);
                    if (mode == Mode.SUM) {
                        Tensor weights = weights(mode);
                        assertClose(
                                dequantized.call(indices, offsets, weights),
                                model.call(indices, offsets, weights),
                                1e-5f);
                    }
                }
            }
        }

        @ParameterizedTest
        @EnumSource
        @DisplayName("keeps its mode, padding and offsets through saving and loading")
        void savesAndLoads(Mode mode) {
            Sequential original =
                    new Sequential(
                            new EmbeddingBag(
                                    COUNT,
                                    6,
                                    o -> o.mode(mode).paddingIndex(4).includeLastOffset(true)));
            Sequential model = original.copy();
            Quantization.quantizeDynamic(model);
            assertEquals(
                    "QuantizedEmbeddingBag(num_embeddings=50, embedding_dim=6, dtype=torch.quint8,"
                            + " qscheme=torch.per_channel_affine_float_qparams)",
                    model.get(0).toString());
            Tensor y = model.call(indices, longs(0, 3, 6));
            assertArrayEquals(new long[] {2, 6}, Tensors.shape(y));
            Path file = directory.resolve("bags.safetensors");
            Quantization.save(model, file);
            Sequential back = Quantization.load(original, file);
            assertClose(y, back.call(indices, longs(0, 3, 6)), 0);
        }
    }

    /** A bag of words and a linear layer. */
    private static Sequential classifier() {
        return new Sequential(
                new EmbeddingBag(COUNT, 16, o -> o.mode(Mode.SUM)), new Linear(16, 3));
    }

    @Nested
    @DisplayName("Prepare and convert")
    class Static {
        @Test
        @DisplayName(
                "need no calibration for a weight-only qconfig, which leaves all else in float")
        void weightOnly() {
            Sequential model = classifier();
            model.eval();
            model.qconfig(QConfig.weightOnly());
            Quantization.prepare(model);
            Quantization.convert(model);
            assertTrue(model.get(0).toString().startsWith("QuantizedEmbeddingBag("));
            assertTrue(model.get(1).toString().startsWith("Linear("));
        }

        @Test
        @DisplayName(
                "quantize a table under a preset for a backend too; what follows is calibrated")
        void underBackend() {
            Sequential model = classifier();
            model.eval();
            Tensor x = all().reshape(10, 5);
            Tensor wanted = model.call(x).detach();
            Sequential original = model.copy();
            model.qconfig(QConfig.forBackend("x86"));
            Quantization.prepare(model);
            model.call(x);
            Quantization.convert(model);
            assertTrue(model.get(0).toString().startsWith("QuantizedEmbeddingBag("));
            assertTrue(model.get(1).toString().startsWith("QuantizedLinear("));
            Tensor y = model.call(x);
            float noise = y.sub(wanted).norm().item_float() / wanted.norm().item_float();
            assertTrue(noise > 0 && noise < 0.03, "noise " + noise);
            Path file = directory.resolve("words.safetensors");
            Quantization.save(model, file);
            assertClose(y, Quantization.load(original, file).call(x), 0);
        }

        @Test
        @DisplayName("leave a table in float where qconfig is null")
        void excluded() {
            Sequential model = classifier();
            model.eval();
            model.qconfig(QConfig.forBackend("x86"));
            model.get(0).qconfig(null);
            Quantization.prepare(model);
            model.call(all().reshape(10, 5));
            Quantization.convert(model);
            assertTrue(model.get(0).toString().startsWith("EmbeddingBag("));
        }

        @Test
        @DisplayName("refuse a table configured for rows that no kernel reads")
        void refusesTypes() {
            Sequential model = classifier();
            model.get(0)
                    .qconfig(
                            new QConfig(
                                    PlaceholderObserver.with(),
                                    PerChannelMinMaxObserver.with()
                                            .dtype(QuantizedType.QINT8)
                                            .qscheme(Qscheme.PER_CHANNEL_AFFINE_FLOAT_QPARAMS)));
            Quantization.prepare(model);
            assertEquals(
                    "The table '0.weight' is configured as torch.qint8"
                            + " torch.per_channel_affine_float_qparams; tables are torch.quint8 or"
                            + " torch.quint4x2 with a scale for each row.",
                    messageOf(() -> Quantization.convert(model)));
        }
    }

    @Nested
    @DisplayName("Dynamic quantization")
    class Dynamic {
        @Test
        @DisplayName("quantizes tables by default, and leaves them out where only others are named")
        void choosesTables() {
            Sequential model = classifier();
            Sequential linear = model.copy();
            Sequential half = model.copy();
            Quantization.quantizeDynamic(model);
            assertTrue(model.get(0).toString().startsWith("QuantizedEmbeddingBag("));
            assertTrue(model.get(1).toString().startsWith("DynamicQuantizedLinear("));
            Quantization.quantizeDynamic(linear, QConfig.dynamic(), Set.of(Linear.class));
            assertTrue(linear.get(0).toString().startsWith("EmbeddingBag("));
            Quantization.quantizeDynamic(half, QConfig.float16());
            assertEquals(
                    "QuantizedEmbeddingBag(num_embeddings=50, embedding_dim=16,"
                            + " dtype=torch.float16)",
                    half.get(0).toString());
        }

        @ParameterizedTest
        @EnumSource
        @DisplayName("keeps tables in 16 bits by the float16 preset, bags and all")
        void halvesTables(Mode mode) {
            Sequential original =
                    new Sequential(new EmbeddingBag(COUNT, 6, o -> o.mode(mode).paddingIndex(4)));
            Tensor indices = longs(4, 9, 4, 30, 2, 49, 0);
            Tensor offsets = longs(0, 3, 3, 5);
            for (boolean dynamic : new boolean[] {true, false}) {
                Sequential model = original.copy();
                if (dynamic) {
                    Quantization.quantizeDynamic(model, QConfig.float16());
                } else {
                    model.qconfig(QConfig.forBackend("float16"));
                    Quantization.prepare(model);
                    Quantization.convert(model);
                }
                assertEquals(ScalarType.Half, Tensors.type(model.get(0).buffer("weight")));
                Tensor y = model.call(indices, offsets);
                assertClose(original.call(indices, offsets), y, 4e-3f);
                if (mode == Mode.SUM) {
                    Tensor weights = Tensors.randn(7);
                    assertClose(
                            original.call(indices, offsets, weights),
                            model.call(indices, offsets, weights),
                            8e-3f);
                }
                Path file = directory.resolve("half.safetensors");
                Quantization.save(model, file);
                assertClose(y, Quantization.load(original, file).call(indices, offsets), 0);
                assertEquals(
                        "An index of a table of 50 vectors must be in 0…49; got 50…50.",
                        messageOf(() -> model.call(longs(50), longs(0))));
            }
        }

        @Test
        @DisplayName("refuses a weight-only qconfig for layers that are no tables")
        void refusesLinear() {
            Sequential model = classifier();
            assertEquals(
                    "A weight-only qconfig is for Embedding and EmbeddingBag; asked for Linear. Use"
                            + " QConfig.dynamic() for it.",
                    messageOf(() ->
                            Quantization.quantizeDynamic(
                                    model, QConfig.weightOnly(), Set.of(Linear.class))));
        }
    }

    private static void prune(Module table, Tensor kept) {
        Mask mask = new Mask("weight");
        table.storeAs("weight", mask.storedName());
        table.addBuffer(mask.bufferName(), kept);
        table.parametrize("weight", mask);
    }

    @Nested
    @DisplayName("Training for integers")
    class Training {
        private void step(Module model, Tensor x, Tensor target) {
            var optimizer = Optimizers.sgd(model.parameters(), 50);
            for (int i = 0; i < 20; i++) {
                optimizer.zero_grad();
                model.call(x).sub(target).pow(new Scalar(2L)).mean().backward();
                optimizer.step();
            }
        }

        @ParameterizedTest
        @ValueSource(ints = {8, 4})
        @DisplayName("rounds the rows in training, and converts to what was trained")
        void trainsAndConverts(int bits) {
            for (Module table :
                    List.of(
                            new Embedding(COUNT, 8),
                            new EmbeddingBag(COUNT, 8, o -> o.mode(Mode.MEAN)))) {
                Tensor kept = Tensors.rand(COUNT, 8).gt(new Scalar(0.4)).to(ScalarType.Float);
                prune(table, kept);
                Sequential model = new Sequential(table);
                Tensor x = all().reshape(25, 2);
                Tensor before = table.value("weight").detach().clone();
                model.qconfig(bits == 8 ? QConfig.qatWeightOnly() : QConfig.qatWeightOnly4Bit());
                Quantization.prepareQat(model);
                assertTrue(model.toString().contains("(weight_fake_quant): FakeQuantize("));
                Tensor target = Tensors.randn(Tensors.shape(model.call(x)));
                float first = loss(model, x, target);
                step(model, x, target);
                assertTrue(loss(model, x, target) < 0.9 * first);
                Quantization.enableObservers(model, false);
                Tensor simulated = model.get(0).value("weight").detach().clone();
                assertTrue(simulated.sub(before).abs().max().item_float() > 0.01);
                Tensor pruned = kept.eq(new Scalar(0));
                assertEquals(0, simulated.masked_select(pruned).abs().sum().item_float());

                model.eval();
                Quantization.convert(model);

                Tensor converted =
                        ((QuantizedTable) model.get(0)).floatWeights().values().iterator().next();
                assertClose(simulated, converted, 1e-6f);
                assertEquals(0, converted.masked_select(pruned).abs().sum().item_float());
            }
        }

        private static float loss(Module model, Tensor x, Tensor target) {
            return model.call(x).sub(target).pow(new Scalar(2L)).mean().item_float();
        }

        @Test
        @DisplayName("takes a preset for a backend as the preset for tables")
        void underBackend() {
            Sequential model = classifier();
            model.qconfig(QConfig.qatForBackend("x86"));
            Quantization.prepareQat(model);
            Tensor x = all().reshape(10, 5);
            model.call(x);
            assertTrue(model.get(0).toString().contains("dtype=torch.quint8"));
            model.eval();
            Quantization.convert(model);
            assertTrue(model.get(0).toString().startsWith("QuantizedEmbeddingBag("));
            assertFalse(model.toString().contains("fake_quant"));
            assertArrayEquals(new long[] {10, 3}, Tensors.shape(model.call(x)));
        }
    }
}

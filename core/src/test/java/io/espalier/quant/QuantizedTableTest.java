package io.espalier.quant;

import static io.espalier.Errors.messageOf;
import static io.espalier.TensorAssertions.assertClose;
import static io.espalier.quant.WordTables.COUNT;
import static io.espalier.quant.WordTables.all;
import static io.espalier.quant.WordTables.bits;
import static io.espalier.quant.WordTables.longs;
import static io.espalier.quant.WordTables.prune;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.Embedding;
import io.espalier.nn.EmbeddingBag;
import io.espalier.nn.EmbeddingBag.Mode;
import io.espalier.nn.Linear;
import io.espalier.nn.Sequential;
import io.espalier.quant.layer.QuantizedTable;
import io.espalier.state.SafeTensors;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

import java.lang.foreign.ValueLayout;
import java.nio.file.Path;

class QuantizedTableTest {
    @TempDir Path directory;

    @BeforeEach
    void seed() {
        Libtorch.seed(11);
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

        @ParameterizedTest
        @ValueSource(ints = {8, 4})
        @DisplayName("reads no row from a file whose scale or offset is not finite")
        void refusesScales(int bits) {
            Sequential original = new Sequential(new Embedding(COUNT, 16));
            Sequential model = original.copy();
            Quantization.quantizeDynamic(model, bits(bits));
            Path file = directory.resolve("table.safetensors");
            Quantization.save(model, file);
            SafeTensors.Contents contents = SafeTensors.read(file);
            Tensor rows = contents.tensors().values().iterator().next();
            int last = Math.toIntExact(rows.size(1)) - 1;
            Tensors.segment(rows).set(ValueLayout.JAVA_BYTE, 7L * (last + 1) + last, (byte) 0x7f);
            Tensors.segment(rows)
                    .set(ValueLayout.JAVA_BYTE, 7L * (last + 1) + last - 1, (byte) 0xff);
            SafeTensors.write(file, contents.tensors(), contents.metadata());

            String message = messageOf(() -> Quantization.load(original, file));

            assertTrue(message.contains("row 7 of a table of vectors has a scale or"), message);
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
}

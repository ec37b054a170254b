package io.espalier.prune;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.Linear;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.Random;

/** N:M groups and blocks. */
class PatternedTest {
    @Nested
    class GroupsOfM {
        @ParameterizedTest
        @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
        @DisplayName("exactly N of every M stay, and no pruned one is larger than a kept one")
        void keepsTheLargestOfEachGroup(long seed) {
            var random = new Random(seed);
            int m = 1 + random.nextInt(6);
            int n = random.nextInt(m + 1);
            int dim = random.nextInt(3);
            long[] shape = {1 + random.nextInt(4), 1 + random.nextInt(4), 1 + random.nextInt(4)};
            shape[dim] *= m;
            Tensor scores = Tensors.randn(shape);

            int signed = random.nextBoolean() ? dim : dim - 3;
            Tensor mask = new NmSparsity(n, m, signed).computeMask(scores, Tensors.ones(shape));

            assertArrayEquals(shape, Tensors.shape(mask));
            float[] values = rows(scores.abs(), dim, m);
            float[] kept = rows(mask, dim, m);
            for (int group = 0; group < values.length; group += m) {
                int count = 0;
                float smallestKept = Float.POSITIVE_INFINITY;
                float largestPruned = 0;
                for (int i = group; i < group + m; i++) {
                    count += kept[i] == 1 ? 1 : 0;
                    smallestKept = kept[i] == 1 ? Math.min(smallestKept, values[i]) : smallestKept;
                    largestPruned =
                            kept[i] == 1 ? largestPruned : Math.max(largestPruned, values[i]);
                }
                assertEquals(n, count);
                assertTrue(largestPruned <= smallestKept);
            }
        }

        /** The tensor's groups along a dimension, one after another. */
        private static float[] rows(Tensor tensor, int dim, int m) {
            return Tensors.floats(tensor.transpose(dim, -1).contiguous().view(-1, m));
        }

        @Test
        @DisplayName("of equal magnitudes the lower index goes first")
        void ties() {
            Tensor mask =
                    new NmSparsity(2, 4, 0).computeMask(Tensors.of(1, -1, 1, 1), Tensors.ones(4));
            assertArrayEquals(new float[] {0, 0, 1, 1}, Tensors.floats(mask));
        }

        @Test
        @DisplayName("what earlier pruning took counts and never comes back")
        void composes() {
            var layer = new Linear(8, 16);
            Prune.l1Unstructured(layer, "weight", 0.7);
            float[] before = Tensors.floats(layer.buffer("weight_mask"));

            Prune.apply(layer, "weight", new NmSparsity(2, 4));

            float[] after = Tensors.floats(layer.buffer("weight_mask"));
            for (int group = 0; group < after.length; group += 4) {
                float had = 0;
                float has = 0;
                for (int i = group; i < group + 4; i++) {
                    assertTrue(after[i] <= before[i]);
                    had += before[i];
                    has += after[i];
                }
                assertEquals(Math.min(2, had), has);
            }
        }

        @Test
        @DisplayName("groups that don't fit, and numbers that make no sense, are named")
        void wrongUse() {
            var layer = new Linear(10, 4);
            assertEquals(
                    "Pruning 'weight' [4, 10] of Linear: 2:4 needs groups of 4, but dimension 1 of"
                            + " shape [4, 10] has 10 entries; choose an M that divides it, or"
                            + " another dimension.",
                    messageOf(() -> Prune.apply(layer, "weight", new NmSparsity(2, 4))));
            assertTrue(
                    messageOf(() -> Prune.apply(layer, "weight", new NmSparsity(2, 4, 2)))
                            .contains("Dimension 2 is not one of the 2 of shape [4, 10]"));
            assertEquals(
                    "N:M sparsity keeps 0 to M of every M ≥ 1; asked for 5:4.",
                    messageOf(() -> new NmSparsity(5, 4)));
            assertEquals(0, layer.ownBuffers().size());
        }
    }

    @Nested
    class Blocks {
        @ParameterizedTest
        @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
        @DisplayName("whole blocks go, those of smallest norm, as many as asked for")
        void prunesTheSmallestBlocks(long seed) {
            var random = new Random(seed);
            int rows = 1 + random.nextInt(3);
            int columns = 1 + random.nextInt(4);
            int norm = 1 + random.nextInt(2);
            int height = 1 + random.nextInt(4);
            int width = 1 + random.nextInt(4);
            int count = random.nextInt(height * width + 1);
            Tensor scores = Tensors.randn((long) rows * height, (long) columns * width);

            Tensor mask =
                    new BlockSparsity(Amount.count(count), rows, columns, norm)
                            .computeMask(scores, Tensors.ones(Tensors.shape(scores)));

            float[] values = Tensors.floats(scores);
            float[] kept = Tensors.floats(mask);
            int pruned = 0;
            double largestPruned = 0;
            double smallestKept = Double.POSITIVE_INFINITY;
            for (int block = 0; block < height * width; block++) {
                double sum = 0;
                float ones = 0;
                for (int i = 0; i < rows * columns; i++) {
                    int row = block / width * rows + i / columns;
                    int at = row * columns * width + block % width * columns + i % columns;
                    sum += Math.pow(Math.abs(values[at]), norm);
                    ones += kept[at];
                }
                assertTrue(ones == 0 || ones == rows * columns);
                if (ones == 0) {
                    pruned++;
                    largestPruned = Math.max(largestPruned, sum);
                } else {
                    smallestKept = Math.min(smallestKept, sum);
                }
            }
            assertEquals(count, pruned);
            assertTrue(largestPruned <= smallestKept * (1 + 1e-9));
        }

        @Test
        @DisplayName("pruning again takes a share of the blocks that are left")
        void composes() {
            var layer = new Linear(16, 8);
            Prune.apply(layer, "weight", new BlockSparsity(0.5, 2, 4));
            Prune.apply(layer, "weight", new BlockSparsity(0.5, 2, 4));
            assertEquals(16 * 8 / 4, layer.buffer("weight_mask").sum().item_double());
        }

        @Test
        @DisplayName("a tensor of more dimensions is a matrix of its first and all others")
        void seesAMatrix() {
            Tensor scores = Tensors.of(new float[] {9, 1, 1, 1, 5, 5, 1, 1}, 2, 2, 2);
            Tensor mask =
                    new BlockSparsity(Amount.count(3), 1, 2, 1)
                            .computeMask(scores, Tensors.ones(2, 2, 2));
            assertArrayEquals(new float[] {0, 0, 0, 0, 1, 1, 0, 0}, Tensors.floats(mask));
        }

        @Test
        @DisplayName("blocks that don't tile, and numbers that make no sense, are named")
        void wrongUse() {
            var layer = new Linear(10, 4);
            assertTrue(
                    messageOf(() -> Prune.apply(layer, "weight", new BlockSparsity(0.5, 2, 4)))
                            .endsWith(
                                    "Blocks of 2x4 don't tile shape [4, 10], which is a matrix of"
                                            + " 4x10; choose sizes that divide it."));
            assertTrue(
                    messageOf(() -> Prune.apply(layer, "bias", new BlockSparsity(0.5, 2, 4)))
                            .contains("2 or more dimensions"));
            assertTrue(messageOf(() -> new BlockSparsity(0.5, 0, 4)).contains("0x4"));
            assertTrue(messageOf(() -> new BlockSparsity(Amount.count(1), 2, 2, 3)).contains("L3"));
        }
    }
}

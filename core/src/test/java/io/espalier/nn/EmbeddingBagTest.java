package io.espalier.nn;

import static io.espalier.Errors.messageOf;
import static io.espalier.TensorAssertions.assertClose;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.espalier.nn.EmbeddingBag.Mode;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

import java.util.Map;
import java.util.function.UnaryOperator;

class EmbeddingBagTest {
    /** Rows (1, 2), (3, −4), (5, 6), (−7, 8). */
    private static EmbeddingBag table(UnaryOperator<EmbeddingBag.Options> with) {
        EmbeddingBag bag = new EmbeddingBag(4, 2, with);
        bag.loadStateDict(
                Map.of("weight", Tensors.of(new float[] {1, 2, 3, -4, 5, 6, -7, 8}, 4, 2)));
        return bag;
    }

    private static Tensor longs(long... values) {
        return Tensors.of(values, values.length);
    }

    private static float[] expected(Mode mode) {
        return switch (mode) {
            case SUM -> new float[] {4, -2, 0, 0, -1, 16};
            case MEAN -> new float[] {2, -1, 0, 0, -1 / 3f, 16 / 3f};
            case MAX -> new float[] {3, 2, 0, 0, 5, 8};
        };
    }

    @ParameterizedTest
    @EnumSource
    @DisplayName("Bags given by offsets are reduced; an empty bag is zeros")
    void reducesByOffsets(Mode mode) {
        EmbeddingBag bag = table(o -> o.mode(mode));
        Tensor y = bag.call(longs(0, 1, 0, 2, 3), longs(0, 2, 2));
        assertClose(Tensors.of(expected(mode), 3, 2), y, 1e-6f);
        Tensor ends = longs(0, 2, 2, 5);
        EmbeddingBag closed = table(o -> o.mode(mode).includeLastOffset(true));
        assertClose(y, closed.call(longs(0, 1, 0, 2, 3, 1), ends), 0);
        assertClose(y, closed.call(longs(0, 1, 0, 2, 3), ends.to(ScalarType.Int)), 0);
    }

    @ParameterizedTest
    @EnumSource
    @DisplayName("Each row of a matrix of indices is a bag, with or without a closing offset")
    void reducesRows(Mode mode) {
        Tensor indices = Tensors.of(new long[] {0, 1, 2, 3}, 2, 2);
        float[] wanted =
                switch (mode) {
                    case SUM -> new float[] {4, -2, -2, 14};
                    case MEAN -> new float[] {2, -1, -1, 7};
                    case MAX -> new float[] {3, 2, 5, 8};
                };
        for (boolean closed : new boolean[] {false, true}) {
            EmbeddingBag bag = table(o -> o.mode(mode).includeLastOffset(closed));
            assertClose(Tensors.of(wanted, 2, 2), bag.call(indices), 0);
        }
    }

    @Test
    @DisplayName("Weights multiply the vectors of a sum")
    void weighs() {
        EmbeddingBag bag = table(o -> o.mode(Mode.SUM));
        Tensor weights = Tensors.of(2, 0.5f, -1);
        Tensor wanted = Tensors.of(new float[] {3.5f, 2, -5, -6}, 2, 2);
        assertClose(wanted, bag.call(longs(0, 1, 2), longs(0, 2), weights), 0);
        assertClose(
                Tensors.of(new float[] {3.5f, 2}, 1, 2),
                bag.call(
                        Tensors.of(new long[] {0, 1}, 1, 2),
                        Tensors.of(new float[] {2, 0.5f}, 1, 2)),
                0);
    }

    @Test
    @DisplayName("The padding counts in no bag, is zero at first and is not trained")
    void leavesPaddingOut() {
        assertClose(
                Tensors.zeros(2),
                new EmbeddingBag(4, 2, o -> o.paddingIndex(-1)).weight().get(3),
                0);
        EmbeddingBag bag = table(o -> o.paddingIndex(-1));
        Tensor y = bag.call(longs(0, 3, 1, 3), longs(0, 3));
        assertClose(Tensors.of(new float[] {2, -1, 0, 0}, 2, 2), y, 0);
        y.sum().backward();
        assertArrayEquals(
                new float[] {0.5f, 0.5f, 0.5f, 0.5f, 0, 0, 0, 0},
                Tensors.floats(bag.parameter("weight").grad()));
    }

    @Test
    @DisplayName("It prints as PyTorch's")
    void prints() {
        assertEquals("EmbeddingBag(10, 3, mode='mean')", new EmbeddingBag(10, 3).toString());
        assertEquals(
                "EmbeddingBag(10, 3, mode='sum', padding_idx=8)",
                new EmbeddingBag(10, 3, o -> o.mode(Mode.SUM).paddingIndex(-2)).toString());
    }

    @Test
    @DisplayName("Wrong inputs are refused, each with what is needed")
    void refuses() {
        EmbeddingBag bag = new EmbeddingBag(4, 2);
        assertEquals(
                "EmbeddingBag takes flat indices, their offsets and, for sums, weights; it was"
                        + " called with 1 tensor.",
                messageOf(() -> bag.call(longs(0, 1))));
        assertEquals(
                "EmbeddingBag(4, 2, mode='mean') on shape [0]: offsets have 1 dimension, with a"
                        + " number for each bag.",
                messageOf(() -> bag.call(longs(0, 1), longs())));
        assertEquals(
                "EmbeddingBag takes weights for sums only; its mode is mean.",
                messageOf(() -> bag.call(longs(0), longs(0), Tensors.ones(1))));
        for (long[] offsets : new long[][] {{1, 2}, {0, 3}, {0, 2, 1}, {0, -1}}) {
            assertEquals(
                    "EmbeddingBag needs offsets that rise from 0 to at most the number of indices,"
                            + " 2; got "
                            + java.util.Arrays.toString(offsets)
                            + ".",
                    messageOf(() -> bag.call(longs(0, 1), longs(offsets))));
        }
        assertEquals(
                "EmbeddingBag(4, 2, mode='mean') on shape [2]: indices are Long or Int; these are"
                        + " Float.",
                messageOf(() -> bag.call(Tensors.ones(2), longs(0))));
        assertEquals(
                "EmbeddingBag(4, 2, mode='sum') on shape [2]: weights have the shape of the"
                        + " indices; these have [1].",
                messageOf(() ->
                        table(o -> o.mode(Mode.SUM)).call(longs(0, 1), longs(0), Tensors.ones(1))));
        assertEquals(
                "padding_idx must be in -4…3; asked for 4.",
                messageOf(() -> new EmbeddingBag(4, 2, o -> o.paddingIndex(4))));
    }
}

package io.espalier.prune;

import static io.espalier.Errors.messageOf;
import static io.espalier.prune.Prune.target;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.Linear;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.List;

class PruneTest {
    /** Keeps what a threshold lets through. */
    record Threshold(double limit) implements PruningMethod.Unstructured {
        @Override
        public Tensor computeMask(Tensor scores, Tensor defaultMask) {
            return defaultMask.mul(scores.abs().gt(new Scalar(limit)));
        }
    }

    static Linear linear(long in, long out, float... weight) {
        Linear linear = new Linear(in, out);
        try (var guard = new NoGradGuard()) {
            linear.weight().copy_(Tensors.of(weight, out, in));
        }
        return linear;
    }

    static float[] mask(Linear linear) {
        return Tensors.floats(linear.buffer("weight_mask"));
    }

    @Test
    @DisplayName("masks the weights of smallest magnitude, and forward sees the product")
    void l1() {
        Linear linear = linear(2, 2, 4, 1, 2, -3);
        Tensor weight = linear.parameter("weight");

        Prune.l1Unstructured(linear, "weight", 0.5);

        assertArrayEquals(new float[] {1, 0, 0, 1}, mask(linear));
        assertArrayEquals(new float[] {4, 0, 0, -3}, Tensors.floats(linear.weight()));
        assertSame(weight, linear.parameter("weight_orig"));
        assertEquals(List.of("bias", "weight_orig"), List.copyOf(linear.ownParameters().keySet()));
        assertTrue(Prune.isPruned(linear));
    }

    @Test
    @DisplayName("of equal magnitudes the lower index is pruned first")
    void ties() {
        Linear linear = linear(4, 1, 1, -1, 1, 1);

        Prune.l1Unstructured(linear, "weight", 3);

        assertArrayEquals(new float[] {0, 0, 0, 1}, mask(linear));
    }

    @Test
    @DisplayName("a method of one's own is its mask, and later acts on what is kept")
    void own() {
        Linear linear = linear(4, 1, 4, 1, 2, 3);

        Prune.apply(linear, "weight", new Threshold(1.5));
        Prune.apply(linear, "weight", new L1Unstructured(1));

        assertArrayEquals(new float[] {1, 0, 0, 1}, mask(linear));
    }

    @Test
    @DisplayName("global pruning compares the entries of all parameters")
    void global() {
        Linear a = linear(2, 1, 1, 9);
        Linear b = linear(2, 1, 2, 3);

        Prune.globalUnstructured(
                List.of(target(a, "weight"), target(b, "weight")), L1Unstructured::new, 0.5);

        assertArrayEquals(new float[] {0, 1}, mask(a));
        assertArrayEquals(new float[] {0, 1}, mask(b));
    }

    @Test
    @DisplayName("removing makes the zeros permanent in the same tensor")
    void remove() {
        Linear linear = linear(2, 1, 1, 2);
        Tensor weight = linear.parameter("weight");
        Prune.l1Unstructured(linear, "weight", 1);

        Prune.remove(linear, "weight");

        assertSame(weight, linear.parameter("weight"));
        assertArrayEquals(new float[] {0, 2}, Tensors.floats(linear.weight()));
        assertFalse(Prune.isPruned(linear));
        assertFalse(linear.hasBuffer("weight_mask"));
    }

    @Test
    @DisplayName("removing a mask that isn't there says so")
    void removeFirst() {
        assertEquals(
                "'weight' of Linear is not pruned, so there is no mask to remove; prune it first.",
                messageOf(() -> Prune.remove(new Linear(2, 2), "weight")));
    }
}

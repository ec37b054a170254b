package io.espalier.tensor;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.espalier.nn.Functional;
import io.espalier.nn.Linear;
import io.espalier.nn.ReLU;
import io.espalier.prune.Prune;
import io.espalier.train.Losses;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.ref.WeakReference;

class TensorsTest {
    /** What a method leaves behind that reads a tensor's memory and forgets the tensor. */
    private record Reading(WeakReference<Tensor> tensor, MemorySegment memory) {
        static Reading of(float value) {
            Tensor tensor = Tensors.of(value);
            return new Reading(new WeakReference<>(tensor), Tensors.segment(tensor));
        }
    }

    @Test
    @DisplayName("A tensor's memory is not freed while somebody may read it")
    void segmentKeepsTensor() {
        Reading reading = Reading.of(3);

        for (int i = 0; i < 3; i++) {
            System.gc();
        }

        assertNotNull(reading.tensor().get());
        assertEquals(3, reading.memory().get(ValueLayout.JAVA_FLOAT, 0));
    }

    @Test
    @DisplayName("a tensor used after its scope says what happened and what to do")
    void usedAfterScope() {
        Tensor freed;
        Tensor kept;
        try (var scope = new PointerScope()) {
            freed = Tensors.ones(2, 2);
            kept = Tensors.keep(Tensors.ones(2, 2));
        }
        String sentence =
                "a tensor was used after it was freed, with the PointerScope that it was made in or"
                        + " with its batch when the loader went on; Tensors.keep(tensor) lets one"
                        + " live on.";
        assertEquals(sentence, messageOf(() -> Tensors.shape(freed)));
        assertEquals(sentence, messageOf(() -> Tensors.floats(freed)));
        assertEquals(sentence, messageOf(() -> Tensors.segment(freed)));
        assertEquals(sentence, messageOf(() -> Tensors.toString(freed)));
        assertEquals(sentence, messageOf(() -> Tensors.equal(kept, freed)));
        assertEquals(sentence, messageOf(() -> Tensors.keep(freed)));
        assertEquals(
                "ReLU() on shape (freed): aten::relu: " + sentence,
                messageOf(() -> new ReLU().call(freed)));
        assertEquals("aten::matmul: " + sentence, messageOf(() -> Functional.matmul(kept, freed)));
        assertEquals("mse_loss: " + sentence, messageOf(() -> Functional.mseLoss(freed, kept)));
        assertEquals(
                "The loss mse of output and target [2, 2] and (freed): " + sentence,
                messageOf(() -> Losses.mse().of(kept, freed)));
        var layer = new Linear(2, 2);
        assertEquals(sentence, messageOf(() -> Prune.l1Unstructured(layer, "weight", 0.5, freed)));
        assertEquals(
                "aten::relu takes Tensor as its argument 'self'; it was given a tensor that was"
                        + " freed.",
                messageOf(() -> Operators.call("aten::relu", "", freed)));
        assertEquals(
                "aten::add.Tensor: " + sentence,
                TensorException.in(
                                "aten::add.Tensor",
                                assertThrows(NullPointerException.class, () -> kept.add(freed)))
                        .getMessage());
    }
}

package io.espalier.onnx.tune;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

@DisplayName("An objective of training")
class ObjectiveTest {
    /** The loss is how many batches there were before. */
    private static final class Counting extends Objective {
        @Override
        Tensor loss(int batch, long drawn) {
            return Tensors.of((float) drawn);
        }
    }

    @Test
    @DisplayName("knows from its state how long it was trained, and on how many batches")
    void goesOn() {
        Tensor batch = Tensors.of(new long[] {0}, 1);
        var first = new Counting();
        first.buffer("milliseconds").fill_(new Scalar(90_000L));
        first.call(batch);
        first.call(batch);
        var second = new Counting();
        second.loadStateDict(first.stateDict());

        assertTrue(second.milliseconds() >= 90_000);
        assertEquals(2, second.call(batch).item_double());
    }

    @Test
    @DisplayName("loses no time, however often it is asked")
    void time() {
        var counting = new Counting();
        counting.milliseconds();
        long began = System.nanoTime();
        long passed = 0;
        while (passed < 100) {
            counting.milliseconds();
            passed = (System.nanoTime() - began) / 1_000_000;
        }
        assertTrue(counting.milliseconds() >= passed - 1);
    }
}

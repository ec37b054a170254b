package io.espalier.tensor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;

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
}

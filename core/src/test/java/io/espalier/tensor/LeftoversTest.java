package io.espalier.tensor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;

import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.concurrent.atomic.AtomicLong;

class LeftoversTest {
    private final AtomicLong collections = new AtomicLong();
    private final AtomicLong asked = new AtomicLong();
    private final Leftovers leftovers =
            new Leftovers(
                    100,
                    collections::get,
                    () -> {
                        asked.incrementAndGet();
                        collections.incrementAndGet();
                    });

    @Test
    @DisplayName("asks for a collection once the bytes add up, and then counts anew")
    void addsUp() {
        leftovers.add(60);
        assertEquals(0, asked.get());
        leftovers.add(60);
        assertEquals(1, asked.get());
        leftovers.add(99);
        assertEquals(1, asked.get());
        leftovers.add(1);
        assertEquals(2, asked.get());
    }

    @Test
    @DisplayName("asks for none where the collector has come by itself meanwhile")
    void collectedMeanwhile() {
        collections.incrementAndGet();
        leftovers.add(100);
        assertEquals(0, asked.get());
        leftovers.add(100);
        assertEquals(1, asked.get());
    }

    @Test
    @DisplayName("a thousand inferences without a scope leave the process bounded")
    void inferences() {
        var model = new Sequential(new ReLU(), new ReLU(), new ReLU(), new ReLU());
        Tensor x = Tensors.randn(512, 512);
        model.call(x);
        long before = Pointer.physicalBytes();
        long most = before;
        for (int i = 0; i < 1000; i++) {
            model.call(x);
            most = Math.max(most, Pointer.physicalBytes());
        }
        // Without collections it would be 4 GB.
        assertTrue(most - before < 1500L << 20, "grew by " + (most - before));
    }

    @Test
    @DisplayName("what somebody holds is never freed")
    void held() {
        var model = new Sequential(new ReLU());
        Tensor x = Tensors.ones(512, 512);
        Tensor first = model.call(x);
        for (int i = 0; i < 300; i++) {
            model.call(x);
        }
        assertEquals(512 * 512, first.sum().item_float());
    }
}

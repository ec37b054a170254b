package io.espalier.quant.observer;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

/** Observers that look for no scale. */
class UnscaledObserverTest {
    @Test
    @DisplayName("fixed parameters are what was given, whatever comes")
    void fixed() {
        Observer observer = FixedQParamsObserver.with(1 / 256.0, 0).make();

        observer.call(Tensors.of(-50f, 50f));

        assertEquals(1 / 256f, observer.quantizationParameters().scale());
        assertEquals(0, observer.quantizationParameters().zeroPoint());
    }

    @Test
    @DisplayName("a placeholder carries its type only")
    void placeholder() {
        Observer observer = PlaceholderObserver.with().dtype(QuantizedType.FLOAT16).make();

        observer.call(Tensors.of(1f));

        assertEquals("PlaceholderObserver(dtype=torch.float16)", observer.toString());
        assertTrue(messageOf(observer::quantizationParameters).contains("looks for no scale"));
    }

    @Test
    @DisplayName("recording keeps copies of the latest batches, no more than its limit")
    void recording() {
        var observer = (RecordingObserver) RecordingObserver.with(2).make();
        Tensor last = Tensors.of(3f);

        observer.call(Tensors.of(1f));
        observer.call(Tensors.of(2f));
        observer.call(last);
        last.zero_();

        assertEquals(2, observer.recorded().size());
        assertArrayEquals(new float[] {2}, Tensors.floats(observer.recorded().getFirst()));
        assertArrayEquals(new float[] {3}, Tensors.floats(observer.recorded().getLast()));
    }

    @Test
    @DisplayName("fixed parameters merge with the same, are saved, and refuse what can't be")
    void fixedMerges() {
        ObserverSettings settings = FixedQParamsObserver.with(0.5, 3);
        Observer observer = settings.make();

        observer.merge(settings.make());
        Observer restored = FixedQParamsObserver.with(1, 0).make();
        restored.loadStateDict(observer.stateDict());

        assertEquals(observer.quantizationParameters(), restored.quantizationParameters());
        Observer other = FixedQParamsObserver.with(0.25, 3).make();
        assertTrue(messageOf(() -> observer.merge(other)).contains("has others"));
        assertTrue(
                messageOf(FixedQParamsObserver.with(0.5, 256)::make)
                        .contains("zero point within 0…255; got 256"));
        for (double scale : new double[] {0, -1, Double.NaN, Double.POSITIVE_INFINITY}) {
            assertTrue(messageOf(FixedQParamsObserver.with(scale, 0)::make).contains("scale"));
        }
    }

    @Test
    @DisplayName("what looks at nothing passes all data on, saves nothing and gives no scale")
    void looksAtNothing() {
        for (ObserverSettings settings :
                new ObserverSettings[] {NoopObserver.with(), PlaceholderObserver.with()}) {
            Observer observer = settings.make();
            Tensor x = Tensors.of(Float.NaN, 1f);

            assertSame(x, observer.call(x));
            observer.merge(settings.make());

            assertFalse(observer.hasObserved());
            assertTrue(observer.stateDict().isEmpty());
            assertTrue(messageOf(observer::quantizationParameters).contains("looks for no scale"));
        }
    }

    @Test
    @DisplayName("merged recordings keep the latest batches, no more than the limit")
    void mergesRecordings() {
        var first = (RecordingObserver) RecordingObserver.with(3).make();
        var second = (RecordingObserver) RecordingObserver.with(3).make();
        first.call(Tensors.of(1f));
        first.call(Tensors.of(2f));
        second.call(Tensors.of(3f));
        second.call(Tensors.of(4f));

        first.merge(second);

        assertEquals(3, first.recorded().size());
        assertArrayEquals(new float[] {2}, Tensors.floats(first.recorded().getFirst()));
        assertArrayEquals(new float[] {4}, Tensors.floats(first.recorded().getLast()));
        first.reset();
        assertFalse(first.hasObserved());
        assertTrue(messageOf(RecordingObserver.with(0)::make).contains("at least 1 batch"));
    }
}

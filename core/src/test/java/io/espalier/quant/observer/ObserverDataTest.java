package io.espalier.quant.observer;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.Functional;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

import java.util.List;

/** What observers make of data that is not as it should be. */
class ObserverDataTest {
    private static final String ALL = "io.espalier.quant.observer.EveryObserverTest#all";

    @Test
    @DisplayName("NaN and infinity are refused, with their number and the place")
    void refusesNonFinite() {
        Observer observer = MinMaxObserver.with().make();
        observer.standsAt("body.0");

        assertEquals(
                "MinMaxObserver at 'body.0' saw 2 values that are NaN or infinite; mend the"
                        + " data, or set ignoreNonFinite() to leave such values out.",
                messageOf(() -> observer.call(Tensors.of(1f, Float.NaN, Float.NEGATIVE_INFINITY))));
        assertTrue(messageOf(observer::quantizationParameters).contains("no data"));
    }

    @Test
    @DisplayName("NaN, infinity and mask values are left out when asked, everywhere")
    void leavesOut() {
        float[] values = {1, Float.NaN, -2, Float.POSITIVE_INFINITY, 3, -Float.MAX_VALUE};
        Tensor x = Tensors.of(values, 1, 6);
        var whole = (MinMaxObserver) MinMaxObserver.with().ignoreNonFinite().make();
        var perChannel =
                (PerChannelMinMaxObserver) PerChannelMinMaxObserver.with().ignoreNonFinite().make();
        var histogram = (HistogramObserver) HistogramObserver.with(5).ignoreNonFinite().make();

        whole.call(x);
        perChannel.call(x);
        histogram.call(x);

        assertEquals(-2f, whole.min());
        assertEquals(3f, whole.max());
        assertArrayEquals(new float[] {-2}, perChannel.mins());
        assertArrayEquals(new float[] {3}, perChannel.maxs());
        assertArrayEquals(
                new float[] {1, 0, 0, 1, 1}, Tensors.floats(histogram.buffer("histogram")));
    }

    @Test
    @DisplayName("ends that rounding lets pass each other in an average are still a range")
    void averagesThatCross() {
        Tensor wide = Tensors.of(new float[] {-1e6f, 3e5f, -1e6f, 3e5f}, 2, 2);
        Tensor narrow = Tensors.of(new float[] {1.545f, 1.545f, 1.545f, 1.545f}, 2, 2);
        for (ObserverSettings settings :
                List.of(
                        MovingAverageMinMaxObserver.with(1),
                        MovingAveragePerChannelMinMaxObserver.with(1))) {
            Observer observer = settings.make();

            observer.call(wide);
            observer.call(narrow);

            for (float scale : observer.quantizationParameters().scales()) {
                assertEquals(1.5625f / 255, scale);
            }
        }
    }

    @Test
    @DisplayName("data that is all mask, or empty, counts as none")
    void nothingToSee() {
        Observer observer = MinMaxObserver.with().make();

        observer.call(Tensors.of(-Float.MAX_VALUE));
        observer.call(Tensors.zeros(0, 3));

        assertTrue(messageOf(observer::quantizationParameters).contains("seen no data"));
    }

    @ParameterizedTest
    @MethodSource(ALL)
    @DisplayName("refuses NaN and infinity with its place, and is as it was before")
    void refusesNonFinite(ObserverSettings settings) {
        Observer observer = settings.make();
        observer.standsAt("body.0");
        observer.call(EveryObserverTest.data(1));
        QuantizationParameters before = observer.quantizationParameters();
        for (float wrong : new float[] {Float.NaN, Float.POSITIVE_INFINITY, -1f / 0}) {
            Tensor x = Tensors.of(new float[] {90, wrong, 90}, 3, 1);

            String message = messageOf(() -> observer.call(x));

            assertTrue(message.contains(" at 'body.0' saw 1 value that is NaN or"), message);
            assertEquals(before, observer.quantizationParameters());
        }
    }

    @ParameterizedTest
    @MethodSource(ALL)
    @DisplayName("sees, where NaN and infinity are left out, what it sees without them")
    void leavesOutNonFinite(ObserverSettings settings) {
        sameAsWithout(
                settings.ignoreNonFinite(),
                Float.NaN,
                Float.POSITIVE_INFINITY,
                Float.NEGATIVE_INFINITY);
    }

    @ParameterizedTest
    @MethodSource(ALL)
    @DisplayName("sees nothing of a mask's largest negative number")
    void mask(ObserverSettings settings) {
        sameAsWithout(settings, -Float.MAX_VALUE);
    }

    private static void sameAsWithout(ObserverSettings settings, float... noise) {
        Observer clean = settings.make();
        Observer noisy = settings.make();
        for (int batch = 0; batch < 3; batch++) {
            Tensor x = EveryObserverTest.data(batch);
            float[] more = new float[3 * noise.length];
            for (int i = 0; i < more.length; i++) {
                more[i] = noise[i % noise.length];
            }
            clean.call(x);
            noisy.call(Functional.cat(List.of(x, Tensors.of(more, 3, noise.length)), 1));
        }
        assertEquals(clean.quantizationParameters(), noisy.quantizationParameters());
    }

    @ParameterizedTest
    @MethodSource(ALL)
    @DisplayName("gives a positive scale for constants, zeros and single values, and keeps them")
    void constants(ObserverSettings settings) {
        for (float value : new float[] {0, 1.5f, -2, 1e-30f, 1e30f}) {
            Observer observer = settings.make();
            observer.call(Tensors.of(new float[] {value}, 1, 1));
            observer.call(Tensors.of(new float[] {value, value}, 1, 2));

            QuantizationParameters found = observer.quantizationParameters();

            assertTrue(found.scales()[0] > 0);
            Tensor x = Tensors.of(new float[] {value}, 1, 1);
            float back = Tensors.floats(found.simulate(x))[0];
            assertEquals(value, back, Math.abs(value) / 64 + 1e-20f, "of " + value);
        }
    }

    @ParameterizedTest
    @MethodSource(ALL)
    @DisplayName("stays finite for the largest numbers that are no mask")
    void largest(ObserverSettings settings) {
        Observer observer = settings.make();
        observer.call(Tensors.of(new float[] {-1e30f, 1e30f}, 1, 2));

        float scale = observer.quantizationParameters().scales()[0];

        assertTrue(scale > 0 && scale < Float.POSITIVE_INFINITY, "" + scale);
    }

    @Test
    @DisplayName("values that are left out are no data, for an observer of channels either")
    void nothingButLeftOut() {
        for (ObserverSettings settings :
                List.of(
                        PerChannelMinMaxObserver.with(),
                        MovingAveragePerChannelMinMaxObserver.with(),
                        MinMaxObserver.with())) {
            Observer observer = settings.ignoreNonFinite().make();
            observer.call(Tensors.of(Float.NaN, Float.NaN).reshape(2, 1));

            assertFalse(observer.hasObserved());
            assertTrue(messageOf(observer::quantizationParameters).contains("has seen no data"));
            observer.call(Tensors.of(-1, 1).reshape(2, 1));
            assertTrue(observer.quantizationParameters().scales()[0] > 1e-3);
        }
    }

    @Test
    @DisplayName("values that are all as large as masks give no range, which the error says")
    void nothingButMasks() {
        Observer observer = MinMaxObserver.with().make();
        assertFalse(messageOf(observer::quantizationParameters).contains("masks"));

        observer.call(Tensors.of(2e30f, -3e30f));

        String message = messageOf(observer::quantizationParameters);
        assertTrue(message.contains("all values were beyond ±1e30, which count as masks"), message);
        observer.call(Tensors.of(1, 2e30f));
        assertTrue(observer.quantizationParameters().scales()[0] < 1);
        observer.reset();
        assertFalse(messageOf(observer::quantizationParameters).contains("masks"));
    }
}

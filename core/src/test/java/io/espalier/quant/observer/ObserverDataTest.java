package io.espalier.quant.observer;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What observers make of data that is not as it should be. */
class ObserverDataTest {
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
    @DisplayName("data that is all mask, or empty, counts as none")
    void nothingToSee() {
        Observer observer = MinMaxObserver.with().make();

        observer.call(Tensors.of(-Float.MAX_VALUE));
        observer.call(Tensors.zeros(0, 3));

        assertTrue(messageOf(observer::quantizationParameters).contains("seen no data"));
    }

    @ParameterizedTest
    @DisplayName("constant, zero and single values give a positive scale")
    @ValueSource(floats = {0, 1.5f, -2f})
    void constant(float value) {
        for (var settings :
                new ObserverSettings[] {
                    MinMaxObserver.with(),
                    MovingAverageMinMaxObserver.with(),
                    HistogramObserver.with(),
                    PercentileObserver.with(),
                    EntropyObserver.with(),
                    MseObserver.with()
                }) {
            Observer observer = settings.make();
            observer.call(Tensors.of(value));
            observer.call(Tensors.of(value, value, value));

            QuantizationParameters found = observer.quantizationParameters();
            assertTrue(found.scale() > 0);
            float back = Tensors.floats(found.simulate(Tensors.of(value)))[0];
            assertEquals(value, back, 0.02f, settings.make().toString());
        }
    }
}

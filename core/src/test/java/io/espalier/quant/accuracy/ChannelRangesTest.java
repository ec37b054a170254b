package io.espalier.quant.accuracy;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.espalier.quant.observer.PerChannelMinMaxObserver;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

@DisplayName("The ranges of channels")
class ChannelRangesTest {
    private final ChannelRanges ranges =
            new ChannelRanges(new float[] {-1, 4, -3}, new float[] {1, 8, 1});

    @Test
    @DisplayName("lie about zero once their centres are taken from them")
    void centres() {
        ChannelRanges centred = ranges.minus(ranges.centres());

        assertArrayEquals(new float[] {0, 6, -1}, ranges.centres());
        assertArrayEquals(new float[] {-1, -2, -2}, centred.min());
        assertArrayEquals(new float[] {1, 2, 2}, centred.max());
        assertEquals(-2, centred.lowest());
        assertEquals(2, centred.highest());
    }

    @Test
    @DisplayName("keep their ordinary channels when outliers are divided")
    void outliers() {
        float[] magnitudes = {1, 1, 1, 1, 16};
        var wide = new ChannelRanges(new float[5], magnitudes);

        float[] factors = wide.outlierFactors(0.5, 0.75);

        assertArrayEquals(new float[] {1, 1, 1, 1, 8}, factors, 1e-5f);
        assertArrayEquals(new float[] {1, 1, 1, 1, 2}, wide.dividedBy(factors).max(), 1e-5f);
        assertArrayEquals(new float[] {1, 1, 1, 1, 1}, wide.outlierFactors(0.5, 0), 0);
    }

    @Test
    @DisplayName("tell no outliers where most channels are always zero")
    void mostlyZero() {
        var zero = new ChannelRanges(new float[3], new float[] {0, 0, 5});

        assertArrayEquals(new float[] {1, 1, 1}, zero.outlierFactors(0.5, 1), 0);
    }

    @Test
    @DisplayName("come from what an observer saw of each channel")
    void observed() {
        var observer = new PerChannelMinMaxObserver(PerChannelMinMaxObserver.with().channelAxis(1));
        observer.call(Tensors.of(new float[] {1, -2, 3, 4}, 2, 2));

        ChannelRanges seen = ChannelRanges.of(observer);

        assertArrayEquals(new float[] {1, -2}, seen.min());
        assertArrayEquals(new float[] {3, 4}, seen.max());
        assertArrayEquals(new float[] {3, 4}, seen.magnitudes());
    }

    @Test
    @DisplayName("are refused where they can't be")
    void refused() {
        assertThrows(EspalierException.class, () -> new ChannelRanges(new float[1], new float[2]));
        assertThrows(EspalierException.class, () -> ranges.outlierFactors(1.5, 0.5));
        assertThrows(EspalierException.class, () -> ranges.outlierFactors(0.5, Double.NaN));
    }
}

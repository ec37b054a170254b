package io.espalier.quant.observer;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class HistogramObserverTest {
    private static float[] counts(Observer observer) {
        return Tensors.floats(observer.buffer("histogram"));
    }

    @ParameterizedTest
    @DisplayName("counts one batch as torch.histc does, bit for bit, also split among threads")
    @ValueSource(ints = {3, 1000, 300_000})
    void histc(int count) {
        Tensor x = Tensors.randn(count).add(new Scalar(0.3f));
        Observer observer = HistogramObserver.with().make();

        observer.call(x);

        Tensor expected =
                torch.histc(
                        x,
                        2048,
                        new Scalar(x.min().item_float()),
                        new Scalar(x.max().item_float()));
        assertArrayEquals(Tensors.floats(expected), counts(observer));
    }

    @Test
    @DisplayName("a growing range redistributes old counts and loses none")
    void grows() {
        Observer observer = HistogramObserver.with(8).make();

        observer.call(Tensors.of(0f, 1f, 2f, 3f, 4f));
        observer.call(Tensors.of(-4f, 4f));

        assertEquals("HistogramObserver(min_val=-4.0, max_val=4.0)", observer.toString());
        float[] counts = counts(observer);
        assertEquals(1f, counts[0]);
        float sum = 0;
        for (float count : counts) {
            sum += count;
        }
        assertEquals(7f, sum, 1e-4f);
        assertEquals(6f, counts[4] + counts[5] + counts[6] + counts[7], 1e-4f);
    }

    @Test
    @DisplayName("a first batch of one value keeps its count when the range grows")
    void constantFirst() {
        Observer observer = HistogramObserver.with(4).make();

        observer.call(Tensors.of(1f, 1f, 1f));
        observer.call(Tensors.of(0f, 4f));

        assertArrayEquals(new float[] {1, 3, 0, 1}, counts(observer));
    }

    @Test
    @DisplayName("two halves merged have the counts of the whole, within one bin")
    void merges() {
        Observer first = HistogramObserver.with(64).make();
        Observer second = HistogramObserver.with(64).make();
        Observer all = HistogramObserver.with(64).make();
        for (int i = 0; i < 4; i++) {
            Tensor batch = Tensors.randn(5000).mul(new Scalar(1f + i));
            (i % 2 == 0 ? first : second).call(batch);
            all.call(batch);
        }

        first.merge(second);

        double gap = 0;
        double total = 0;
        float[] merged = counts(first);
        float[] whole = counts(all);
        double running = 0;
        for (int b = 0; b < merged.length; b++) {
            total += whole[b];
            running += merged[b] - whole[b];
            gap = Math.max(gap, Math.abs(running) - Math.max(merged[b], whole[b]));
        }
        assertEquals(20_000, total, 1);
        assertEquals(0, running, 1);
        assertTrue(gap <= 0, "counts moved by more than a bin: " + gap);
    }

    @Test
    @DisplayName("a mask value among the data moves nothing")
    void mask() {
        Tensor x = Tensors.randn(200_000);
        Observer plain = HistogramObserver.with().make();
        Observer masked = HistogramObserver.with().make();

        plain.call(x);
        masked.call(
                torch.cat(
                        new org.bytedeco.pytorch.TensorVector(
                                x, Tensors.of(-Float.MAX_VALUE, -Float.MAX_VALUE)),
                        0));

        assertEquals(plain.quantizationParameters(), masked.quantizationParameters());
    }

    @Test
    @DisplayName("cuts off an outlier where that loses less than it saves")
    void outlier() {
        Tensor x =
                torch.cat(
                        new org.bytedeco.pytorch.TensorVector(
                                Tensors.randn(100_000), Tensors.of(60f)),
                        0);
        Observer minMax = MinMaxObserver.with().quantRange(0, 15).make();
        minMax.call(x);
        float error = error(minMax, x);
        for (var settings :
                new ObserverSettings[] {
                    PercentileObserver.with(0.999), EntropyObserver.with(), MseObserver.with()
                }) {
            Observer observer = settings.quantRange(0, 15).make();
            observer.call(x);
            assertTrue(
                    error(observer, x) < error / 4,
                    observer + " " + error(observer, x) + " of " + error);
        }
    }

    private static float error(Observer observer, Tensor x) {
        Tensor difference = observer.quantizationParameters().simulate(x).sub(x);
        return difference.mul(difference).mean().item_float();
    }

    @Test
    @DisplayName("no range found by trying has less squared error than the MSE observer's")
    void leastSquares() {
        Tensor x = Tensors.randn(50_000);
        Observer observer = MseObserver.with().quantRange(0, 15).make();
        observer.call(x);
        float found = error(observer, x);

        for (float limit = 1; limit < 4.5f; limit += 0.25f) {
            Observer other = MinMaxObserver.with().quantRange(0, 15).make();
            other.call(Tensors.of(-limit, limit));
            assertTrue(found <= error(other, x) * 1.01f, "limit " + limit);
        }
    }

    @Test
    @DisplayName("a percentile leaves half of the rest on each side")
    void percentile() {
        float[] ramp = new float[10_001];
        for (int i = 0; i < ramp.length; i++) {
            ramp[i] = i - 5000;
        }
        Observer observer = PercentileObserver.with(0.9).make();

        observer.call(Tensors.of(ramp));

        assertEquals(9000 / 255f, observer.quantizationParameters().scale(), 0.05f);
        assertEquals(128, observer.quantizationParameters().zeroPoint(), 1);
    }

    @Test
    @DisplayName("entropy keeps the whole of a uniform distribution")
    void entropyUniform() {
        Observer observer = EntropyObserver.with().make();

        observer.call(Tensors.rand(200_000));

        assertEquals(1 / 255f, observer.quantizationParameters().scale(), 0.05f / 255);
    }

    @Test
    @DisplayName("fewer than two bins, or a share that is no share, are refused")
    void wrongSettings() {
        assertEquals(
                "HistogramObserver needs at least 2 bins; asked for 1.",
                messageOf(HistogramObserver.with(1)::make));
        assertTrue(messageOf(PercentileObserver.with(99.9)::make).contains("0.9999"));
        Observer other = HistogramObserver.with(16).make();
        other.call(Tensors.of(1f, 2f));
        assertTrue(messageOf(() -> HistogramObserver.with(8).make().merge(other)).contains("16"));
    }
}

package io.espalier.quant.observer;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.RandomTensor;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import java.util.List;

/** Settings that observers refuse, and what they say. */
class ObserverSettingsTest {
    @Test
    @DisplayName("a scheme that the observer can't do names it and the one that can")
    void scheme() {
        assertEquals(
                "HistogramObserver sees the tensor as a whole and can't do"
                        + " torch.per_channel_affine; use PerChannelMinMaxObserver, or a"
                        + " per-tensor scheme.",
                messageOf(HistogramObserver.with().qscheme(Qscheme.PER_CHANNEL_AFFINE)::make));
        assertEquals(
                "PerChannelMinMaxObserver sees each channel and can't do"
                        + " torch.per_tensor_affine; use MinMaxObserver, or a per-channel"
                        + " scheme.",
                messageOf(
                        PerChannelMinMaxObserver.with().qscheme(Qscheme.PER_TENSOR_AFFINE)::make));
    }

    @Test
    @DisplayName("a channel axis that the tensor does not have names both")
    void axis() {
        Observer observer = PerChannelMinMaxObserver.with().channelAxis(2).make();

        assertEquals(
                "PerChannelMinMaxObserver looks at channels along dimension 2, but a tensor of"
                        + " shape [3, 4] came in; choose a channel axis below 2.",
                messageOf(() -> observer.call(Tensors.zeros(3, 4))));
    }

    @Test
    @DisplayName("another number of channels than before is refused, nothing changes")
    void channels() {
        Observer observer = PerChannelMinMaxObserver.with().make();
        observer.call(RandomTensor.of(3, 3, 4));
        QuantizationParameters before = observer.quantizationParameters();

        assertTrue(messageOf(() -> observer.call(Tensors.zeros(5, 4))).contains("3 channels"));
        assertEquals(before, observer.quantizationParameters());
    }

    @ParameterizedTest
    @DisplayName("a range without zero, reversed, or beyond the type is refused")
    @CsvSource({"1, 15", "5, -5", "0, 256", "-1, 20"})
    void range(int min, int max) {
        assertTrue(
                messageOf(MinMaxObserver.with().quantRange(min, max)::make)
                        .startsWith("MinMaxObserver can't quantize to " + min + "…" + max));
    }

    @Test
    @DisplayName("floats have no scale to look for")
    void float16() {
        assertTrue(
                messageOf(MinMaxObserver.with().dtype(QuantizedType.FLOAT16)::make)
                        .contains("PlaceholderObserver"));
    }

    @Test
    @DisplayName("a number of bins, or a share, makes an observer of the class it was asked of")
    void ofTheClass() {
        assertEquals(64, ((EntropyObserver) EntropyObserver.with(64).make()).bins());
        assertEquals(64, ((MseObserver) MseObserver.with(64).make()).bins());
        assertEquals(PercentileObserver.class, PercentileObserver.with(1).make().getClass());
        assertTrue(
                messageOf(() -> PercentileObserver.with(99).make())
                        .contains("a share above 0, up to 1; got 99.0"));
    }

    @Test
    @DisplayName("observers of two classes don't merge")
    void mergeOthers() {
        Observer histogram = HistogramObserver.with().make();

        assertEquals(
                "MinMaxObserver can't be merged with a HistogramObserver; merge observers of"
                        + " one class.",
                messageOf(() -> MinMaxObserver.with().make().merge(histogram)));
    }

    @Test
    @DisplayName("are what an observer says of itself, and what another with its settings has")
    void told() {
        var settings = MinMaxObserver.with().eps(0.5).quantRange(0, 15).dtype(QuantizedType.QUINT8);
        Observer observer = settings.make();
        Observer beside =
                new Observer(observer) {
                    @Override
                    protected void observe(Tensor x) {
                        observer.call(x);
                    }

                    @Override
                    public QuantizationParameters quantizationParameters() {
                        return observer.quantizationParameters();
                    }

                    @Override
                    public boolean hasObserved() {
                        return observer.hasObserved();
                    }

                    @Override
                    public void reset() {
                        observer.reset();
                    }

                    @Override
                    protected void mergeObserved(Observer other) {
                        throw new UnsupportedOperationException();
                    }
                };
        for (Observer each : List.of(observer, beside)) {
            assertEquals(0.5f, each.eps());
            assertEquals(15, each.quantMax());
        }
        beside.call(Tensors.of(-1f, 1f));
        assertEquals(0.5f, beside.quantizationParameters().scale());
        beside.standsAt("head");
        assertTrue(beside.name().endsWith(" at 'head'"), beside.name());
    }
}

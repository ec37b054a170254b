package io.espalier.quant.observer;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.RandomTensor;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ObserverTest {
    @Test
    @DisplayName("returns its input itself and prints as PyTorch does, before and after")
    void passesThrough() {
        Observer observer = MinMaxObserver.with().make();
        Tensor x = Tensors.of(-1f, 0.5f, 3f);

        assertEquals("MinMaxObserver(min_val=inf, max_val=-inf)", observer.toString());
        assertSame(x, observer.call(x));
        assertEquals("MinMaxObserver(min_val=-1.0, max_val=3.0)", observer.toString());
    }

    @ParameterizedTest
    @DisplayName("gives PyTorch's scale and zero point for each type and scheme")
    @CsvSource({
        "QUINT8, PER_TENSOR_AFFINE,    false, 0.015686275, 64",
        "QUINT8, PER_TENSOR_AFFINE,    true,  0.031496063, 32",
        "QINT8,  PER_TENSOR_AFFINE,    false, 0.015686275, -64",
        "QINT8,  PER_TENSOR_SYMMETRIC, false, 0.023529412, 0",
        "QINT8,  PER_TENSOR_SYMMETRIC, true,  0.047244094, 0",
        "QUINT8, PER_TENSOR_SYMMETRIC, false, 0.023529412, 128",
    })
    void scaleAndZeroPoint(
            QuantizedType dtype, Qscheme qscheme, boolean reduce, float scale, int zeroPoint) {
        Observer observer =
                MinMaxObserver.with().dtype(dtype).qscheme(qscheme).reduceRange(reduce).make();

        observer.call(Tensors.of(-1f, 0.25f, 3f));

        assertEquals(scale, observer.quantizationParameters().scale(), 1e-8);
        assertEquals(zeroPoint, observer.quantizationParameters().zeroPoint());
    }

    @Test
    @DisplayName("a range of 4 bits gives 15 steps, and zero stays exact in data without zero")
    void customRange() {
        Observer observer = MinMaxObserver.with().quantRange(0, 15).make();

        observer.call(Tensors.of(1.5f, 3f));

        assertEquals(0.2f, observer.quantizationParameters().scale());
        assertEquals(0, observer.quantizationParameters().zeroPoint());
        assertEquals(15, observer.quantMax());
    }

    @Test
    @DisplayName("a moving average takes the first batch whole and a share of the next")
    void movingAverage() {
        var observer = (MinMaxObserver) MovingAverageMinMaxObserver.with(0.25).make();

        observer.call(Tensors.of(-4f, 4f));
        observer.call(Tensors.of(-8f, 12f));

        assertEquals(-5f, observer.min());
        assertEquals(6f, observer.max());
    }

    @ParameterizedTest
    @DisplayName("finds each channel's extremes along any axis, in any memory order")
    @ValueSource(ints = {0, 1, 2, 3})
    void perChannel(int axis) {
        Tensor x = RandomTensor.of(7 + axis, 3, 70, 5, 9);
        Tensor crossed = x.transpose(1, 3).contiguous().transpose(1, 3);

        for (Tensor input : new Tensor[] {x, crossed}) {
            var observer =
                    (PerChannelMinMaxObserver)
                            PerChannelMinMaxObserver.with().channelAxis(axis).make();
            observer.call(input);

            Tensor rows = x.transpose(0, axis).contiguous().view(x.size(axis), -1);
            assertArrayEquals(Tensors.floats(rows.amin(new long[] {1}, false)), observer.mins());
            assertArrayEquals(Tensors.floats(rows.amax(new long[] {1}, false)), observer.maxs());
        }
    }

    @Test
    @DisplayName("a large tensor, split among threads, has the extremes that libtorch finds")
    void largeTensor() {
        Tensor x = Tensors.randn(701, 1009);
        var observer = (MinMaxObserver) MinMaxObserver.with().make();

        observer.call(x);

        assertEquals(x.min().item_float(), observer.min());
        assertEquals(x.max().item_float(), observer.max());
    }

    @Test
    @DisplayName("half precision and doubles are observed as floats")
    void otherTypes() {
        for (ScalarType type : new ScalarType[] {ScalarType.Half, ScalarType.Double}) {
            var observer = (MinMaxObserver) MinMaxObserver.with().make();
            observer.call(Tensors.of(-0.5f, 2f).to(type));
            assertEquals(-0.5f, observer.min());
            assertEquals(2f, observer.max());
        }
    }

    @Test
    @DisplayName("two observers that saw two halves, merged, say what one says that saw all")
    void merges() {
        for (var settings :
                new ObserverSettings[] {MinMaxObserver.with(), PerChannelMinMaxObserver.with()}) {
            Observer first = settings.make();
            Observer second = settings.make();
            Observer all = settings.make();
            for (int i = 0; i < 6; i++) {
                Tensor batch = RandomTensor.of(i, 4, 5);
                (i < 3 ? first : second).call(batch);
                all.call(batch);
            }

            first.merge(second);

            assertEquals(all.quantizationParameters(), first.quantizationParameters());
        }
    }

    @Test
    @DisplayName("merging with an empty observer changes nothing, and into one gives the other")
    void mergesEmpty() {
        Observer seen = MinMaxObserver.with().make();
        seen.call(Tensors.of(-1f, 1f));
        Observer empty = MinMaxObserver.with().make();

        seen.merge(empty);
        empty.merge(seen);

        assertEquals(seen.quantizationParameters(), empty.quantizationParameters());
    }

    @Test
    @DisplayName("a copy keeps what was seen and shares no state; reset forgets it")
    void copies() {
        for (var settings :
                new ObserverSettings[] {
                    MinMaxObserver.with(),
                    PerChannelMinMaxObserver.with(),
                    HistogramObserver.with(64),
                    MovingAveragePerChannelMinMaxObserver.with()
                }) {
            Observer observer = settings.make();
            observer.call(RandomTensor.of(1, 4, 8));
            QuantizationParameters before = observer.quantizationParameters();

            Observer copy = observer.copy();
            assertEquals(before, copy.quantizationParameters());
            copy.call(Tensors.of(new float[] {900, 900, 900, 900}, 4, 1));
            assertEquals(before, observer.quantizationParameters());
            observer.reset();
            assertTrue(copy.hasObserved());
            assertTrue(messageOf(observer::quantizationParameters).contains("seen no data"));
        }
    }

    @Test
    @DisplayName("what was seen is in the state, under PyTorch's names, and loads into a new one")
    void savesAndLoads() {
        for (var settings :
                new ObserverSettings[] {
                    MinMaxObserver.with(),
                    PerChannelMinMaxObserver.with(),
                    HistogramObserver.with(64)
                }) {
            Observer observer = settings.make();
            observer.call(RandomTensor.of(1, 4, 8));
            Observer fresh = settings.make();

            fresh.loadStateDict(observer.stateDict());

            assertEquals(observer.quantizationParameters(), fresh.quantizationParameters());
        }
        assertEquals(
                java.util.List.of("eps", "histogram", "min_val", "max_val"),
                java.util.List.copyOf(HistogramObserver.with().make().stateDict().keySet()));
    }

    @Test
    @DisplayName("settings are values: each change gives new ones, each observer is its own")
    void settingsAreValues() {
        ObserverSettings base = MinMaxObserver.with();
        ObserverSettings changed = base.dtype(QuantizedType.QINT8);

        assertEquals(QuantizedType.QUINT8, base.make().dtype());
        assertEquals(QuantizedType.QINT8, changed.make().dtype());
        assertNotSame(changed.make(), changed.make());
    }
}

package io.espalier.quant.observer;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.RandomTensor;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Named;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

import java.nio.file.Path;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** What holds for all observers that look for a range, in all their settings. */
class EveryObserverTest {
    /** The first is exact; the others say how much of its range they may leave out. */
    private static final float SMALLEST_SHARE = 0.2f;

    static Stream<Named<ObserverSettings>> all() {
        return Stream.of(
                        MinMaxObserver.with(),
                        MovingAverageMinMaxObserver.with(),
                        HistogramObserver.with(),
                        PercentileObserver.with(),
                        EntropyObserver.with(),
                        MseObserver.with(),
                        PerChannelMinMaxObserver.with(),
                        MovingAveragePerChannelMinMaxObserver.with())
                .map(settings -> Named.of(settings.make().getClass().getSimpleName(), settings));
    }

    static Tensor data(long seed) {
        return RandomTensor.of(seed, 3, 500).add(new Scalar(0.5f));
    }

    private static boolean looksAtChannels(ObserverSettings settings) {
        return settings.make().qscheme().isPerChannel();
    }

    /** The integers that PyTorch gives a type. */
    private static int[] integers(QuantizedType dtype, boolean reduced) {
        return switch (dtype) {
            case QUINT8 -> reduced ? new int[] {0, 127} : new int[] {0, 255};
            case QINT8 -> reduced ? new int[] {-64, 63} : new int[] {-128, 127};
            case QINT32 -> new int[] {Integer.MIN_VALUE, Integer.MAX_VALUE};
            case QUINT4X2 -> new int[] {0, 15};
            case FLOAT16 -> throw new IllegalArgumentException();
        };
    }

    @ParameterizedTest
    @MethodSource("all")
    @DisplayName("follows each type and scheme by PyTorch's formulas, or refuses it")
    void typesAndSchemes(ObserverSettings base) {
        for (QuantizedType dtype : QuantizedType.values()) {
            for (Qscheme scheme : Qscheme.values()) {
                for (boolean reduce : new boolean[] {false, true}) {
                    typeAndScheme(base, dtype, scheme, reduce);
                }
            }
        }
    }

    private static void typeAndScheme(
            ObserverSettings base, QuantizedType dtype, Qscheme scheme, boolean reduce) {
        ObserverSettings settings = base.dtype(dtype).qscheme(scheme).reduceRange(reduce);
        String what = dtype + " " + scheme + " reduced: " + reduce;
        boolean no = reduce && scheme.isSymmetric() && dtype == QuantizedType.QUINT8;
        if (no || !dtype.isInteger() || scheme.isPerChannel() != looksAtChannels(base)) {
            String message = messageOf(settings::make);
            String word =
                    no
                            ? "can't reduce the range"
                            : "can't do " + (dtype.isInteger() ? scheme : dtype);
            assertTrue(message.contains(word), message);
            return;
        }
        Observer observer = settings.make();
        observer.call(data(11));

        QuantizationParameters found = observer.quantizationParameters();

        int[] range = integers(dtype, reduce);
        assertArrayEquals(range, new int[] {found.quantMin(), found.quantMax()}, what);
        assertEquals(dtype, found.dtype());
        assertEquals(scheme, found.qscheme());
        assertEquals(scheme.isPerChannel() ? 3 : 1, found.scales().length, what);
        for (int c = 0; c < found.scales().length; c++) {
            Tensor seen = scheme.isPerChannel() ? data(11).select(0, c) : data(11);
            float low = Math.min(seen.min().item_float(), 0);
            float high = Math.max(seen.max().item_float(), 0);
            double steps = (double) range[1] - range[0];
            double scale =
                    scheme.isSymmetric()
                            ? Math.max(-low, high) / (steps / 2)
                            : (high - low) / steps;
            scale = Math.max(scale, observer.eps());
            float actual = found.scales()[c];
            if (observer instanceof HistogramObserver) {
                assertTrue(actual <= scale * 1.01 && actual >= scale * SMALLEST_SHARE, what);
            } else if (scheme == Qscheme.PER_CHANNEL_AFFINE_FLOAT_QPARAMS) {
                assertEquals(scale, actual, scale * 0.01, what);
            } else {
                assertEquals(scale, actual, scale * 1e-6, what);
            }
            int zero = found.zeroPoints()[c];
            assertTrue(range[0] <= zero && zero <= range[1], what);
            if (scheme.isSymmetric()) {
                assertEquals(dtype == QuantizedType.QUINT8 ? 128 : 0, zero, what);
            } else if (!(observer instanceof HistogramObserver)) {
                assertEquals(
                        Math.clamp(range[0] - Math.rint(low / actual), range[0], range[1]),
                        zero,
                        what);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("all")
    @DisplayName("keeps to integers of one's own, halved where the range is reduced")
    void customRange(ObserverSettings settings) {
        Observer observer = settings.dtype(QuantizedType.QINT8).quantRange(-8, 7).make();
        observer.call(data(1));
        QuantizationParameters found = observer.quantizationParameters();
        assertEquals(-8, found.quantMin());
        assertEquals(7, found.quantMax());
        float largest = found.simulate(data(1)).max().item_float();
        assertEquals(
                7,
                largest / found.scales()[largestChannel(found)]
                        + found.zeroPoints()[largestChannel(found)],
                0.01f);

        Observer reduced =
                settings.dtype(QuantizedType.QINT8).quantRange(-8, 7).reduceRange(true).make();
        assertEquals(-4, reduced.quantMin());
        assertEquals(3, reduced.quantMax());
    }

    private static int largestChannel(QuantizationParameters found) {
        Tensor x = found.simulate(data(1));
        return found.isPerChannel()
                ? Math.toIntExact(x.amax(new long[] {1}, false).argmax().item_long())
                : 0;
    }

    @ParameterizedTest
    @MethodSource("all")
    @DisplayName("gives no scale below eps, whatever comes")
    void eps(ObserverSettings settings) {
        Observer observer = settings.eps(0.5).make();

        observer.call(data(1).mul(new Scalar(1e-3f)));

        for (float scale : observer.quantizationParameters().scales()) {
            assertEquals(0.5f, scale);
        }
        for (double eps : new double[] {0, -1, Double.NaN, Double.POSITIVE_INFINITY}) {
            assertTrue(messageOf(settings.eps(eps)::make).contains("positive, finite eps"));
        }
    }

    @ParameterizedTest
    @MethodSource("all")
    @DisplayName("keeps as much after many large batches as after one small one")
    void boundedMemory(ObserverSettings settings) {
        Observer observer = settings.make();
        observer.call(RandomTensor.of(1, 3, 4));
        Map<String, Long> sizes = sizes(observer);

        for (int i = 0; i < 20; i++) {
            observer.call(RandomTensor.of(i, 3, 1000));
        }

        assertEquals(sizes, sizes(observer));
    }

    private static Map<String, Long> sizes(Observer observer) {
        return observer.stateDict().entrySet().stream()
                .collect(Collectors.toMap(Map.Entry::getKey, entry -> entry.getValue().numel()));
    }

    @ParameterizedTest
    @MethodSource("all")
    @DisplayName("merged, two contain what each saw; merging nothing changes nothing")
    void merges(ObserverSettings settings) {
        Observer first = settings.make();
        Observer second = settings.make();
        first.call(data(1));
        QuantizationParameters before = first.quantizationParameters();
        first.merge(second);
        assertEquals(before, first.quantizationParameters());
        second.merge(first);
        assertEquals(before, second.quantizationParameters());

        Observer third = settings.make();
        third.call(data(1).mul(new Scalar(8f)));
        first.merge(third);

        float[] merged = first.quantizationParameters().scales();
        float[] larger = third.quantizationParameters().scales();
        for (int c = 0; c < merged.length; c++) {
            if (first instanceof HistogramObserver) {
                assertTrue(merged[c] > before.scales()[c] && merged[c] <= larger[c] * 1.3f);
            } else {
                assertEquals(larger[c], merged[c], larger[c] * 1e-6f);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("all")
    @DisplayName("is saved to a file, restored, and goes on from there")
    void savesAndRestores(ObserverSettings settings, @TempDir Path directory) {
        Path file = directory.resolve("observer.safetensors");
        Observer observer = settings.make();
        observer.call(data(1));
        observer.save(file);
        Observer restored = settings.make();

        restored.load(file);

        assertEquals(observer.quantizationParameters(), restored.quantizationParameters());
        observer.call(data(2));
        restored.call(data(2));
        assertEquals(observer.quantizationParameters(), restored.quantizationParameters());
    }
}

package io.espalier.conformance;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.conformance.Draws.Kind;
import io.espalier.conformance.PlainObserver.Scheme;
import io.espalier.conformance.PlainRounding.Step;
import io.espalier.quant.observer.HistogramObserver;
import io.espalier.quant.observer.Observer;
import io.espalier.quant.observer.ObserverSettings;
import io.espalier.quant.observer.Qscheme;
import io.espalier.quant.observer.QuantizedType;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** PyTorch's observers a second time, as plain loops, on batches of all kinds and shapes. */
@DisplayName("Observers, derived anew in plain loops,")
class RederivedObserversTest {
    private static final int CASES = 150;

    static IntStream seeds() {
        return IntStream.range(0, CASES);
    }

    /** The arguments that all observers have. */
    private record Arguments(
            String dtype, boolean symmetric, boolean reduce, List<Integer> custom, Scheme scheme) {
        static Arguments drawn(Draws draws) {
            String dtype = draws.of("qint8", "quint8");
            boolean unsigned = dtype.equals("quint8");
            boolean symmetric = draws.random.nextBoolean();
            boolean own = draws.random.nextInt(3) == 0;
            boolean reduce = !(symmetric && unsigned) && draws.random.nextInt(3) == 0;
            List<Integer> custom =
                    !own
                            ? List.of()
                            : unsigned
                                    ? List.of(0, draws.of(1, 15, 127, 255))
                                    : List.of(draws.of(-8, -127, -128), draws.of(1, 7, 127));
            int low = own ? custom.getFirst() : unsigned ? 0 : -128;
            int high = own ? custom.getLast() : unsigned ? 255 : 127;
            if (reduce) {
                low = Math.floorDiv(low, 2);
                high = Math.floorDiv(high, 2);
            }
            if (low == high) {
                return drawn(draws);
            }
            return new Arguments(
                    dtype,
                    symmetric,
                    reduce,
                    custom,
                    new Scheme(unsigned, symmetric, low, high, own));
        }

        CaseWriter write(String op, String per) {
            var written =
                    new CaseWriter(op)
                            .param("dtype", dtype)
                            .param("qscheme", per + (symmetric ? "_symmetric" : "_affine"))
                            .param("reduce_range", reduce);
            return custom.isEmpty()
                    ? written
                    : written.param("quant_min", custom.getFirst())
                            .param("quant_max", custom.getLast());
        }
    }

    /** Batches of one shape or of several, some empty; at least one is not. */
    private static List<float[]> batches(Draws draws, List<long[]> shapes, Kind... kinds) {
        Kind kind = draws.of(kinds);
        List<float[]> batches = new ArrayList<>();
        for (long[] shape : shapes) {
            Kind drawn = draws.random.nextInt(8) == 0 ? draws.of(kinds) : kind;
            batches.add(draws.values(drawn, Draws.size(shape)));
        }
        return batches;
    }

    private static List<long[]> shapes(Draws draws, int leastDims) {
        long[] shape = draws.shape(leastDims, 5);
        List<long[]> shapes = new ArrayList<>();
        for (int n = draws.random.nextInt(1, 5); n > 0; n--) {
            shapes.add(draws.random.nextInt(4) == 0 ? draws.shape(leastDims, 5) : shape);
        }
        if (draws.random.nextInt(10) == 0) {
            shapes.add(new long[] {2, 0, 3});
        }
        return shapes;
    }

    private static List<Tensor> tensors(Draws draws, List<float[]> batches, List<long[]> shapes) {
        return IntStream.range(0, batches.size())
                .mapToObj(b -> draws.tensor(batches.get(b), shapes.get(b)))
                .toList();
    }

    @ParameterizedTest(name = "tensor {0}")
    @DisplayName("find the same range, scale and zero point of whole tensors")
    @MethodSource("seeds")
    void perTensor(int seed) {
        var draws = new Draws(seed);
        var arguments = Arguments.drawn(draws);
        List<long[]> shapes = shapes(draws, 0);
        List<float[]> batches = batches(draws, shapes, Kind.values());
        boolean moving = draws.random.nextBoolean();
        double average = moving ? draws.of(0.01, 0.1, 0.5, 1.0, 0.3) : Double.NaN;
        var observer = new PlainObserver(1);
        batches.forEach(batch -> observer.see(batch, new long[0], 0, average));
        Step step = observer.steps(arguments.scheme)[0];

        var written =
                arguments.write(
                        moving ? "MovingAverageMinMaxObserver" : "MinMaxObserver", "per_tensor");
        if (moving) {
            written.param("averaging_constant", average);
        }
        written.input("batches", tensors(draws, batches, shapes))
                .expect("scale", Tensors.of(step.scale()))
                .expect("zero_point", Tensors.of(new long[] {step.zeroPoint()}, 1))
                .expect("min_val", Tensors.of(observer.min, new long[0]))
                .expect("max_val", Tensors.of(observer.max, new long[0]))
                .passes(new ObserversGroup());
    }

    @ParameterizedTest(name = "channels {0}")
    @DisplayName("find the same ranges, scales and zero points of channels")
    @MethodSource("seeds")
    void perChannel(int seed) {
        var draws = new Draws(seed);
        var arguments = Arguments.drawn(draws);
        long[] shape = draws.shape(1, 5);
        int axis = draws.random.nextInt(shape.length);
        List<long[]> shapes = new ArrayList<>();
        for (int n = draws.random.nextInt(1, 5); n > 0; n--) {
            long[] other = draws.shape(shape.length, shape.length);
            other[axis] = shape[axis];
            shapes.add(draws.random.nextInt(4) == 0 ? other : shape);
        }
        List<float[]> batches = batches(draws, shapes, Kind.values());
        boolean moving = draws.random.nextBoolean();
        double average = moving ? draws.of(0.01, 0.1, 0.5, 1.0, 0.3) : Double.NaN;
        var observer = new PlainObserver((int) shape[axis]);
        for (int b = 0; b < batches.size(); b++) {
            observer.see(batches.get(b), shapes.get(b), axis, average);
        }
        Step[] steps = observer.steps(arguments.scheme);

        var written =
                arguments.write(
                        moving
                                ? "MovingAveragePerChannelMinMaxObserver"
                                : "PerChannelMinMaxObserver",
                        "per_channel");
        if (moving) {
            written.param("averaging_constant", average);
        }
        written.param("ch_axis", axis)
                .input("batches", tensors(draws, batches, shapes))
                .expect("scale", RederivedRoundingTest.scales(steps))
                .expect("zero_point", RederivedRoundingTest.zeroPoints(steps))
                .expect("min_val", Tensors.of(observer.min))
                .expect("max_val", Tensors.of(observer.max))
                .passes(new ObserversGroup());
    }

    @ParameterizedTest(name = "histogram {0}")
    @DisplayName("keep the same histogram, and find the range in it that loses least")
    @MethodSource("seeds")
    void histogram(int seed) {
        var draws = new Draws(seed);
        var arguments = Arguments.drawn(draws);
        List<long[]> shapes = shapes(draws, 0);
        // Bins of subnormal numbers are as wide as the steps between these: nothing to compare.
        var kinds = EnumSet.complementOf(EnumSet.of(Kind.SUBNORMAL)).toArray(Kind[]::new);
        List<float[]> batches = batches(draws, shapes, kinds);
        int bins = draws.of(2048, 256, 100, 2);
        var histogram = new PlainHistogram(bins);
        batches.forEach(histogram::see);
        List<Tensor> tensors = tensors(draws, batches, shapes);
        // Where the search may go either way, the case asks for the way it went.
        Observer observer = observer(arguments, bins);
        tensors.forEach(observer::call);
        Step came =
                new Step(
                        observer.quantizationParameters().scale(),
                        observer.quantizationParameters().zeroPoint());
        Set<Step> possible =
                PlainHistogram.search(
                                Tensors.floats(observer.buffer("histogram")),
                                histogram.min,
                                histogram.max)
                        .stream()
                        .map(ends -> PlainObserver.step(ends.min(), ends.max(), arguments.scheme))
                        .collect(Collectors.toSet());
        assertTrue(possible.contains(came), came + " is none of " + possible);

        arguments
                .write("HistogramObserver", "per_tensor")
                .param("bins", bins)
                .input("batches", tensors)
                .expect("scale", Tensors.of(came.scale()))
                .expect("zero_point", Tensors.of(new long[] {came.zeroPoint()}, 1))
                .expect("min_val", Tensors.of(new float[] {histogram.min}, new long[0]))
                .expect("max_val", Tensors.of(new float[] {histogram.max}, new long[0]))
                .expect("histogram", Tensors.of(histogram.counts()))
                .passes(new ObserversGroup());
    }

    private static Observer observer(Arguments arguments, int bins) {
        ObserverSettings settings =
                HistogramObserver.with(bins)
                        .dtype(
                                arguments.scheme.unsigned()
                                        ? QuantizedType.QUINT8
                                        : QuantizedType.QINT8)
                        .qscheme(
                                arguments.symmetric
                                        ? Qscheme.PER_TENSOR_SYMMETRIC
                                        : Qscheme.PER_TENSOR_AFFINE)
                        .reduceRange(arguments.reduce);
        List<Integer> custom = arguments.custom;
        return (custom.isEmpty()
                        ? settings
                        : settings.quantRange(custom.getFirst(), custom.getLast()))
                .make();
    }
}

package io.espalier.quant.accuracy;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.Conv2d;
import io.espalier.nn.Flatten;
import io.espalier.nn.Linear;
import io.espalier.nn.Mask;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.quant.layer.PackedLayer;
import io.espalier.quant.observer.HistogramObserver;
import io.espalier.quant.observer.MinMaxObserver;
import io.espalier.quant.observer.ObserverSettings;
import io.espalier.quant.observer.PerChannelMinMaxObserver;
import io.espalier.quant.observer.Qscheme;
import io.espalier.quant.observer.QuantizedType;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import java.util.ArrayList;
import java.util.List;

class AdaRoundTest {
    private Tensor x;

    /** Images whose neighbouring pixels are alike, so that errors of weights can make up. */
    @BeforeEach
    void images() {
        Libtorch.seed(3);
        x = Tensors.randn(64, 1, 12, 12).cumsum(2).cumsum(3).mul(new Scalar(0.1));
    }

    private static Sequential network() {
        var model =
                new Sequential(
                        new Conv2d(1, 8, 3, o -> o.padding(1)),
                        new ReLU(),
                        new Conv2d(8, 8, 3, o -> o.groups(8).stride(2)),
                        new ReLU(),
                        new Flatten(),
                        new Linear(200, 10));
        model.eval();
        Quantization.fuseModules(model, List.of(List.of("0", "1"), List.of("2", "3")));
        return model;
    }

    /** Weights of so many bits, activations of eight. */
    private static QConfig weights(int bits, boolean perChannel) {
        ObserverSettings observer =
                perChannel
                        ? PerChannelMinMaxObserver.with().qscheme(Qscheme.PER_CHANNEL_SYMMETRIC)
                        : MinMaxObserver.with().qscheme(Qscheme.PER_TENSOR_SYMMETRIC);
        int half = 1 << (bits - 1);
        return new QConfig(
                HistogramObserver.with().reduceRange(true),
                observer.dtype(QuantizedType.QINT8).quantRange(-half, half - 1));
    }

    private static float distance(Tensor expected, Tensor actual) {
        return actual.sub(expected).norm().item_float() / expected.norm().item_float();
    }

    private static Module convert(Module model, Tensor x) {
        Quantization.prepare(model);
        model.call(x);
        Quantization.convert(model);
        return model;
    }

    @ParameterizedTest
    @DisplayName("loses less than rounding to nearest, alone and converted, on data not learned on")
    @CsvSource({"4, false", "4, true", "3, false", "3, true", "2, true"})
    void helps(int bits, boolean perChannel) {
        Sequential model = network();
        model.qconfig(weights(bits, perChannel));
        Tensor unseen = x.narrow(0, 48, 16);
        Tensor expected = model.call(unseen);
        float nearest = distance(expected, convert(model.copy(), x).call(unseen));

        AdaRound result = AdaRound.apply(model, List.of(x.narrow(0, 0, 24), x.narrow(0, 24, 24)));

        float alone = distance(expected, model.call(unseen));
        float converted = distance(expected, convert(model, x).call(unseen));
        assertTrue(alone < 0.8 * nearest, alone + " of " + nearest + "\n" + result);
        assertTrue(converted < 0.8 * nearest, converted + " of " + nearest);
        assertEquals(
                List.of("0", "2", "5"),
                result.layers().stream().map(AdaRound.Layer::path).toList());
    }

    @ParameterizedTest
    @DisplayName("the integers after conversion are those that were learned, of so many bits")
    @CsvSource({"8, false", "5, true", "4, false", "2, true"})
    void sameGrid(int bits, boolean perChannel) {
        Sequential model = network();
        model.qconfig(weights(bits, perChannel));
        AdaRound.apply(model, List.of(x), o -> o.iterations(100));
        float[] learned = Tensors.floats(model.module("5").value("weight"));

        convert(model, x);

        var layer = (PackedLayer) model.module("5");
        float[] back = Tensors.floats(layer.floatWeights().values().iterator().next());
        assertArrayEquals(learned, back, 1e-6f);
        int half = 1 << (bits - 1);
        for (long integer : Tensors.longs(layer.buffer("weight"))) {
            assertTrue(-half <= integer && integer < half, "integer " + integer);
        }
    }

    @Test
    @DisplayName("each weight goes up or down by less than one step, or stays at the range's end")
    void movesLessThanAStep() {
        var model = new Sequential(new Flatten(), new Linear(144, 6));
        model.qconfig(weights(4, false));
        float[] before = Tensors.floats(model.module("1").parameter("weight"));

        AdaRound.apply(model, List.of(x));

        float[] after = Tensors.floats(model.module("1").parameter("weight"));
        var qconfig = (QConfig) model.module("1").qconfig().orElseThrow();
        float step = qconfig.weight().make().quantizationParameters().scale();
        for (int i = 0; i < before.length; i++) {
            boolean clamped = after[i] == 7 * step && before[i] > after[i];
            assertTrue(clamped || Math.abs(after[i] - before[i]) < step * 1.001f, "weight " + i);
        }
    }

    @Test
    @DisplayName("pruned weights stay zero, and so do others that are zero")
    void keepsZeros() {
        Sequential model = network();
        Module linear = model.module("5");
        Tensor mask = Tensors.rand(10, 200).gt(new Scalar(0.5)).to(x.scalar_type());
        linear.storeAs("weight", "weight_orig");
        linear.addBuffer("weight_mask", mask);
        linear.parametrize("weight", new Mask("weight"));
        try (var guard = new NoGradGuard()) {
            model.module("0.0").parameter("weight").select(0, 2).zero_();
        }
        model.qconfig(weights(3, true));

        AdaRound.apply(model, List.of(x), o -> o.iterations(200));

        assertEquals(List.of(new Mask("weight")), linear.parametrizations("weight"));
        float[] kept = Tensors.floats(mask);
        float[] weights = Tensors.floats(linear.value("weight"));
        for (int i = 0; i < kept.length; i++) {
            assertTrue(kept[i] != 0 || weights[i] == 0, "weight " + i);
        }
        float[] zeroed = Tensors.floats(model.module("0.0").value("weight").select(0, 2));
        assertArrayEquals(new float[9], zeroed);
        convert(model, x);
        long[] integers = Tensors.longs(model.module("5").buffer("weight"));
        for (int i = 0; i < kept.length; i++) {
            assertTrue(kept[i] != 0 || integers[i] == 0, "integer " + i);
        }
    }

    @Test
    @DisplayName("the same seed gives the same weights; the listener hears of each layer")
    void isSeeded() {
        List<AdaRound.Layer> heard = new ArrayList<>();
        Sequential model = network();
        model.qconfig(weights(3, false));
        Sequential twin = model.copy();
        Sequential other = model.copy();

        AdaRound result =
                AdaRound.apply(model, List.of(x), o -> o.iterations(100).listener(heard::add));
        AdaRound.apply(twin, List.of(x), o -> o.iterations(100));
        AdaRound.apply(other, List.of(x), o -> o.iterations(100).seed(9).samples(500));

        assertEquals(result.layers(), heard);
        for (AdaRound.Layer layer : heard) {
            assertTrue(layer.learned() <= layer.nearest(), result.toString());
        }
        Tensor weight = model.module("5").value("weight");
        assertTrue(Tensors.equal(weight, twin.module("5").value("weight")));
        assertFalse(Tensors.equal(weight, other.module("5").value("weight")));
    }

    @Test
    @DisplayName("the unit of the data does not matter")
    void anyUnit() {
        var model = new Sequential(new Flatten(), new Linear(144, 6, o -> o.bias(false)));
        model.qconfig(weights(3, false));
        Sequential twin = model.copy();

        AdaRound.Layer usual = AdaRound.apply(model, List.of(x)).layers().getFirst();
        Tensor larger = x.mul(new Scalar(1000));
        AdaRound.Layer scaled = AdaRound.apply(twin, List.of(larger)).layers().getFirst();

        assertTrue(usual.learned() < 0.5 * usual.nearest(), usual.toString());
        assertEquals(1, scaled.learned() / usual.learned(), 0.1);
    }

    @Test
    @DisplayName("a layer that stands at two places is rounded once")
    void sharedLayer() {
        var shared = new Linear(144, 144);
        var model = new Sequential(new Flatten(), shared, new ReLU(), shared);
        model.eval();
        model.qconfig(weights(4, false));

        AdaRound result = AdaRound.apply(model, List.of(x), o -> o.iterations(20));

        assertEquals(List.of("1"), result.layers().stream().map(AdaRound.Layer::path).toList());
        float[] learned = Tensors.floats(shared.value("weight"));
        convert(model, x);
        for (String path : List.of("1", "3")) {
            var layer = (PackedLayer) model.module(path);
            float[] back = Tensors.floats(layer.floatWeights().values().iterator().next());
            assertArrayEquals(learned, back, 1e-6f);
        }
    }

    @Test
    @DisplayName("a listener that fails leaves the model as it was")
    void wholeOrNotAtAll() {
        Sequential model = network();
        model.qconfig(weights(4, false));
        Tensor before = model.call(x);

        assertEquals(
                "enough",
                assertThrows(
                                IllegalStateException.class,
                                () ->
                                        AdaRound.apply(
                                                model,
                                                List.of(x),
                                                o ->
                                                        o.iterations(20)
                                                                .listener(layer -> {
                                                                    throw new IllegalStateException(
                                                                            "enough");
                                                                })))
                        .getMessage());

        assertTrue(Tensors.equal(before, model.call(x)));
        assertFalse(model.module("0").hasQconfig());
    }

    @Test
    @DisplayName("no qconfig, no data, a prepared model and no iterations are clear errors")
    void refusesWrongUse() {
        Sequential model = network();
        assertTrue(
                messageOf(() -> AdaRound.apply(model, List.of(x)))
                        .startsWith("Nothing to prepare in Sequential: no layer"));
        model.qconfig(weights(4, false));
        assertEquals(
                "AdaRound needs calibration data; it got no batch.",
                messageOf(() -> AdaRound.apply(model, List.of())));
        assertEquals(
                "AdaRound needs one iteration and one sample or more; got 0 and 4096.",
                messageOf(() -> AdaRound.apply(model, List.of(x), o -> o.iterations(0))));
        assertEquals(
                "The calibration data gives '0' values that are NaN or infinite; give other data.",
                messageOf(() -> AdaRound.apply(model, List.of(x.log()), o -> o.iterations(5))));
        Quantization.prepare(model);
        assertTrue(
                messageOf(() -> AdaRound.apply(model, List.of(x)))
                        .startsWith("The model is prepared already"));
    }
}

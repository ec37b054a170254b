package io.espalier.conformance;

import static io.espalier.quant.observer.Qscheme.PER_CHANNEL_SYMMETRIC;
import static io.espalier.quant.observer.Qscheme.PER_TENSOR_SYMMETRIC;
import static io.espalier.quant.observer.QuantizedType.QINT8;

import io.espalier.quant.QConfig;
import io.espalier.quant.observer.HistogramObserver;
import io.espalier.quant.observer.MinMaxObserver;
import io.espalier.quant.observer.MovingAverageMinMaxObserver;
import io.espalier.quant.observer.MovingAveragePerChannelMinMaxObserver;
import io.espalier.quant.observer.NoopObserver;
import io.espalier.quant.observer.Observer;
import io.espalier.quant.observer.ObserverFactory;
import io.espalier.quant.observer.PerChannelMinMaxObserver;
import io.espalier.quant.qat.FakeQuantize;

import java.util.Map;
import java.util.function.Supplier;

/** PyTorch's presets: which observers each makes, and with which settings. */
final class QConfigsGroup implements Group {
    private static final ObserverFactory ACTIVATION = MinMaxObserver.with().quantRange(0, 127);
    private static final ObserverFactory WEIGHT =
            MinMaxObserver.with().dtype(QINT8).qscheme(PER_TENSOR_SYMMETRIC);
    private static final ObserverFactory CHANNEL_WEIGHT =
            PerChannelMinMaxObserver.with().dtype(QINT8).qscheme(PER_CHANNEL_SYMMETRIC);
    private static final ObserverFactory TRAINED_ACTIVATION =
            FakeQuantize.with(MovingAverageMinMaxObserver.with().reduceRange(true));
    private static final ObserverFactory TRAINED_WEIGHT =
            FakeQuantize.with(
                    MovingAverageMinMaxObserver.with().dtype(QINT8).qscheme(PER_TENSOR_SYMMETRIC));

    /** Presets without a method of their own are written as a user writes them. */
    private static final Map<String, Supplier<QConfig>> NAMED =
            Map.of(
                    "default_dynamic_qconfig",
                    QConfig::dynamic,
                    "per_channel_dynamic_qconfig",
                    QConfig::dynamicPerChannel,
                    "float16_dynamic_qconfig",
                    QConfig::float16,
                    "float16_static_qconfig",
                    QConfig::float16,
                    "default_qconfig",
                    () -> new QConfig(ACTIVATION, WEIGHT),
                    "default_per_channel_qconfig",
                    () -> new QConfig(ACTIVATION, CHANNEL_WEIGHT),
                    "default_qat_qconfig",
                    () -> new QConfig(TRAINED_ACTIVATION, TRAINED_WEIGHT),
                    "default_weight_only_qconfig",
                    () -> new QConfig(NoopObserver.with(), TRAINED_WEIGHT));

    @Override
    public String name() {
        return "qconfigs";
    }

    @Override
    public void run(Case reference, Check check) {
        QConfig preset = preset(reference.op());
        compare(
                "activation",
                reference.expect().object("activation"),
                preset.activation().make(),
                check);
        compare("weight", reference.expect().object("weight"), preset.weight().make(), check);
    }

    private static QConfig preset(String name) {
        if (name.startsWith("default.")) {
            return QConfig.forBackend(name.substring("default.".length()));
        }
        if (name.startsWith("qat.")) {
            return QConfig.qatForBackend(name.substring("qat.".length()));
        }
        Supplier<QConfig> named = NAMED.get(name);
        if (named == null) {
            throw Group.unknown("preset", name);
        }
        return named.get();
    }

    private static void compare(String role, Values expect, Observer observer, Check check) {
        Observer inner =
                observer instanceof FakeQuantize fake && expect.has("observer")
                        ? fake.observer()
                        : observer;
        for (String what : expect.names()) {
            String name = role + "'s " + what;
            switch (what) {
                case "cls" -> check.equal(name, expect.text(what), type(observer));
                case "observer" -> check.equal(name, expect.text(what), type(inner));
                case "dtype" ->
                        check.equal(
                                name, "torch." + expect.text(what), observer.dtype().toString());
                case "qscheme" ->
                        check.equal(
                                name, "torch." + expect.text(what), observer.qscheme().toString());
                case "quant_min" -> bound(name, expect, what, observer, observer.quantMin(), check);
                case "quant_max" -> bound(name, expect, what, observer, observer.quantMax(), check);
                case "reduce_range" -> check.equal(name, expect.flag(what), observer.reduceRange());
                case "ch_axis" ->
                        check.equal(name, expect.integer(what), (long) observer.channelAxis());
                case "bins" -> check.equal(name, expect.integer(what), bins(observer));
                case "averaging_constant" ->
                        check.equal(name, expect.real(what), averagingConstant(inner));
                default -> throw Group.unknown("setting", what);
            }
        }
    }

    /** What has no integers has no bounds: {@code null}. */
    private static void bound(
            String name, Values expect, String what, Observer observer, long came, Check check) {
        if (expect.isNull(what)) {
            check.equal(name + " exists", false, observer.dtype().isInteger());
        } else {
            check.equal(name, expect.integer(what), came);
        }
    }

    /**
     * The class as PyTorch calls it: an activation that is not observed has an {@code Identity}.
     */
    private static String type(Observer observer) {
        return observer instanceof NoopObserver ? "Identity" : observer.getClass().getSimpleName();
    }

    private static long bins(Observer observer) {
        return observer instanceof HistogramObserver histogram ? histogram.bins() : 0;
    }

    private static double averagingConstant(Observer observer) {
        return switch (observer) {
            case MovingAverageMinMaxObserver average -> average.averagingConstant();
            case MovingAveragePerChannelMinMaxObserver average -> average.averagingConstant();
            default -> Double.NaN;
        };
    }
}

package io.espalier.quant;

import static io.espalier.quant.observer.Qscheme.PER_CHANNEL_AFFINE_FLOAT_QPARAMS;
import static io.espalier.quant.observer.Qscheme.PER_CHANNEL_SYMMETRIC;
import static io.espalier.quant.observer.Qscheme.PER_TENSOR_SYMMETRIC;
import static io.espalier.quant.observer.QuantizedType.FLOAT16;
import static io.espalier.quant.observer.QuantizedType.QINT8;
import static io.espalier.quant.observer.QuantizedType.QUINT4X2;
import static io.espalier.quant.observer.QuantizedType.QUINT8;

import io.espalier.nn.Recipe;
import io.espalier.quant.layer.Packing;
import io.espalier.quant.observer.HistogramObserver;
import io.espalier.quant.observer.MinMaxObserver;
import io.espalier.quant.observer.MovingAverageMinMaxObserver;
import io.espalier.quant.observer.MovingAveragePerChannelMinMaxObserver;
import io.espalier.quant.observer.NoopObserver;
import io.espalier.quant.observer.Observer;
import io.espalier.quant.observer.ObserverFactory;
import io.espalier.quant.observer.PerChannelMinMaxObserver;
import io.espalier.quant.observer.PlaceholderObserver;
import io.espalier.quant.observer.QuantizedType;
import io.espalier.quant.qat.FakeQuantize;
import io.espalier.quant.qat.FusedMovingAvgObsFakeQuantize;
import io.espalier.quant.qat.Rounding;
import io.espalier.tensor.Engine;
import io.espalier.tensor.EspalierException;

import org.jspecify.annotations.Nullable;

/**
 * How a part of a model is quantized: what finds the range of its activations, what finds that of
 * its weights, and whose kernels run it. As PyTorch's {@code QConfig}.
 *
 * @param activation makes the observer of each output
 * @param weight makes the observer of each weight
 * @param engine the library that the converted layers run on
 */
public record QConfig(ObserverFactory activation, ObserverFactory weight, Engine engine)
        implements Recipe {
    /** Refuses nulls. */
    public QConfig {
        require(activation, "makes observers of activations, such as HistogramObserver.with()");
        require(weight, "makes observers of weights, such as MinMaxObserver.with()");
        require(engine, "names an engine, such as Engine.X86");
    }

    private static void require(@Nullable Object part, String what) {
        if (part == null) {
            throw new EspalierException(
                    "A QConfig "
                            + what
                            + "; it got null. What is to stay in float has no QConfig:"
                            + " model.qconfig(null).");
        }
    }

    /** A configuration of one's own that runs on the current engine. */
    public QConfig(ObserverFactory activation, ObserverFactory weight) {
        this(activation, weight, Engine.current());
    }

    /**
     * The preset for a backend, equal to PyTorch's {@code get_default_qconfig}: activations by
     * histogram in unsigned 8 bit, weights in symmetric signed 8 bit, per channel but for qnnpack.
     * fbgemm and x86 leave out one bit of the activations, as the kernels need it on processors
     * without VNNI. The weight of a transposed convolution, whose kernels take no more, has one
     * scale everywhere. {@code "float16"} keeps all weights in 16-bit floats and computes in
     * floats.
     *
     * @param backend {@code "fbgemm"}, {@code "x86"}, {@code "qnnpack"}, {@code "onednn"} or {@code
     *     "float16"}
     * @throws EspalierException if there is no such backend
     */
    public static QConfig forBackend(String backend) {
        if ("float16".equals(backend)) {
            return float16();
        }
        Engine engine = engine(backend);
        return new QConfig(
                HistogramObserver.with().dtype(QUINT8).reduceRange(reducesRange(engine)),
                engine == Engine.QNNPACK
                        ? MinMaxObserver.with().dtype(QINT8).qscheme(PER_TENSOR_SYMMETRIC)
                        : PerChannelMinMaxObserver.with()
                                .dtype(QINT8)
                                .qscheme(PER_CHANNEL_SYMMETRIC),
                engine);
    }

    /**
     * The preset for quantization-aware training on a backend, equal to PyTorch's {@code
     * get_default_qat_qconfig}: moving averages of the ranges, and fake quantization with them.
     *
     * @param backend {@code "fbgemm"}, {@code "x86"}, {@code "qnnpack"} or {@code "onednn"}
     * @throws EspalierException if there is no such backend
     */
    public static QConfig qatForBackend(String backend) {
        Engine engine = engine(backend);
        ObserverFactory activation =
                MovingAverageMinMaxObserver.with().dtype(QUINT8).reduceRange(reducesRange(engine));
        ObserverFactory weight =
                engine == Engine.QNNPACK
                        ? MovingAverageMinMaxObserver.with()
                                .dtype(QINT8)
                                .qscheme(PER_TENSOR_SYMMETRIC)
                        : MovingAveragePerChannelMinMaxObserver.with()
                                .dtype(QINT8)
                                .qscheme(PER_CHANNEL_SYMMETRIC);
        return new QConfig(
                FusedMovingAvgObsFakeQuantize.with(activation),
                FusedMovingAvgObsFakeQuantize.with(weight),
                engine);
    }

    /**
     * Dynamic quantization with one scale for each weight: PyTorch's {@code
     * default_dynamic_qconfig}.
     */
    public static QConfig dynamic() {
        return new QConfig(
                PlaceholderObserver.with().dtype(QUINT8),
                MinMaxObserver.with().dtype(QINT8).qscheme(PER_TENSOR_SYMMETRIC));
    }

    /**
     * Dynamic quantization with a scale for each output of a weight: PyTorch's {@code
     * per_channel_dynamic_qconfig}.
     */
    public static QConfig dynamicPerChannel() {
        return new QConfig(
                PlaceholderObserver.with().dtype(QUINT8),
                PerChannelMinMaxObserver.with().dtype(QINT8).qscheme(PER_CHANNEL_SYMMETRIC));
    }

    /**
     * Tables of vectors in 8 bits, each row with a scale of its own, all else in float: PyTorch's
     * {@code float_qparams_weight_only_qconfig}.
     */
    public static QConfig weightOnly() {
        return tables(QUINT8);
    }

    /** Tables of vectors in 4 bits: PyTorch's {@code float_qparams_weight_only_qconfig_4bit}. */
    public static QConfig weightOnly4Bit() {
        return tables(QUINT4X2);
    }

    private static QConfig tables(QuantizedType dtype) {
        return new QConfig(
                PlaceholderObserver.with(),
                PerChannelMinMaxObserver.with()
                        .dtype(dtype)
                        .qscheme(PER_CHANNEL_AFFINE_FLOAT_QPARAMS));
    }

    /**
     * Training of tables of vectors for 8 bits: PyTorch's {@code default_embedding_qat_qconfig}.
     */
    public static QConfig qatWeightOnly() {
        return tablesInTraining(QUINT8);
    }

    /**
     * Training of tables of vectors for 4 bits: PyTorch's {@code
     * default_embedding_qat_qconfig_4bit}.
     */
    public static QConfig qatWeightOnly4Bit() {
        return tablesInTraining(QUINT4X2);
    }

    private static QConfig tablesInTraining(QuantizedType dtype) {
        return new QConfig(
                NoopObserver.with(),
                FakeQuantize.with(
                        MovingAveragePerChannelMinMaxObserver.with()
                                .dtype(dtype)
                                .qscheme(PER_CHANNEL_AFFINE_FLOAT_QPARAMS)));
    }

    /** Whether it is for tables of vectors and leaves all else in float. */
    boolean isWeightOnly() {
        return weight.made().qscheme() == PER_CHANNEL_AFFINE_FLOAT_QPARAMS;
    }

    /**
     * Makes the observers of tables' weights: its own, or the preset where it has none for them.
     */
    ObserverFactory tableWeight() {
        Observer made = weight.made();
        if (made.qscheme() == PER_CHANNEL_AFFINE_FLOAT_QPARAMS || made.dtype() == FLOAT16) {
            return weight;
        }
        return made instanceof Rounding ? qatWeightOnly().weight() : weightOnly().weight();
    }

    /** Weights in 16-bit floats: PyTorch's {@code float16_dynamic_qconfig}. */
    public static QConfig float16() {
        return new QConfig(
                PlaceholderObserver.with().dtype(FLOAT16),
                PlaceholderObserver.with().dtype(FLOAT16));
    }

    /** How weights become integers, and whose kernels compute with them. */
    Packing packing() {
        return new Packing(weight, engine);
    }

    /** Whether weights are kept as 16-bit floats and nothing is observed. */
    public boolean isFloat16() {
        return weight.made().dtype() == FLOAT16;
    }

    private static Engine engine(String backend) {
        for (Engine engine : Engine.values()) {
            if (engine.toString().equals(backend)) {
                return engine;
            }
        }
        throw new EspalierException(
                "No backend '"
                        + backend
                        + "'; there are: fbgemm, x86, qnnpack, onednn and, for inference,"
                        + " float16.");
    }

    private static boolean reducesRange(Engine engine) {
        return engine == Engine.FBGEMM || engine == Engine.X86;
    }
}

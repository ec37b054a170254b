package io.espalier.quant;

import static io.espalier.quant.Qscheme.PER_CHANNEL_SYMMETRIC;
import static io.espalier.quant.Qscheme.PER_TENSOR_SYMMETRIC;
import static io.espalier.quant.QuantizedType.QINT8;
import static io.espalier.quant.QuantizedType.QUINT8;

import io.espalier.nn.Recipe;
import io.espalier.tensor.Engine;
import io.espalier.tensor.EspalierException;

import java.util.Objects;

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
        Objects.requireNonNull(activation);
        Objects.requireNonNull(weight);
        Objects.requireNonNull(engine);
    }

    /** A configuration of one's own that runs on the current engine. */
    public QConfig(ObserverFactory activation, ObserverFactory weight) {
        this(activation, weight, Engine.current());
    }

    /**
     * The preset for a backend, equal to PyTorch's {@code get_default_qconfig}: activations by
     * histogram in unsigned 8 bit, weights in symmetric signed 8 bit, per channel but for qnnpack.
     * fbgemm and x86 leave out one bit of the activations, as the kernels need it on processors
     * without VNNI.
     *
     * @param backend {@code "fbgemm"}, {@code "x86"}, {@code "qnnpack"} or {@code "onednn"}
     * @throws EspalierException if there is no such backend
     */
    public static QConfig forBackend(String backend) {
        Engine engine = Engine.of(backend);
        return new QConfig(
                HistogramObserver.with().dtype(QUINT8).reduceRange(reducesRange(engine)),
                engine == Engine.QNNPACK
                        ? MinMaxObserver.with().dtype(QINT8).qscheme(PER_TENSOR_SYMMETRIC)
                        : PerChannelMinMaxObserver.with()
                                .dtype(QINT8)
                                .qscheme(PER_CHANNEL_SYMMETRIC),
                engine);
    }

    static boolean reducesRange(Engine engine) {
        return engine == Engine.FBGEMM || engine == Engine.X86;
    }
}

package io.espalier.quant.observer;

import io.espalier.nn.Module;
import io.espalier.nn.StateBeside;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.lang.foreign.ValueLayout;

/**
 * Looks at the values that pass through it and tells how to quantize them. {@code call} returns its
 * input; memory does not grow with the data seen, and what was seen is saved with the model.
 *
 * <p>An observer of one's own says what it keeps of a batch ({@link #observe}) and what follows
 * from it ({@link #quantizationParameters}); it keeps its state in buffers, so that copies, saving
 * and loading work by themselves.
 */
public abstract class Observer extends Module implements StateBeside {
    /** The name of the child that observes a module's output, as PyTorch has it. */
    public static final String OUTPUT = "activation_post_process";

    /** The name of the child that observes a module's input, where that comes as floats. */
    public static final String INPUT = "activation_pre_process";

    private final ObserverSettings settings;
    private boolean foundValues;
    private boolean sawOnlyMasks;
    private String place = "";

    /** An observer with these settings. */
    protected Observer(ObserverSettings settings) {
        Needed.of(settings, "the settings of an observer").validate(typeName());
        this.settings = settings;
    }

    /** An observer with the settings of another, such as one that it holds and asks. */
    protected Observer(Observer other) {
        this(Needed.of(other, "the observer").settings);
    }

    @Override
    public boolean isAtomic() {
        return true;
    }

    /** Observes {@code x}, of any shape and any floating-point type, and returns it. */
    @Override
    protected Tensor forward(Tensor x) {
        if (x.numel() > 0) {
            try (var scope = new PointerScope();
                    var noGrad = new NoGradGuard()) {
                Tensor values = x.detach();
                observe(
                        Tensors.type(values) == ScalarType.Float
                                ? values
                                : values.to(ScalarType.Float));
                if (!foundValues) {
                    foundValues = hasObserved();
                    sawOnlyMasks = !foundValues;
                }
            }
        }
        return x;
    }

    /**
     * Takes a batch in. Tensors made here are freed on return.
     *
     * @param x float, not empty, detached; its memory is used for other things afterwards, so what
     *     is to be remembered of it is copied
     */
    protected abstract void observe(Tensor x);

    /**
     * How to quantize what was seen.
     *
     * @throws EspalierException if nothing was seen yet
     */
    public abstract QuantizationParameters quantizationParameters();

    /** Whether any data was seen. */
    public abstract boolean hasObserved();

    @Override
    public Runnable keepState() {
        boolean found = foundValues;
        boolean masks = sawOnlyMasks;
        return () -> {
            foundValues = found;
            sawOnlyMasks = masks;
        };
    }

    /** Forgets what was seen. */
    public abstract void reset();

    /**
     * Adds what another observer saw, as if this one had seen it too.
     *
     * @throws EspalierException if the other is of another class
     */
    public final void merge(Observer other) {
        if (!other.getClass().equals(getClass())) {
            throw new EspalierException(
                    name()
                            + " can't be merged with a "
                            + other.typeName()
                            + "; merge observers of one class.");
        }
        if (other.hasObserved()) {
            mergeObserved(other);
        }
    }

    /** Adds what {@code other}, of this class and not empty, saw. */
    protected abstract void mergeObserved(Observer other);

    /** What values are quantized to. */
    public final QuantizedType dtype() {
        return settings.dtype();
    }

    /** Per tensor or per channel, affine or symmetric. */
    public final Qscheme qscheme() {
        return settings.qscheme();
    }

    /** The smallest integer in use. */
    public final int quantMin() {
        return settings.quantMin();
    }

    /** The largest integer in use. */
    public final int quantMax() {
        return settings.quantMax();
    }

    /** Whether one bit less of the range is used. */
    public final boolean reduceRange() {
        return settings.reduceRange();
    }

    /** The dimension that channels lie along, or −1 if there is one scale for the whole tensor. */
    public int channelAxis() {
        return qscheme().isPerChannel() ? settings.channelAxis() : -1;
    }

    /** The smallest scale that may result. */
    public final float eps() {
        return settings.eps();
    }

    final ObserverSettings settings() {
        return settings;
    }

    /**
     * Refuses, while the observer is made, a type that has no integers to find scales for.
     *
     * @throws EspalierException if {@link #dtype} is {@link QuantizedType#FLOAT16}
     */
    protected final void requireInteger() {
        settings.requireInteger(typeName());
    }

    /** Tells the observer where in the model it stands, for its errors. */
    public void standsAt(String path) {
        place = path;
    }

    /** The observer and its place, as errors name it. */
    public final String name() {
        return place.isEmpty() ? typeName() : typeName() + " at '" + place + "'";
    }

    /**
     * The parameters whose integers cover a range, and zero, as this observer's scheme says.
     *
     * @throws EspalierException if the scheme is per channel
     */
    protected final QuantizationParameters covering(double min, double max) {
        settings.requirePerTensor(typeName());
        return Affine.parameters(settings, (float) min, (float) max);
    }

    /** What {@link #quantizationParameters} throws before any data was seen. */
    protected final EspalierException nothingSeen() {
        if (sawOnlyMasks) {
            return new EspalierException(
                    name()
                            + " has seen no data that a range can be found from: all values were"
                            + " beyond ±1e30, which count as masks, or not finite and left out;"
                            + " calibrate with data that has others.");
        }
        return new EspalierException(
                name()
                        + " has seen no data; run calibration batches through the prepared model"
                        + " first.");
    }

    /** Refuses NaN and infinite values, or returns to leave them out, as the settings say. */
    final void nonFinite(long count) {
        if (!settings.ignoresNonFinite()) {
            throw new EspalierException(
                    name()
                            + " saw "
                            + count
                            + (count == 1 ? " value that is" : " values that are")
                            + " NaN or infinite; mend the data, or set ignoreNonFinite() to leave"
                            + " such values out.");
        }
    }

    /** Type, integers and scheme, as fake quantizations print them. */
    protected final String rangeText() {
        return "dtype="
                + dtype()
                + ", quant_min="
                + quantMin()
                + ", quant_max="
                + quantMax()
                + ", qscheme="
                + qscheme();
    }

    final float scalar(String buffer) {
        return Tensors.segment(buffer(buffer)).get(ValueLayout.JAVA_FLOAT, 0);
    }

    final void scalar(String buffer, float value) {
        Tensors.segment(buffer(buffer)).set(ValueLayout.JAVA_FLOAT, 0, value);
    }
}

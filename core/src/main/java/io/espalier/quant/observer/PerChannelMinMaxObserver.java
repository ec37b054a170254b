package io.espalier.quant.observer;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

import java.util.Arrays;

/**
 * Keeps the smallest and the largest value of each channel: PyTorch's {@code
 * PerChannelMinMaxObserver}.
 */
public class PerChannelMinMaxObserver extends Observer {
    /** An observer with these settings. */
    public PerChannelMinMaxObserver(ObserverSettings settings) {
        super(settings);
        settings.requireInteger(typeName());
        settings.requirePerChannel(typeName());
        addBuffer("eps", Tensors.of(settings.eps()));
        addBuffer("min_val", Tensors.zeros(0));
        addBuffer("max_val", Tensors.zeros(0));
    }

    /** The default settings: channels along dimension 0, an affine scheme for each. */
    public static ObserverSettings with() {
        return ObserverSettings.of(PerChannelMinMaxObserver::new)
                .qscheme(Qscheme.PER_CHANNEL_AFFINE);
    }

    @Override
    protected void observe(Tensor x) {
        Extremes batch = extremes(x.contiguous());
        update(batch.min(), batch.max());
    }

    private Extremes extremes(Tensor x) {
        long[] shape = Tensors.shape(x);
        int axis = channelAxis();
        if (axis >= shape.length) {
            throw new EspalierException(
                    name()
                            + " looks at channels along dimension "
                            + axis
                            + ", but a tensor of shape "
                            + Arrays.toString(shape)
                            + " came in; choose a channel axis below "
                            + shape.length
                            + ".");
        }
        int channels = Math.toIntExact(shape[axis]);
        if (hasObserved() && channels != mins().length) {
            throw new EspalierException(
                    name()
                            + " has seen "
                            + mins().length
                            + " channels along dimension "
                            + axis
                            + ", but a tensor of shape "
                            + Arrays.toString(shape)
                            + " came in; use one observer for each tensor.");
        }
        long outer = product(shape, 0, axis);
        long inner = product(shape, axis + 1, shape.length);
        return Extremes.of(Tensors.segment(x), outer, channels, inner, this::nonFinite);
    }

    private static long product(long[] shape, int from, int to) {
        return Arrays.stream(shape, from, to).reduce(1, Math::multiplyExact);
    }

    /** Takes in a batch's smallest and largest values. */
    void update(float[] min, float[] max) {
        widen(min, max);
    }

    private void widen(float[] min, float[] max) {
        if (hasObserved()) {
            float[] mins = mins();
            float[] maxs = maxs();
            for (int c = 0; c < min.length; c++) {
                min[c] = Math.min(min[c], mins[c]);
                max[c] = Math.max(max[c], maxs[c]);
            }
        }
        setRanges(min, max);
    }

    final void setRanges(float[] min, float[] max) {
        setBuffer("min_val", Tensors.of(min));
        setBuffer("max_val", Tensors.of(max));
    }

    /** The smallest value of each channel; empty before any. */
    public final float[] mins() {
        return Tensors.floats(buffer("min_val"));
    }

    /** The largest value of each channel; empty before any. */
    public final float[] maxs() {
        return Tensors.floats(buffer("max_val"));
    }

    @Override
    public final boolean hasObserved() {
        float[] least = mins();
        float[] most = maxs();
        for (int c = 0; c < least.length; c++) {
            if (least[c] <= most[c]) {
                return true;
            }
        }
        return false; // nothing, or nothing but values that are left out
    }

    @Override
    public void reset() {
        setRanges(new float[0], new float[0]);
    }

    @Override
    protected void mergeObserved(Observer other) {
        var that = (PerChannelMinMaxObserver) other;
        if (hasObserved() && that.mins().length != mins().length) {
            throw new EspalierException(
                    name()
                            + " has seen "
                            + mins().length
                            + " channels and can't be merged with one that saw "
                            + that.mins().length
                            + ".");
        }
        widen(that.mins(), that.maxs());
    }

    @Override
    public QuantizationParameters quantizationParameters() {
        if (!hasObserved()) {
            throw nothingSeen();
        }
        return Affine.parameters(settings(), mins(), maxs());
    }

    @Override
    protected String extraRepr() {
        return "min_val="
                + Tensors.toString(buffer("min_val"))
                + ", max_val="
                + Tensors.toString(buffer("max_val"));
    }

    @Override
    protected boolean isResizable(String buffer) {
        return buffer.equals("min_val") || buffer.equals("max_val");
    }
}

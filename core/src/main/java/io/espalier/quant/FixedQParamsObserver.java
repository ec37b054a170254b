package io.espalier.quant;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

/**
 * Looks at nothing: scale and zero point are known beforehand. PyTorch's {@code
 * FixedQParamsObserver}.
 */
public class FixedQParamsObserver extends Observer {
    /**
     * An observer with these settings.
     *
     * @param scale the step between two integers, positive
     * @param zeroPoint the integer that 0 is stored as
     * @throws EspalierException if the scale is not positive and finite, or the zero point is out
     *     of the range of integers
     */
    public FixedQParamsObserver(ObserverSettings settings, double scale, int zeroPoint) {
        super(settings);
        settings.requireInteger(typeName());
        settings.requirePerTensor(typeName());
        if (zeroPoint < quantMin() || zeroPoint > quantMax()) {
            throw new EspalierException(
                    typeName()
                            + " needs a zero point within "
                            + quantMin()
                            + "…"
                            + quantMax()
                            + "; got "
                            + zeroPoint
                            + ".");
        }
        addBuffer("scale", Tensors.of((float) scale));
        addBuffer("zero_point", Tensors.of(new long[] {zeroPoint}, 1));
        quantizationParameters();
    }

    /** The default settings, with scale and zero point. */
    public static ObserverSettings with(double scale, int zeroPoint) {
        return ObserverSettings.of(
                settings -> new FixedQParamsObserver(settings, scale, zeroPoint));
    }

    @Override
    protected void observe(Tensor x) {}

    @Override
    public final QuantizationParameters quantizationParameters() {
        return new QuantizationParameters(
                new float[] {scalar("scale")},
                new int[] {Math.toIntExact(Tensors.longs(buffer("zero_point"))[0])},
                -1,
                dtype(),
                qscheme(),
                quantMin(),
                quantMax());
    }

    @Override
    public final boolean hasObserved() {
        return true;
    }

    @Override
    public void reset() {}

    @Override
    protected void mergeObserved(Observer other) {
        if (!other.quantizationParameters().equals(quantizationParameters())) {
            throw new EspalierException(
                    name() + " has fixed parameters and can't be merged with one that has others.");
        }
    }
}

package io.espalier.quant.observer;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.Arrays;

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

    /** An observer with a scale and zero point for the tensor or for each channel. */
    private FixedQParamsObserver(ObserverSettings settings, QuantizationParameters known) {
        super(settings);
        settings.requireInteger(typeName());
        addBuffer("scale", known.scaleTensor());
        addBuffer("zero_point", known.zeroPointTensor().to(ScalarType.Long));
    }

    /** The default settings, with scale and zero point. */
    public static ObserverSettings with(double scale, int zeroPoint) {
        return ObserverSettings.of(
                settings -> new FixedQParamsObserver(settings, scale, zeroPoint));
    }

    /**
     * The settings for parameters that are known: their type, scheme and range of integers, and
     * their channels where they have some.
     */
    public static ObserverSettings with(QuantizationParameters known) {
        return ObserverSettings.of(settings -> new FixedQParamsObserver(settings, known))
                .dtype(Needed.of(known, "the parameters").dtype())
                .qscheme(known.qscheme())
                .quantRange(known.quantMin(), known.quantMax())
                .channelAxis(Math.max(known.channelAxis(), 0));
    }

    @Override
    protected void observe(Tensor x) {}

    @Override
    public final QuantizationParameters quantizationParameters() {
        return new QuantizationParameters(
                Tensors.floats(buffer("scale")),
                Arrays.stream(Tensors.longs(buffer("zero_point")))
                        .mapToInt(Math::toIntExact)
                        .toArray(),
                channelAxis(),
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

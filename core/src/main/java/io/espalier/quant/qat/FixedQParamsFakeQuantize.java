package io.espalier.quant.qat;

import io.espalier.quant.observer.FixedQParamsObserver;
import io.espalier.quant.observer.Observer;
import io.espalier.quant.observer.ObserverFactory;
import io.espalier.quant.observer.QuantizationParameters;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Internal;

/**
 * Fake quantization with a scale and a zero point known beforehand, as for a sigmoid's output,
 * which always lies in 0…1: PyTorch's {@code FixedQParamsFakeQuantize}.
 */
@Internal
public class FixedQParamsFakeQuantize extends FakeQuantize {
    /** Fake quantization with the observer's fixed parameters. */
    public FixedQParamsFakeQuantize(FixedQParamsObserver observer) {
        super(observer);
        QuantizationParameters fixed = observer.quantizationParameters();
        setBuffer("scale", fixed.scaleTensor());
        setBuffer("zero_point", fixed.zeroPointTensor());
    }

    /** Fake quantization with these parameters, for the tensor or for each channel. */
    public static FixedQParamsFakeQuantize of(QuantizationParameters known) {
        var fixed =
                new FixedQParamsFakeQuantize(
                        (FixedQParamsObserver) FixedQParamsObserver.with(known).make());
        fixed.enableObserver(false);
        return fixed;
    }

    /** Makes fake quantizations with the fixed parameters of the observers that are made. */
    public static ObserverFactory with(ObserverFactory observer) {
        return new RoundingFactory(
                FixedQParamsFakeQuantize.class, observer, FixedQParamsFakeQuantize::around);
    }

    private static Observer around(Observer made) {
        if (made instanceof FixedQParamsObserver fixed) {
            return new FixedQParamsFakeQuantize(fixed);
        }
        throw new EspalierException(
                "FixedQParamsFakeQuantize needs a FixedQParamsObserver, which knows its scale"
                        + " beforehand; use FakeQuantize for other observers.");
    }

    @Override
    public void reset() {
        observer().reset();
    }

    @Override
    protected String extraRepr() {
        return switches() + ", " + parametersText() + ", " + rangeText();
    }
}

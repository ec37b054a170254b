package io.espalier.quant.qat;

import io.espalier.quant.observer.MovingAverageMinMaxObserver;
import io.espalier.quant.observer.MovingAveragePerChannelMinMaxObserver;
import io.espalier.quant.observer.Observer;
import io.espalier.quant.observer.ObserverFactory;
import io.espalier.tensor.EspalierException;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Fake quantization whose range is a moving average that libtorch's fused operator follows:
 * PyTorch's {@code FusedMovingAvgObsFakeQuantize}, which the presets for training use.
 *
 * <p>In training, libtorch takes a symmetric scale as the larger of −min / 128 and max / 127; what
 * {@link #quantizationParameters} says, and conversion uses, is the observer's, as in PyTorch.
 */
public class FusedMovingAvgObsFakeQuantize extends FakeQuantize {
    private static final long[] ROW = {1};

    private final double averagingConstant;

    /**
     * Fake quantization with the range that {@code observer} averages.
     *
     * @param observer a {@link MovingAverageMinMaxObserver}, or a {@link
     *     MovingAveragePerChannelMinMaxObserver} for channels along dimension 0
     * @throws EspalierException if it is another
     */
    public FusedMovingAvgObsFakeQuantize(Observer observer) {
        super(observer, ScalarType.Long);
        this.averagingConstant =
                switch (observer) {
                    case MovingAverageMinMaxObserver average -> average.averagingConstant();
                    case MovingAveragePerChannelMinMaxObserver average ->
                            average.averagingConstant();
                    default ->
                            throw new EspalierException(
                                    typeName()
                                            + " averages by itself and can't use "
                                            + observer.getClass().getSimpleName()
                                            + "; give it a moving-average observer, or use"
                                            + " FakeQuantize.");
                };
        if (observer.channelAxis() > 0) {
            throw new EspalierException(
                    typeName()
                            + " takes channels along dimension 0 only; asked for "
                            + observer.channelAxis()
                            + ". Use FakeQuantize for others.");
        }
    }

    /** Makes fake quantizations whose ranges follow a moving average. */
    public static ObserverFactory with() {
        return with(MovingAverageMinMaxObserver.with());
    }

    /** Makes fake quantizations whose ranges the given moving-average observers describe. */
    public static ObserverFactory with(ObserverFactory observer) {
        return new RoundingFactory(
                FusedMovingAvgObsFakeQuantize.class, observer, FusedMovingAvgObsFakeQuantize::new);
    }

    @Override
    protected Tensor forward(Tensor x) {
        if (x.numel() == 0) {
            return x;
        }
        boolean rounds = isFakeQuantEnabled();
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            if (isObserverEnabled()) {
                Tensor extremes = extremes(x);
                requireFinite(extremes);
                follow(extremes);
            } else if (rounds && hasObserved()) {
                // Batches may have been observed without rounding: the step is that of the range
                // now, whatever the values are.
                follow(torch.zeros_like(observer().buffer("min_val")).unsqueeze(-1));
            }
        }
        return rounds ? simulate(x) : x;
    }

    /** Refuses what would stay in the averages for ever, and averages in which it is already. */
    private void requireFinite(Tensor extremes) {
        boolean finite =
                extremes.isfinite().all().item_bool()
                        && !observer().buffer("min_val").isnan().any().item_bool()
                        && !observer().buffer("max_val").isnan().any().item_bool();
        if (!finite) {
            throw new EspalierException(
                    name()
                            + " saw values that are NaN or infinite; mend the data, or use"
                            + " FakeQuantize with an observer that has ignoreNonFinite().");
        }
    }

    /** The least and the greatest value, or those of each channel, [C, 2]. */
    private Tensor extremes(Tensor x) {
        if (!qscheme().isPerChannel()) {
            var both = torch.aminmax(x);
            return torch.stack(new TensorVector(both.get0(), both.get1()));
        }
        // Of rows, aminmax is twenty times slower than amin and amax.
        Tensor rows = x.reshape(x.size(0), -1);
        return torch.stack(new TensorVector(rows.amin(ROW, false), rows.amax(ROW, false)), 1);
    }

    /** Lets averages, scale and zero point follow a batch, of which they need the extremes only. */
    private void follow(Tensor extremes) {
        torch.fused_moving_avg_obs_fake_quant(
                extremes,
                buffer("observer_enabled"),
                buffer("fake_quant_enabled"),
                observer().buffer("min_val"),
                observer().buffer("max_val"),
                buffer("scale"),
                buffer("zero_point"),
                averagingConstant,
                quantMin(),
                quantMax(),
                channelAxis(),
                qscheme().isPerChannel(),
                qscheme().isSymmetric());
    }

    @Override
    protected String extraRepr() {
        return switches()
                + ", "
                + parametersText()
                + ", "
                + rangeText()
                + ", reduce_range="
                + (reduceRange() ? "True" : "False");
    }
}

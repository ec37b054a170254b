package io.espalier.quant.observer;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;

import org.jspecify.annotations.Nullable;

import java.util.function.Consumer;
import java.util.function.Function;

/**
 * The settings that observers share, and the observer they are for; each method gives new settings.
 *
 * <pre>{@code
 * MinMaxObserver.with().dtype(QUINT8).qscheme(PER_TENSOR_AFFINE).reduceRange(true)
 * }</pre>
 *
 * <p>Settings that don't go together are refused when an observer is made of them, so the order of
 * the calls is free.
 */
public final class ObserverSettings implements ObserverFactory {
    /** PyTorch's smallest scale: the distance from 1 to the next float. */
    private static final float EPS = 0x1p-23f;

    private final Function<ObserverSettings, ? extends Observer> observer;
    private QuantizedType dtype = QuantizedType.QUINT8;
    private Qscheme qscheme = Qscheme.PER_TENSOR_AFFINE;
    private boolean reduceRange;
    private @Nullable Range custom;
    private float eps = EPS;
    private int channelAxis;
    private boolean ignoresNonFinite;

    private record Range(int min, int max) {}

    private ObserverSettings(Function<ObserverSettings, ? extends Observer> observer) {
        this.observer = observer;
    }

    private ObserverSettings changed(Consumer<ObserverSettings> change) {
        var copy = new ObserverSettings(observer);
        copy.dtype = dtype;
        copy.qscheme = qscheme;
        copy.reduceRange = reduceRange;
        copy.custom = custom;
        copy.eps = eps;
        copy.channelAxis = channelAxis;
        copy.ignoresNonFinite = ignoresNonFinite;
        change.accept(copy);
        return copy;
    }

    /**
     * The default settings of an observer: {@code QUINT8}, {@code PER_TENSOR_AFFINE}, the whole
     * range.
     *
     * @param observer usually the observer's constructor
     */
    public static ObserverSettings of(Function<ObserverSettings, ? extends Observer> observer) {
        return new ObserverSettings(Needed.of(observer, "what makes an observer"));
    }

    @Override
    public Observer make() {
        return Needed.given(observer.apply(this), "an observer");
    }

    /**
     * The observer and what is not PyTorch's default: {@code
     * MinMaxObserver.with().reduceRange(true)}.
     */
    @Override
    public String toString() {
        var text = new StringBuilder();
        text.append(observerName()).append(".with()");
        append(text, "dtype", dtype, QuantizedType.QUINT8);
        append(text, "qscheme", qscheme, Qscheme.PER_TENSOR_AFFINE);
        append(text, "reduceRange", reduceRange, false);
        if (custom != null) {
            append(text, "quantRange", custom.min + ", " + custom.max, "");
        }
        append(text, "eps", eps, EPS);
        append(text, "channelAxis", channelAxis, 0);
        if (ignoresNonFinite) {
            text.append(".ignoreNonFinite()");
        }
        return text.toString();
    }

    private String observerName() {
        try {
            return make().getClass().getSimpleName();
        } catch (EspalierException e) {
            return "(settings that don't go together)";
        }
    }

    private static void append(StringBuilder text, String name, Object value, Object plain) {
        if (!value.equals(plain)) {
            text.append('.').append(name).append('(').append(value).append(')');
        }
    }

    /** What values are quantized to. */
    public ObserverSettings dtype(QuantizedType dtype) {
        return changed(s -> s.dtype = Needed.of(dtype, "the type"));
    }

    /** Per tensor or per channel, affine or symmetric. */
    public ObserverSettings qscheme(Qscheme qscheme) {
        return changed(s -> s.qscheme = Needed.of(qscheme, "the scheme"));
    }

    /**
     * Uses one bit less of the range (0 … 127 of {@code QUINT8}), so that 16-bit accumulators of
     * processors without VNNI can't overflow. Concerns 8-bit types and a range of one's own; other
     * types keep theirs, as in PyTorch.
     */
    public ObserverSettings reduceRange(boolean reduceRange) {
        return changed(s -> s.reduceRange = reduceRange);
    }

    /** Uses these integers only, such as −8 … 7 for 4 bits; the range must contain zero. */
    public ObserverSettings quantRange(int quantMin, int quantMax) {
        return changed(s -> s.custom = new Range(quantMin, quantMax));
    }

    /** The smallest scale that may result (2⁻²³ if not set). */
    public ObserverSettings eps(double eps) {
        return changed(s -> s.eps = (float) eps);
    }

    /** The dimension that channels lie along, for observers that look at each channel. */
    public ObserverSettings channelAxis(int channelAxis) {
        return changed(s -> s.channelAxis = channelAxis);
    }

    /** Leaves NaN and infinite values out, instead of refusing the data. */
    public ObserverSettings ignoreNonFinite() {
        return changed(s -> s.ignoresNonFinite = true);
    }

    QuantizedType dtype() {
        return dtype;
    }

    Qscheme qscheme() {
        return qscheme;
    }

    boolean reduceRange() {
        return reduceRange;
    }

    boolean hasCustomRange() {
        return custom != null;
    }

    float eps() {
        return eps;
    }

    int channelAxis() {
        return channelAxis;
    }

    boolean ignoresNonFinite() {
        return ignoresNonFinite;
    }

    /** The smallest integer in use, after {@link #quantRange} and {@link #reduceRange}. */
    int quantMin() {
        return reduced(custom == null ? dtype.min() : custom.min);
    }

    /** The largest integer in use, after {@link #quantRange} and {@link #reduceRange}. */
    int quantMax() {
        return reduced(custom == null ? dtype.max() : custom.max);
    }

    private int reduced(int end) {
        boolean hasBitToLeave =
                custom != null || dtype == QuantizedType.QUINT8 || dtype == QuantizedType.QINT8;
        return reduceRange && hasBitToLeave ? Math.floorDiv(end, 2) : end;
    }

    /**
     * Refuses settings that no observer can follow.
     *
     * @param who the observer's name, for the message
     */
    void validate(String who) {
        if (custom != null) {
            boolean hasZero = custom.min <= 0 && 0 <= custom.max && custom.min < custom.max;
            boolean fits =
                    !dtype.isInteger() || (custom.min >= dtype.min() && custom.max <= dtype.max());
            if (!hasZero || !fits) {
                throw new EspalierException(
                        who
                                + " can't quantize to "
                                + custom.min
                                + "…"
                                + custom.max
                                + (hasZero
                                        ? ": " + dtype + " holds " + dtype.min() + "…" + dtype.max()
                                        : "; the range must contain zero and more than one integer")
                                + ".");
            }
        }
        if (!(eps > 0) || Float.isInfinite(eps)) {
            throw new EspalierException(who + " needs a positive, finite eps; got " + eps + ".");
        }
        if (reduceRange && qscheme.isSymmetric() && dtype == QuantizedType.QUINT8) {
            throw new EspalierException(
                    who
                            + " can't reduce the range of a symmetric torch.quint8, whose zero"
                            + " point is 128; use QINT8, or an affine scheme.");
        }
    }

    void requireInteger(String who) {
        if (!dtype.isInteger()) {
            throw new EspalierException(
                    who
                            + " finds scales for integers and can't do "
                            + dtype
                            + "; use PlaceholderObserver for it.");
        }
    }

    void requirePerTensor(String who) {
        if (qscheme.isPerChannel()) {
            throw new EspalierException(
                    who
                            + " sees the tensor as a whole and can't do "
                            + qscheme
                            + "; use PerChannelMinMaxObserver, or a per-tensor scheme.");
        }
    }

    void requirePerChannel(String who) {
        if (!qscheme.isPerChannel()) {
            throw new EspalierException(
                    who
                            + " sees each channel and can't do "
                            + qscheme
                            + "; use MinMaxObserver, or a per-channel scheme.");
        }
        if (channelAxis < 0) {
            throw new EspalierException(
                    who + " needs a channel axis of 0 or more; got " + channelAxis + ".");
        }
    }

    double requireShare(String who, double averagingConstant) {
        if (!(averagingConstant > 0 && averagingConstant <= 1)) {
            throw new EspalierException(
                    who
                            + " needs an averaging constant above 0, up to 1; got "
                            + averagingConstant
                            + ".");
        }
        return averagingConstant;
    }
}

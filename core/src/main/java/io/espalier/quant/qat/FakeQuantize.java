package io.espalier.quant.qat;

import io.espalier.quant.observer.MovingAverageMinMaxObserver;
import io.espalier.quant.observer.Observer;
import io.espalier.quant.observer.ObserverFactory;
import io.espalier.quant.observer.QuantizationParameters;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Set;

/**
 * Rounds values to the integers they will be quantized to and back, so that training feels the
 * error: {@code (clamp(round(x / scale + zeroPoint), quantMin, quantMax) − zeroPoint) · scale}.
 * Gradients pass where nothing was clamped (the straight-through estimator). PyTorch's {@code
 * FakeQuantize}.
 *
 * <p>An observer inside it follows the range of the data; it can be switched off, and so can the
 * rounding.
 */
public class FakeQuantize extends Observer implements Rounding {
    private static final Set<String> RESIZABLE = Set.of("scale", "zero_point");

    private final Observer observer;

    /** Fake quantization with the range that {@code observer} finds. */
    public FakeQuantize(Observer observer) {
        this(observer, ScalarType.Byte);
    }

    /** With switches stored as PyTorch stores them for the class. */
    FakeQuantize(Observer observer, ScalarType switches) {
        super(observer);
        requireInteger();
        addBuffer("fake_quant_enabled", Tensors.of(new long[] {1}, 1).to(switches));
        addBuffer("observer_enabled", Tensors.of(new long[] {1}, 1).to(switches));
        addBuffer("scale", Tensors.of(1f));
        addBuffer("zero_point", Tensors.of(new long[] {0}, 1).to(ScalarType.Int));
        this.observer = add(OUTPUT, observer);
    }

    /** Makes fake quantizations whose ranges follow a moving average: PyTorch's default. */
    public static ObserverFactory with() {
        return with(MovingAverageMinMaxObserver.with());
    }

    /** Makes fake quantizations whose ranges the given observers find. */
    public static ObserverFactory with(ObserverFactory observer) {
        return new RoundingFactory(FakeQuantize.class, observer, FakeQuantize::new);
    }

    /** The observer that finds the range. */
    public final Observer observer() {
        return observer;
    }

    /** Whether values are rounded; if not, they pass unchanged. */
    public final boolean isFakeQuantEnabled() {
        return isOn("fake_quant_enabled");
    }

    /** Lets values be rounded, or pass unchanged. */
    @Override
    public final void enableFakeQuant(boolean enabled) {
        turn("fake_quant_enabled", enabled);
    }

    /** Whether the range follows the data. */
    public final boolean isObserverEnabled() {
        return isOn("observer_enabled");
    }

    /** Lets the range follow the data, or stay as it is. */
    @Override
    public final void enableObserver(boolean enabled) {
        turn("observer_enabled", enabled);
    }

    final boolean isOn(String buffer) {
        // Little-endian: the first byte of 0 or 1, however wide.
        return Tensors.segment(buffer(buffer)).get(ValueLayout.JAVA_BYTE, 0) != 0;
    }

    final void turn(String buffer, boolean on) {
        buffer(buffer).fill_(new Scalar(on ? 1L : 0L));
    }

    @Override
    protected Tensor forward(Tensor x) {
        if (isObserverEnabled()) {
            super.forward(x);
        }
        return isFakeQuantEnabled() ? simulate(x) : x;
    }

    /** Follows a batch: the observer sees it, and scale and zero point are what it then says. */
    @Override
    protected void observe(Tensor x) {
        observer.call(x);
        if (observer.hasObserved()) {
            take(observer.quantizationParameters());
        }
    }

    private void take(QuantizationParameters parameters) {
        if (buffer("scale").numel() == parameters.scales().length) {
            buffer("scale").copy_(parameters.scaleTensor());
            buffer("zero_point").copy_(parameters.zeroPointTensor());
        } else {
            setBuffer("scale", parameters.scaleTensor());
            setBuffer("zero_point", parameters.zeroPointTensor());
        }
    }

    /** Rounds with the scale as it is now. */
    final Tensor simulate(Tensor x) {
        Tensor scale = buffer("scale");
        Tensor zeroPoint = buffer("zero_point");
        if (!qscheme().isPerChannel()) {
            return Tensors.type(x) == ScalarType.Float
                    ? StraightThrough.round(
                            x,
                            Tensors.floats(scale)[0],
                            Tensors.longs(zeroPoint)[0],
                            quantMin(),
                            quantMax())
                    : torch.fake_quantize_per_tensor_affine(
                            x, scale, zeroPoint, quantMin(), quantMax());
        }
        long[] zeros = Tensors.longs(zeroPoint);
        boolean alike = Arrays.stream(zeros).allMatch(zero -> zero == zeros[0]);
        return alike && channelAxis() == 0 && Tensors.type(x) == ScalarType.Float
                ? StraightThrough.round(x, scale, zeros[0], quantMin(), quantMax())
                : torch.fake_quantize_per_channel_affine(
                        x, scale, zeroPoint, channelAxis(), quantMin(), quantMax());
    }

    @Override
    public QuantizationParameters quantizationParameters() {
        return observer.quantizationParameters();
    }

    @Override
    public boolean hasObserved() {
        return observer.hasObserved();
    }

    @Override
    public void reset() {
        observer.reset();
        setBuffer("scale", Tensors.of(1f));
        setBuffer("zero_point", Tensors.of(new long[] {0}, 1).to(ScalarType.Int));
    }

    @Override
    protected void mergeObserved(Observer other) {
        observer.merge(((FakeQuantize) other).observer);
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            take(observer.quantizationParameters());
        }
    }

    @Override
    public void standsAt(String path) {
        super.standsAt(path);
        observer.standsAt(path);
    }

    @Override
    protected boolean isResizable(String buffer) {
        return RESIZABLE.contains(buffer);
    }

    /** The switches, as they are printed. */
    final String switches() {
        return "fake_quant_enabled="
                + Tensors.toString(buffer("fake_quant_enabled"))
                + ", observer_enabled="
                + Tensors.toString(buffer("observer_enabled"));
    }

    /** Scale and zero point, as they are printed. */
    final String parametersText() {
        return "scale="
                + Tensors.toString(buffer("scale"))
                + ", zero_point="
                + Tensors.toString(buffer("zero_point"));
    }

    @Override
    public boolean isSwitch(String buffer) {
        return buffer.equals("fake_quant_enabled");
    }

    @Override
    protected String extraRepr() {
        return switches()
                + ", quant_min="
                + quantMin()
                + ", quant_max="
                + quantMax()
                + ", dtype="
                + dtype()
                + ", qscheme="
                + qscheme()
                + ", ch_axis="
                + channelAxis()
                + ", "
                + parametersText();
    }
}

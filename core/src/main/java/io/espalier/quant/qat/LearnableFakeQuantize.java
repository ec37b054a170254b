package io.espalier.quant.qat;

import io.espalier.quant.observer.Observer;
import io.espalier.quant.observer.ObserverFactory;
import io.espalier.quant.observer.QuantizationParameters;
import io.espalier.tensor.Operators;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.lang.foreign.ValueLayout;

/**
 * Fake quantization whose scale and zero point are trained with the weights. The first batch sets
 * them as the observer says; from then on the optimizer moves them.
 *
 * <p>The gradient of the scale is divided by √(elements · quantMax), so that it learns at the pace
 * of the weights. As PyTorch's {@code _LearnableFakeQuantize}, which starts learning only when told
 * to. Source: Esser et al., <a href="https://arxiv.org/abs/1902.08153">Learned Step Size
 * Quantization</a>, 2020; zero points after Bhalgat et al., <a
 * href="https://arxiv.org/abs/2004.09576">LSQ+</a>, 2020.
 */
public class LearnableFakeQuantize extends Observer implements Rounding {
    private final Observer observer;

    /** Learnable fake quantization that starts where {@code observer} says. */
    public LearnableFakeQuantize(Observer observer) {
        super(observer);
        requireInteger();
        addParameter("scale", Tensors.of(1f));
        addParameter("zero_point", Tensors.zeros(1));
        addBuffer("fake_quant_enabled", on(true));
        addBuffer("static_enabled", on(true));
        addBuffer("learning_enabled", on(false));
        addBuffer("eps", Tensors.of(eps()));
        this.observer = add(OUTPUT, observer);
        learn(false);
    }

    private static Tensor on(boolean enabled) {
        return Tensors.of(new long[] {enabled ? 1 : 0}, 1).to(ScalarType.Byte);
    }

    /** Makes learnable fake quantizations that start where the given observers say. */
    public static ObserverFactory with(ObserverFactory observer) {
        return new RoundingFactory(
                LearnableFakeQuantize.class, observer, LearnableFakeQuantize::new);
    }

    /** The observer that gives the first scale and zero point. */
    public final Observer observer() {
        return observer;
    }

    /**
     * Sets scale and zero point after one tensor, and starts learning. Per channel this must come
     * before an optimizer is given the parameters, since it gives them their shape.
     */
    public final void initialize(Tensor first) {
        super.forward(first);
        learn(true);
    }

    /** Lets scale and zero point be trained; the observer rests. */
    public final void enableParameterLearning() {
        learn(true);
    }

    /** Lets scale and zero point follow the observer; they are not trained. */
    public final void enableStaticEstimate() {
        learn(false);
    }

    private void learn(boolean enabled) {
        set("learning_enabled", enabled);
        set("static_enabled", !enabled);
        parameter("scale").set_requires_grad(enabled);
        parameter("zero_point").set_requires_grad(enabled);
    }

    /** Lets scale and zero point follow the observer, or be trained. */
    @Override
    public final void enableObserver(boolean enabled) {
        learn(!enabled);
    }

    /** Lets values be rounded, or pass unchanged. */
    @Override
    public final void enableFakeQuant(boolean enabled) {
        set("fake_quant_enabled", enabled);
    }

    /** Whether scale and zero point are trained. */
    public final boolean isLearning() {
        return isSet("learning_enabled");
    }

    private void set(String buffer, boolean enabled) {
        Tensors.segment(buffer(buffer)).set(ValueLayout.JAVA_BYTE, 0, (byte) (enabled ? 1 : 0));
    }

    private boolean isSet(String buffer) {
        return Tensors.segment(buffer(buffer)).get(ValueLayout.JAVA_BYTE, 0) != 0;
    }

    @Override
    protected Tensor forward(Tensor x) {
        if (isSet("static_enabled")) {
            boolean first = !observer.hasObserved();
            super.forward(x);
            if (first && observer.hasObserved() && isTraining()) {
                learn(true);
            }
        } else {
            keepPositive();
        }
        return isSet("fake_quant_enabled") && observer.hasObserved() ? simulate(x) : x;
    }

    @Override
    protected void observe(Tensor x) {
        observer.call(x);
        if (observer.hasObserved()) {
            QuantizationParameters found = observer.quantizationParameters();
            put("scale", found.scaleTensor());
            put("zero_point", found.zeroPointTensor().to(ScalarType.Float));
        }
    }

    /** Changes a parameter's values, and its shape where the number of channels wasn't known. */
    private void put(String name, Tensor values) {
        if (parameter(name).numel() == values.numel()) {
            parameter(name).copy_(values);
        } else {
            parameter(name).set_data(Tensors.keep(values));
        }
    }

    private void keepPositive() {
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            parameter("scale").clamp_min_(new Scalar(eps()));
        }
    }

    private Tensor simulate(Tensor x) {
        if (qscheme().isSymmetric()) {
            try (var noGrad = new NoGradGuard()) {
                parameter("zero_point").zero_();
            }
        }
        double pace = 1 / Math.sqrt((double) x.numel() * Math.max(quantMax(), 1));
        return qscheme().isPerChannel()
                ? Operators.call(
                        "aten::_fake_quantize_learnable_per_channel_affine",
                        "",
                        x,
                        parameter("scale"),
                        parameter("zero_point"),
                        (long) channelAxis(),
                        (long) quantMin(),
                        (long) quantMax(),
                        pace)
                : Operators.call(
                        "aten::_fake_quantize_learnable_per_tensor_affine",
                        "",
                        x,
                        parameter("scale"),
                        parameter("zero_point"),
                        (long) quantMin(),
                        (long) quantMax(),
                        pace);
    }

    @Override
    public QuantizationParameters quantizationParameters() {
        if (!hasObserved()) {
            throw nothingSeen();
        }
        float[] scales = Tensors.floats(parameter("scale"));
        float[] positions = Tensors.floats(parameter("zero_point"));
        int[] zeroPoints = new int[scales.length];
        for (int c = 0; c < scales.length; c++) {
            scales[c] = Math.max(scales[c], eps());
            zeroPoints[c] = (int) Math.clamp(Math.rint(positions[c]), quantMin(), quantMax());
        }
        return new QuantizationParameters(
                scales, zeroPoints, channelAxis(), dtype(), qscheme(), quantMin(), quantMax());
    }

    @Override
    public boolean hasObserved() {
        return observer.hasObserved();
    }

    @Override
    public void reset() {
        observer.reset();
        learn(false);
    }

    @Override
    protected void mergeObserved(Observer other) {
        observer.merge(((LearnableFakeQuantize) other).observer);
    }

    @Override
    protected void stateLoaded() {
        boolean learning = isLearning();
        parameter("scale").set_requires_grad(learning);
        parameter("zero_point").set_requires_grad(learning);
    }

    @Override
    public void standsAt(String path) {
        super.standsAt(path);
        observer.standsAt(path);
    }

    @Override
    public boolean isSwitch(String buffer) {
        return buffer.equals("fake_quant_enabled");
    }

    @Override
    protected String extraRepr() {
        return "scale="
                + Tensors.toString(parameter("scale").detach())
                + ", zero_point="
                + Tensors.toString(parameter("zero_point").detach())
                + ", "
                + rangeText();
    }
}

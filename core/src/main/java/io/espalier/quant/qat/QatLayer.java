package io.espalier.quant.qat;

import io.espalier.nn.BatchNorm;
import io.espalier.nn.Convolution;
import io.espalier.nn.Functional;
import io.espalier.nn.LayerForm;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.quant.fusion.Folding;
import io.espalier.quant.fusion.FusedReLU;
import io.espalier.quant.fusion.TrainedTogether;
import io.espalier.quant.observer.Observer;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Internal;

import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * A linear layer or convolution, alone or with the batch normalization and the ReLU after it, that
 * is trained while its weight is rounded as it will be when converted: PyTorch's {@code
 * nn.intrinsic.qat} modules, {@code ConvBnReLU2d} and its siblings. Its parameters are the float
 * layer's own, masks included.
 *
 * <p>With a batch normalization, the weight that is rounded is the folded one, {@code w · γ / σ}
 * with the running σ; what the convolution then uses is that divided by {@code γ / σ} again, and
 * the normalization with the batch's statistics follows. PyTorch divides the convolution's output
 * instead, which is the same sum in another order and costs two passes over it. Source: Jacob et
 * al., <a href="https://arxiv.org/abs/1712.05877">Quantization and Training of Neural Networks</a>,
 * 2018.
 */
@Internal
public final class QatLayer extends Module implements LayerForm {
    private static final String NORM = "bn";
    private static final FakeQuantizedParameter ROUNDED = FakeQuantizedParameter.WEIGHT;

    /** What a rounding by channels has for each of them. */
    private static final Set<String> BY_CHANNEL =
            Set.of("scale", "zero_point", "min_val", "max_val");

    /** What it has once. */
    private static final Set<String> ONCE =
            Set.of(
                    "fake_quant_enabled",
                    "observer_enabled",
                    "static_enabled",
                    "learning_enabled",
                    "eps");

    /** The float layer, for its geometry; its parameters are adopted by this module. */
    private final Module layer;

    private final @Nullable BatchNorm norm;
    private final Observer fakeQuantize;
    private boolean isPlain;
    private final boolean relu;
    private final String name;
    private boolean frozen;

    /**
     * The form of a layer that trains rounded; it has the layer's parameters and qconfig.
     *
     * @param layer a linear layer or convolution (not transposed), a {@link FusedReLU} or a {@link
     *     TrainedTogether}
     * @param rounding the fake quantization of its weight
     * @throws EspalierException if it is another layer
     */
    public static QatLayer of(Module layer, Observer rounding) {
        QatLayer made =
                switch (layer) {
                    case FusedReLU fused ->
                            new QatLayer(fused.typeName(), fused.layer(), null, true, rounding);
                    case TrainedTogether fused ->
                            new QatLayer(
                                    fused.typeName(),
                                    fused.layer(),
                                    fused.norm(),
                                    fused.hasReLU(),
                                    rounding);
                    case Linear linear -> alone(linear, rounding);
                    case Convolution convolution when !convolution.isTransposed() ->
                            alone(convolution, rounding);
                    default ->
                            throw new EspalierException(
                                    "No quantization-aware training for a " + layer + ".");
                };
        made.takeAttachments(layer);
        return made;
    }

    private static QatLayer alone(Module layer, Observer rounding) {
        return new QatLayer(layer.getClass().getSimpleName(), layer, null, false, rounding);
    }

    private QatLayer(
            String name,
            Module layer,
            @Nullable BatchNorm norm,
            boolean relu,
            Observer fakeQuantize) {
        this.name = name;
        this.layer = layer.alias();
        this.relu = relu;
        adopt(layer);
        this.norm = norm == null ? null : add(NORM, norm.<BatchNorm>alias());
        this.fakeQuantize = add(ROUNDED.child(), fakeQuantize);
        if (norm == null) {
            parametrize(ROUNDED.name(), ROUNDED);
        }
        if (fakeQuantize instanceof LearnableFakeQuantize learnable) {
            initialize(learnable);
        }
        training(layer.isTraining());
        takeAttachments(layer);
    }

    private void initialize(LearnableFakeQuantize learnable) {
        try (var noGrad = new NoGradGuard()) {
            Tensor weight = unroundedWeight();
            learnable.initialize(norm == null ? weight : weight.mul(folding(norm)));
        }
    }

    /** The weight after its mask, if it has one, before the rounding. */
    private Tensor unroundedWeight() {
        return floatLayer().value(ROUNDED.name());
    }

    /**
     * All in a model, in the order of its modules.
     *
     * @throws EspalierException if the model has no fake quantization
     */
    public static List<QatLayer> in(Module model) {
        Rounding.in(model);
        return model.namedModules().values().stream()
                .filter(QatLayer.class::isInstance)
                .map(QatLayer.class::cast)
                .toList();
    }

    /** Whether a ReLU is part of it. */
    public boolean hasReLU() {
        return relu;
    }

    /** The trained rounding of its weight. */
    public Observer fakeQuantize() {
        return fakeQuantize;
    }

    /**
     * Lets the statistics of the batch normalization stay as they are from now on, also in
     * training.
     */
    public void freezeStatistics(boolean freeze) {
        frozen = freeze;
        training(isTraining());
    }

    @Override
    public void training(boolean on) {
        super.training(on);
        if (frozen && norm != null) {
            norm.training(false);
        }
    }

    @Override
    protected Tensor forward(Tensor x) {
        Tensor y = compute(x, weight(), valueOrNull("bias"));
        if (norm != null) {
            y = norm.call(y);
        }
        return relu ? Functional.relu(y) : y;
    }

    private Tensor compute(Tensor x, Tensor weight, @Nullable Tensor bias) {
        return layer instanceof Convolution convolution
                ? convolution.convolve(x, weight, bias)
                : Functional.linear(x, weight, bias);
    }

    /** The weight as it is used: rounded, and where it is folded for that, unfolded again. */
    private Tensor weight() {
        Tensor weight = value(ROUNDED.name());
        if (norm == null) {
            return weight;
        }
        Tensor factor = folding(norm);
        // The gradient of a quotient takes three passes more than that of a product.
        return fakeQuantize.call(weight.mul(factor)).mul(factor.reciprocal());
    }

    /** γ / σ for each output channel, in the shape that multiplies the weight. */
    private Tensor folding(BatchNorm norm) {
        Tensor deviation = norm.runningVar().orElseThrow().add(new Scalar(norm.eps())).sqrt();
        Tensor gamma = norm.weight();
        Tensor factor = gamma == null ? deviation.reciprocal() : gamma.div(deviation);
        long[] shape = new long[Math.toIntExact(parameter(storedName("weight")).dim())];
        Arrays.fill(shape, 1);
        shape[0] = -1;
        // A pruned channel's γ may be zero; its weight is then rounded unfolded.
        return torch.where(factor.eq(new Scalar(0)), torch.ones_like(factor), factor)
                .reshape(shape);
    }

    /**
     * The float layer that computes what this one does, the batch normalization folded, nothing
     * rounded.
     */
    public Module folded() {
        Module plain = floatLayer();
        return norm == null ? plain : Folding.fold(plain, norm);
    }

    private Module floatLayer() {
        Module plain = layer.alias();
        plain.adopt(this);
        plain.unparametrize(ROUNDED.name(), ROUNDED);
        return plain;
    }

    @Override
    public Module geometry() {
        return layer;
    }

    /** Those of the rounding, which has to be by outputs, and of the normalization. */
    @Override
    public Optional<List<String>> alongOutputs() {
        List<String> along = new ArrayList<>();
        if (norm != null) {
            List.of("weight", "bias", "running_mean", "running_var")
                    .forEach(tensor -> along.add(NORM + "." + tensor));
        }
        if (!fakeQuantize.qscheme().isPerChannel()) {
            return Optional.of(along);
        }
        List<String> held = new ArrayList<>(fakeQuantize.namedParameters().keySet());
        held.addAll(fakeQuantize.namedBuffers().keySet());
        for (String tensor : held) {
            String own = tensor.substring(tensor.lastIndexOf('.') + 1);
            if (BY_CHANNEL.contains(own)) {
                along.add(ROUNDED.child() + "." + tensor);
            } else if (!ONCE.contains(own)) {
                return Optional.empty();
            }
        }
        return fakeQuantize.channelAxis() == 0 ? Optional.of(along) : Optional.empty();
    }

    @Override
    public Runnable plain() {
        boolean before = isPlain;
        isPlain = true;
        if (!(fakeQuantize instanceof FakeQuantize fake)) {
            return () -> isPlain = before;
        }
        boolean rounds = fake.isFakeQuantEnabled();
        boolean observes = fake.isObserverEnabled();
        fake.enableFakeQuant(false);
        fake.enableObserver(false);
        return () -> {
            isPlain = before;
            fake.enableFakeQuant(rounds);
            fake.enableObserver(observes);
        };
    }

    @Override
    public long multiplications(List<long[]> inputs, List<long[]> outputs) {
        return layer.multiplications(inputs, outputs);
    }

    /** As long as it computes what the layer does, it is one step of a program as the layer is. */
    @Override
    public boolean isAtomic() {
        return isPlain;
    }

    @Override
    protected String typeName() {
        return name;
    }

    @Override
    protected String extraRepr() {
        String text = layer.toString();
        return text.substring(text.indexOf('(') + 1, text.lastIndexOf(')'));
    }
}

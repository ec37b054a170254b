package io.espalier.quant.layer;

import io.espalier.nn.BatchNorm;
import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.BatchNorm3d;
import io.espalier.nn.ELU;
import io.espalier.nn.Functional;
import io.espalier.nn.GroupNorm;
import io.espalier.nn.Hardswish;
import io.espalier.nn.InstanceNorm;
import io.espalier.nn.InstanceNorm1d;
import io.espalier.nn.InstanceNorm2d;
import io.espalier.nn.InstanceNorm3d;
import io.espalier.nn.LayerNorm;
import io.espalier.nn.LeakyReLU;
import io.espalier.nn.Module;
import io.espalier.nn.PReLU;
import io.espalier.nn.Repr;
import io.espalier.nn.Sigmoid;
import io.espalier.nn.Softmax;
import io.espalier.quant.layer.QuantizedLayer.Range;
import io.espalier.quant.observer.FixedQParamsObserver;
import io.espalier.quant.observer.ObserverFactory;
import io.espalier.quant.qat.FixedQParamsFakeQuantize;
import io.espalier.tensor.BoundOperator;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Operator;
import io.espalier.tensor.Operators;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.BiFunction;
import java.util.function.Function;

/**
 * Activations and normalizations with an int8 kernel, whose output has a range of its own. One with
 * a new kernel is one entry here: which class, what it prints as, which kernel with which of the
 * layer's numbers.
 *
 * @param form what a layer of the class is in integers
 * @param known the range that its output has by definition; null where it is observed
 */
record OperationKind<M extends Module>(
        Class<M> type, Function<M, Operation> form, @Nullable Range known) implements LayerKind {
    private static final String WEIGHT = "weight";
    private static final String BIAS = "bias";
    private static final int LAST = 255;

    static final List<LayerKind> ALL =
            List.of(
                    observed(
                            Hardswish.class,
                            layer ->
                                    Operation.of(
                                            "QuantizedHardswish",
                                            self -> self.bind("quantized::hardswish"),
                                            (self, x) -> Functional.hardswish(x))),
                    observed(
                            LeakyReLU.class,
                            layer ->
                                    Operation.of(
                                                    "QuantizedLeakyReLU",
                                                    self ->
                                                            self.bind(
                                                                    "quantized::leaky_relu",
                                                                    layer.negativeSlope(),
                                                                    false),
                                                    leaky(layer.negativeSlope()))
                                            .printing(
                                                    "negative_slope="
                                                            + Repr.of(layer.negativeSlope()))),
                    observed(ELU.class, OperationKind::elu),
                    observed(PReLU.class, OperationKind::prelu),
                    observed(LayerNorm.class, OperationKind::layerNorm),
                    observed(GroupNorm.class, OperationKind::groupNorm),
                    observed(InstanceNorm1d.class, layer -> instanceNorm(layer, 1)),
                    observed(InstanceNorm2d.class, layer -> instanceNorm(layer, 2)),
                    observed(InstanceNorm3d.class, layer -> instanceNorm(layer, 3)),
                    observed(BatchNorm2d.class, layer -> batchNorm(layer, "2d")),
                    observed(BatchNorm3d.class, layer -> batchNorm(layer, "3d")),
                    new OperationKind<>(
                            Softmax.class, OperationKind::softmax, new Range(1 / 256f, 0)));

    /** A sigmoid passes integers now; files were written where it had a range of its own. */
    private static final OperationKind<Sigmoid> OF_OLDER_FILES =
            new OperationKind<>(
                    Sigmoid.class,
                    layer ->
                            Operation.of(
                                    "Sigmoid",
                                    self -> self.bind("quantized::sigmoid"),
                                    (self, x) -> Functional.sigmoid(x)),
                    null);

    private static BiFunction<QuantizedOperation, Tensor, Tensor> leaky(double slope) {
        return (self, x) -> Functional.leakyRelu(x, slope);
    }

    private static <M extends Module> LayerKind observed(
            Class<M> type, Function<M, Operation> form) {
        return new OperationKind<>(type, form, null);
    }

    @Override
    public boolean isQuantized() {
        return true;
    }

    @Override
    public boolean quantizesInput() {
        return true;
    }

    @Override
    public Optional<ObserverFactory> observer(ObserverFactory activation, boolean training) {
        if (known == null) {
            return Optional.of(activation);
        }
        return training
                ? Optional.of(
                        FixedQParamsFakeQuantize.with(
                                FixedQParamsObserver.with(known.scale(), known.zeroPoint())))
                : Optional.empty();
    }

    @Override
    public Module converted(PlacedLayer place) {
        Range output = known == null ? place.output() : known;
        return converted(place.layer(), output, place.input());
    }

    private Module converted(Module layer, Range output, @Nullable Range input) {
        return QuantizedOperation.of(layer, form.apply(type.cast(layer)), output, input);
    }

    @Override
    public Map<String, Reader> forms() {
        return Map.of("QuantizedOperation", OperationKind::read);
    }

    /** The float layer says which operation it is. */
    private static Module read(
            Module old, Map<String, Tensor> tensors, Map<String, String> attributes) {
        LayerKind kind =
                old.getClass() == OF_OLDER_FILES.type() ? OF_OLDER_FILES : LayerKinds.of(old);
        if (!(kind instanceof OperationKind<?> operation)) {
            throw new EspalierException("there is no int8 kernel for " + old);
        }
        return operation.converted(
                old, QuantizedLayer.output(tensors), QuantizedLayer.input(tensors));
    }

    private static Operation softmax(Softmax layer) {
        long dim = layer.dim();
        return Operation.of(
                        "QuantizedSoftmax",
                        self -> self.bind("quantized::softmax", dim),
                        (self, x) -> Functional.softmax(x, dim))
                .printing("dim=" + dim);
    }

    /** Its kernel takes the range first. */
    private static Operation elu(ELU layer) {
        double alpha = layer.alpha();
        return Operation.of(
                        "QuantizedELU",
                        self ->
                                Operators.find("quantized::elu")
                                        .bind(
                                                Operator.TENSOR,
                                                self.scale(),
                                                self.zeroPoint(),
                                                alpha),
                        (self, x) -> Functional.elu(x, alpha))
                .printing("alpha=" + Repr.of(alpha));
    }

    private static Operation layerNorm(LayerNorm layer) {
        long[] shape = layer.normalizedShape();
        double eps = layer.eps();
        return Operation.of(
                        "QuantizedLayerNorm",
                        self ->
                                self.bind(
                                        "quantized::layer_norm",
                                        shape,
                                        self.optional(WEIGHT),
                                        self.optional(BIAS),
                                        eps),
                        (self, x) ->
                                Functional.layerNorm(
                                        x, shape, self.optional(WEIGHT), self.optional(BIAS), eps))
                .printing(
                        Repr.tuple(shape)
                                + ", eps="
                                + Repr.of(eps)
                                + ", elementwise_affine="
                                + Repr.of(layer.options().elementwiseAffine()));
    }

    private static Operation groupNorm(GroupNorm layer) {
        long groups = layer.numGroups();
        double eps = layer.eps();
        return Operation.of(
                        "QuantizedGroupNorm",
                        self ->
                                self.bind(
                                        "quantized::group_norm",
                                        groups,
                                        self.optional(WEIGHT),
                                        self.optional(BIAS),
                                        eps),
                        (self, x) -> byGroups(self, x, groups, eps))
                .printing(
                        groups
                                + ", "
                                + layer.numChannels()
                                + ", eps="
                                + Repr.of(eps)
                                + ", affine="
                                + Repr.of(layer.options().affine()))
                .channels(layer.numChannels());
    }

    private static Tensor byGroups(QuantizedOperation self, Tensor x, long groups, double eps) {
        return Functional.groupNorm(x, groups, self.optional(WEIGHT), self.optional(BIAS), eps);
    }

    private static Operation instanceNorm(InstanceNorm layer, int extents) {
        double eps = layer.eps();
        long features = layer.numFeatures();
        String affine = Repr.of(layer.options().affine());
        return Operation.of(
                        "QuantizedInstanceNorm" + extents + "d",
                        self ->
                                self.bind(
                                        "quantized::instance_norm",
                                        self.optional(WEIGHT),
                                        self.optional(BIAS),
                                        eps),
                        (self, x) -> byGroups(self, x, features, eps))
                .printing(
                        features
                                + ", eps="
                                + Repr.of(eps)
                                + ", momentum=0.1, affine="
                                + affine
                                + ", bias="
                                + affine
                                + ", track_running_stats=False")
                .channels(features)
                .rank(extents + 2);
    }

    /** Prints as PyTorch's, which keeps nothing of the float layer's options but eps. */
    private static Operation batchNorm(BatchNorm layer, String rank) {
        if (layer.runningMean().isEmpty()) {
            throw new EspalierException(
                    "A batch normalization without running statistics has no int8 kernel; leave"
                            + " it in float with qconfig(null).");
        }
        double eps = layer.eps();
        return Operation.of(
                        "QuantizedBatchNorm" + rank,
                        self ->
                                self.bind(
                                        "quantized::batch_norm" + rank,
                                        self.optional(WEIGHT),
                                        self.optional(BIAS),
                                        self.buffer("running_mean"),
                                        self.buffer("running_var"),
                                        eps),
                        (self, x) ->
                                Functional.batchNorm(
                                        x,
                                        self.buffer("running_mean"),
                                        self.buffer("running_var"),
                                        self.optional(WEIGHT),
                                        self.optional(BIAS),
                                        false,
                                        0,
                                        eps))
                .printing(
                        layer.numFeatures()
                                + ", eps="
                                + Repr.of(eps)
                                + ", momentum=0.1, affine=True, bias=True,"
                                + " track_running_stats=True")
                .channels(layer.numFeatures());
    }

    private static Operation prelu(PReLU layer) {
        return Operation.of(
                        "QuantizedPReLU",
                        OperationKind::preluKernel,
                        (self, x) -> Functional.prelu(x, self.buffer(WEIGHT)))
                .channels(layer.count())
                .completedBy(OperationKind::addWeightRange);
    }

    /**
     * The kernel takes its weight in the input's type and multiplies what is positive by 1 in the
     * weight's integers, so 1 has to be one of them.
     */
    private static void addWeightRange(QuantizedOperation prelu) {
        float least = 0;
        float most = 1;
        for (float weight : Tensors.floats(prelu.buffer(WEIGHT))) {
            least = Math.min(least, weight);
            most = Math.max(most, weight);
        }
        float stepsToOne = Math.max(1, (float) Math.floor(LAST / (most - least)));
        prelu.addBuffer("weight_scale", Tensors.of(1 / stepsToOne));
        prelu.addBuffer(
                "weight_zero_point", Tensors.of(new long[] {Math.round(-least * stepsToOne)}, 1));
    }

    private static BoundOperator preluKernel(QuantizedOperation self) {
        Tensor weight =
                torch.quantize_per_tensor(
                        self.buffer(WEIGHT),
                        self.buffer("weight_scale"),
                        self.buffer("weight_zero_point"),
                        ScalarType.QUInt8);
        return self.bind("quantized::prelu", weight);
    }
}

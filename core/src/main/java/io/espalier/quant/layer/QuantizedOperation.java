package io.espalier.quant.layer;

import io.espalier.nn.BatchNorm;
import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.BatchNorm3d;
import io.espalier.nn.ELU;
import io.espalier.nn.GroupNorm;
import io.espalier.nn.Hardswish;
import io.espalier.nn.LayerNorm;
import io.espalier.nn.LeakyReLU;
import io.espalier.nn.Module;
import io.espalier.nn.PReLU;
import io.espalier.nn.Repr;
import io.espalier.nn.Sigmoid;
import io.espalier.nn.Softmax;
import io.espalier.quant.layer.QuantizedLayer.Range;
import io.espalier.tensor.BoundOperator;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Operator;
import io.espalier.tensor.Operators;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/**
 * An activation or a normalization with an int8 kernel, whose output has a range of its own. The
 * parameters of a normalization stay floats, in buffers of the same names.
 */
public final class QuantizedOperation extends QuantizedLayer {
    private static final List<Class<? extends Module>> LAYERS =
            List.of(
                    Hardswish.class,
                    Sigmoid.class,
                    Softmax.class,
                    LeakyReLU.class,
                    PReLU.class,
                    ELU.class,
                    LayerNorm.class,
                    GroupNorm.class,
                    BatchNorm2d.class,
                    BatchNorm3d.class);

    private static final int LAST = 255;
    private static final String WEIGHT = "weight";
    private static final String WEIGHT_SCALE = "weight_scale";
    private static final String WEIGHT_ZERO_POINT = "weight_zero_point";

    private final Form form;
    private volatile @Nullable BoundOperator kernel;

    /**
     * A layer in its int8 form: how it prints, and its kernel, which takes the input.
     *
     * @param channels how many its input must have; below 2 the kernel takes any number
     * @param kernel makes it of a layer's range and tensors; it must hold none of these itself, so
     *     that copies are right
     */
    private record Form(
            String name,
            String extra,
            long channels,
            Function<QuantizedOperation, BoundOperator> kernel) {
        Form(String name, String extra, Function<QuantizedOperation, BoundOperator> kernel) {
            this(name, extra, 0, kernel);
        }
    }

    private QuantizedOperation(Form form, Range output, @Nullable Range input) {
        super(output, input);
        this.form = form;
    }

    /** Whether a layer has such a form. */
    public static boolean exists(Module layer) {
        return LAYERS.contains(layer.getClass());
    }

    /** The range of a layer whose values lie in 0…1 by definition: no data is needed for it. */
    public static boolean hasUnitRange(Module layer) {
        return layer.getClass() == Sigmoid.class || layer.getClass() == Softmax.class;
    }

    /**
     * The int8 form of a layer.
     *
     * @param output the range of its output
     * @param input the range of its input, where that comes as floats
     * @throws EspalierException if it has none
     */
    public static QuantizedOperation of(Module layer, Range output, @Nullable Range input) {
        var made = new QuantizedOperation(form(layer), output, input);
        layer.ownParameters()
                .keySet()
                .forEach(parameter -> {
                    String name = HalfPrecision.publicName(layer, parameter);
                    made.addBuffer(name, layer.value(name).detach().clone());
                });
        for (String statistic : List.of("running_mean", "running_var")) {
            if (layer.hasBuffer(statistic)) {
                made.addBuffer(statistic, layer.buffer(statistic).clone());
            }
        }
        if (layer instanceof PReLU) {
            made.addWeightRange();
        }
        return made;
    }

    private static Form form(Module layer) {
        return switch (layer) {
            case Hardswish l -> new Form("QuantizedHardswish", "", self -> self.bind("hardswish"));
            case Sigmoid l -> new Form("Sigmoid", "", self -> self.bind("sigmoid"));
            case Softmax l -> softmax(l.dim());
            case LeakyReLU l -> leakyRelu(l.negativeSlope());
            case PReLU l -> new Form("QuantizedPReLU", "", l.count(), QuantizedOperation::prelu);
            case ELU l -> elu(l.alpha());
            case LayerNorm l -> layerNorm(l);
            case GroupNorm l -> groupNorm(l);
            case BatchNorm l -> batchNorm(l);
            default ->
                    throw new EspalierException(
                            "No int8 kernel for " + layer.getClass().getSimpleName() + ".");
        };
    }

    private static Form softmax(long dim) {
        return new Form("QuantizedSoftmax", "dim=" + dim, self -> self.bind("softmax", dim));
    }

    private static Form leakyRelu(double slope) {
        return new Form(
                "QuantizedLeakyReLU",
                "negative_slope=" + Repr.of(slope),
                self -> self.bind("leaky_relu", slope, false));
    }

    private static Form elu(double alpha) {
        return new Form(
                "QuantizedELU",
                "alpha=" + Repr.of(alpha),
                self ->
                        Operators.find("quantized::elu")
                                .bind(Operator.TENSOR, self.scale(), self.zeroPoint(), alpha));
    }

    private static Form layerNorm(LayerNorm layer) {
        long[] shape = layer.normalizedShape();
        double eps = layer.eps();
        return new Form(
                "QuantizedLayerNorm",
                Repr.tuple(shape)
                        + ", eps="
                        + Repr.of(eps)
                        + ", elementwise_affine="
                        + Repr.of(layer.options().elementwiseAffine()),
                self ->
                        self.bind(
                                "layer_norm",
                                shape,
                                self.optional(WEIGHT),
                                self.optional("bias"),
                                eps));
    }

    private static Form groupNorm(GroupNorm layer) {
        long groups = layer.numGroups();
        double eps = layer.eps();
        return new Form(
                "QuantizedGroupNorm",
                groups
                        + ", "
                        + layer.numChannels()
                        + ", eps="
                        + Repr.of(eps)
                        + ", affine="
                        + Repr.of(layer.options().affine()),
                layer.numChannels(),
                self ->
                        self.bind(
                                "group_norm",
                                groups,
                                self.optional(WEIGHT),
                                self.optional("bias"),
                                eps));
    }

    /** Prints as PyTorch's, which keeps nothing of the float layer's options but eps. */
    private static Form batchNorm(BatchNorm layer) {
        if (layer.runningMean().isEmpty()) {
            throw new EspalierException(
                    "A batch normalization without running statistics has no int8 kernel; leave"
                            + " it in float with qconfig(null).");
        }
        String rank = layer instanceof BatchNorm3d ? "3d" : "2d";
        double eps = layer.eps();
        return new Form(
                "QuantizedBatchNorm" + rank,
                layer.numFeatures()
                        + ", eps="
                        + Repr.of(eps)
                        + ", momentum=0.1, affine=True, bias=True, track_running_stats=True",
                layer.numFeatures(),
                self ->
                        self.bind(
                                "batch_norm" + rank,
                                self.optional(WEIGHT),
                                self.optional("bias"),
                                self.buffer("running_mean"),
                                self.buffer("running_var"),
                                eps));
    }

    /**
     * The kernel takes its weight in the input's type and multiplies what is positive by 1 in the
     * weight's integers, so 1 has to be one of them.
     */
    private void addWeightRange() {
        float least = 0;
        float most = 1;
        for (float weight : Tensors.floats(buffer(WEIGHT))) {
            least = Math.min(least, weight);
            most = Math.max(most, weight);
        }
        float stepsToOne = Math.max(1, (float) Math.floor(LAST / (most - least)));
        addBuffer(WEIGHT_SCALE, Tensors.of(1 / stepsToOne));
        addBuffer(WEIGHT_ZERO_POINT, Tensors.of(new long[] {Math.round(-least * stepsToOne)}, 1));
    }

    private BoundOperator prelu() {
        Tensor weight =
                torch.quantize_per_tensor(
                        buffer(WEIGHT),
                        buffer(WEIGHT_SCALE),
                        buffer(WEIGHT_ZERO_POINT),
                        ScalarType.QUInt8);
        return bind("prelu", weight);
    }

    /** An operator that takes the input first and ends with the output's scale and zero point. */
    private BoundOperator bind(String operator, @Nullable Object... between) {
        List<@Nullable Object> arguments = new ArrayList<>();
        arguments.add(Operator.TENSOR);
        arguments.addAll(Arrays.asList(between));
        arguments.add(scale());
        arguments.add(zeroPoint());
        return Operators.find("quantized::" + operator).bind(arguments.toArray());
    }

    private @Nullable Tensor optional(String buffer) {
        return hasBuffer(buffer) ? buffer(buffer) : null;
    }

    @Override
    protected Tensor forward(Tensor x) {
        long channels = form.channels();
        if (channels > 1 && (x.dim() < 2 || x.size(1) != channels)) {
            throw wrongInput(x, "the input must have " + channels + " channels.");
        }
        BoundOperator known = kernel;
        if (known == null) {
            known = form.kernel().apply(this);
            kernel = known;
        }
        return known.call(quantized(x));
    }

    @Override
    protected void stateLoaded() {
        super.stateLoaded();
        kernel = null;
    }

    @Override
    Map<String, String> attributes() {
        return Map.of();
    }

    @Override
    protected String typeName() {
        return form.name();
    }

    @Override
    protected String extraRepr() {
        return form.extra();
    }
}

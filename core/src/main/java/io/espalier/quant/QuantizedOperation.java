package io.espalier.quant;

import io.espalier.nn.BatchNorm;
import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.BatchNorm3d;
import io.espalier.nn.ELU;
import io.espalier.nn.GroupNorm;
import io.espalier.nn.Hardswish;
import io.espalier.nn.LayerNorm;
import io.espalier.nn.LeakyReLU;
import io.espalier.nn.Module;
import io.espalier.nn.Repr;
import io.espalier.nn.Sigmoid;
import io.espalier.nn.Softmax;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Operators;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.List;
import java.util.Map;

/**
 * An activation or a normalization with an int8 kernel, whose output has a range of its own. The
 * parameters of a normalization stay floats, in buffers of the same names.
 */
final class QuantizedOperation extends QuantizedLayer {
    private static final List<Class<? extends Module>> LAYERS =
            List.of(
                    Hardswish.class,
                    Sigmoid.class,
                    Softmax.class,
                    LeakyReLU.class,
                    ELU.class,
                    LayerNorm.class,
                    GroupNorm.class,
                    BatchNorm2d.class,
                    BatchNorm3d.class);

    private final String name;
    private final String extra;
    private final Kernel kernel;

    /**
     * What is computed from a quantized tensor; it must hold no tensor, so that copies are right.
     */
    @FunctionalInterface
    private interface Kernel {
        Tensor apply(QuantizedOperation self, Tensor x);
    }

    private QuantizedOperation(
            String name, String extra, Kernel kernel, Range output, @Nullable Range input) {
        super(output, input);
        this.name = name;
        this.extra = extra;
        this.kernel = kernel;
    }

    /** Whether a layer has such a form. */
    static boolean exists(Module layer) {
        return LAYERS.contains(layer.getClass());
    }

    /** The range of a layer whose values lie in 0…1 by definition: no data is needed for it. */
    static boolean hasUnitRange(Module layer) {
        return layer instanceof Sigmoid || layer instanceof Softmax;
    }

    static QuantizedOperation of(Module layer, Range output, @Nullable Range input) {
        QuantizedOperation made =
                switch (layer) {
                    case Hardswish l ->
                            simple("QuantizedHardswish", "", "hardswish", output, input);
                    case Sigmoid l -> simple("Sigmoid", "", "sigmoid", output, input);
                    case Softmax l -> softmax(l.dim(), output, input);
                    case LeakyReLU l -> leakyRelu(l.negativeSlope(), output, input);
                    case ELU l -> elu(l.alpha(), output, input);
                    case LayerNorm l -> layerNorm(l, output, input);
                    case GroupNorm l -> groupNorm(l, output, input);
                    case BatchNorm l -> batchNorm(l, output, input);
                    default ->
                            throw new EspalierException(
                                    "No int8 kernel for " + layer.getClass().getSimpleName() + ".");
                };
        layer.ownParameters()
                .keySet()
                .forEach(parameter ->
                        made.addBuffer(parameter, layer.value(parameter).detach().clone()));
        for (String statistic : List.of("running_mean", "running_var")) {
            if (layer.hasBuffer(statistic)) {
                made.addBuffer(statistic, layer.buffer(statistic).clone());
            }
        }
        return made;
    }

    private static QuantizedOperation simple(
            String name, String extra, String operator, Range output, @Nullable Range input) {
        return new QuantizedOperation(
                name,
                extra,
                (self, x) ->
                        Operators.call(
                                "quantized::" + operator, "", x, self.scale(), self.zeroPoint()),
                output,
                input);
    }

    private static QuantizedOperation softmax(long dim, Range output, @Nullable Range input) {
        return new QuantizedOperation(
                "QuantizedSoftmax",
                "dim=" + dim,
                (self, x) ->
                        Operators.call(
                                "quantized::softmax", "", x, dim, self.scale(), self.zeroPoint()),
                output,
                input);
    }

    private static QuantizedOperation leakyRelu(double slope, Range output, @Nullable Range input) {
        return new QuantizedOperation(
                "QuantizedLeakyReLU",
                "negative_slope=" + Repr.of(slope),
                (self, x) ->
                        Operators.call(
                                "quantized::leaky_relu",
                                "",
                                x,
                                slope,
                                false,
                                self.scale(),
                                self.zeroPoint()),
                output,
                input);
    }

    private static QuantizedOperation elu(double alpha, Range output, @Nullable Range input) {
        return new QuantizedOperation(
                "QuantizedELU",
                "alpha=" + Repr.of(alpha),
                (self, x) ->
                        Operators.call(
                                "quantized::elu", "", x, self.scale(), self.zeroPoint(), alpha),
                output,
                input);
    }

    private static QuantizedOperation layerNorm(
            LayerNorm layer, Range output, @Nullable Range input) {
        long[] shape = layer.normalizedShape();
        double eps = layer.eps();
        return new QuantizedOperation(
                "QuantizedLayerNorm",
                Repr.tuple(shape)
                        + ", eps="
                        + Repr.of(eps)
                        + ", elementwise_affine="
                        + Repr.of(layer.options().elementwiseAffine()),
                (self, x) ->
                        Operators.call(
                                "quantized::layer_norm",
                                "",
                                x,
                                shape,
                                self.optional("weight"),
                                self.optional("bias"),
                                eps,
                                self.scale(),
                                self.zeroPoint()),
                output,
                input);
    }

    private static QuantizedOperation groupNorm(
            GroupNorm layer, Range output, @Nullable Range input) {
        long groups = layer.numGroups();
        double eps = layer.eps();
        return new QuantizedOperation(
                "QuantizedGroupNorm",
                groups
                        + ", "
                        + layer.numChannels()
                        + ", eps="
                        + Repr.of(eps)
                        + ", affine="
                        + Repr.of(layer.options().affine()),
                (self, x) ->
                        Operators.call(
                                "quantized::group_norm",
                                "",
                                x,
                                groups,
                                self.optional("weight"),
                                self.optional("bias"),
                                eps,
                                self.scale(),
                                self.zeroPoint()),
                output,
                input);
    }

    private static QuantizedOperation batchNorm(
            BatchNorm layer, Range output, @Nullable Range input) {
        if (layer.runningMean().isEmpty()) {
            throw new EspalierException(
                    "A batch normalization without running statistics has no int8 kernel; leave"
                            + " it in float with qconfig(null).");
        }
        String rank = layer instanceof BatchNorm3d ? "3d" : "2d";
        double eps = layer.eps();
        return new QuantizedOperation(
                "QuantizedBatchNorm" + rank,
                layer.numFeatures()
                        + ", eps="
                        + Repr.of(eps)
                        + ", momentum="
                        + Repr.of(layer.momentum())
                        + ", affine="
                        + Repr.of(layer.options().affine())
                        + ", track_running_stats=True",
                (self, x) ->
                        Operators.call(
                                "quantized::batch_norm" + rank,
                                "",
                                x,
                                self.optional("weight"),
                                self.optional("bias"),
                                self.buffer("running_mean"),
                                self.buffer("running_var"),
                                eps,
                                self.scale(),
                                self.zeroPoint()),
                output,
                input);
    }

    private @Nullable Tensor optional(String buffer) {
        return hasBuffer(buffer) ? buffer(buffer) : null;
    }

    @Override
    protected Tensor forward(Tensor x) {
        return kernel.apply(this, quantized(x));
    }

    @Override
    Map<String, String> attributes() {
        return Map.of();
    }

    @Override
    protected String typeName() {
        return name;
    }

    @Override
    protected String extraRepr() {
        return extra;
    }
}

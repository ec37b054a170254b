package io.espalier.quant.fusion;

import io.espalier.nn.BatchNorm;
import io.espalier.nn.Convolution;
import io.espalier.nn.Linear;
import io.espalier.nn.Mask;
import io.espalier.nn.Module;
import io.espalier.nn.Parametrization;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.Arrays;

/**
 * Folds a batch normalization with its running statistics into the layer before it: with {@code s =
 * γ / √(var + eps)} the weight becomes {@code w·s} and the bias {@code (b − mean)·s + β}.
 */
public final class Folding {
    private Folding() {}

    /**
     * A layer that computes what the two computed. It is a copy; a mask of the original stays, and
     * what it keeps at zero stays exactly zero. As PyTorch's {@code fuse_conv_bn_eval}.
     *
     * @param layer a linear layer or convolution, transposed or not
     * @param norm with running statistics, and as many features as the layer has {@link #channels}
     */
    public static Module fold(Module layer, BatchNorm norm) {
        Module folded = layer.copy();
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            Tensor scale = scale(norm);
            folded.parameter(folded.storedName("weight")).mul_(alongOutput(layer, scale));
            Tensor shift = norm.runningMean().orElseThrow().neg();
            if (folded.hasParameter("bias")) {
                Tensor seen = folded.value("bias");
                storePlainly(folded, "bias");
                folded.parameter("bias").copy_(shifted(seen.add(shift), scale, norm.bias()));
            } else {
                folded.addParameter("bias", shifted(shift, scale, norm.bias()));
            }
        }
        return folded;
    }

    /** Takes a mask off: a folded bias is no longer zero where the bias was pruned. */
    private static void storePlainly(Module layer, String name) {
        for (Parametrization parametrization : layer.parametrizations(name)) {
            layer.unparametrize(name, parametrization);
            if (parametrization instanceof Mask mask) {
                layer.removeBuffer(mask.bufferName());
            }
        }
        layer.storeAs(name, name);
    }

    /**
     * The number of output channels, or features, of a layer.
     *
     * @param layer a linear layer or convolution
     */
    public static long channels(Module layer) {
        return switch (layer) {
            case Linear linear -> linear.outFeatures();
            case Convolution convolution -> convolution.outChannels();
            default -> throw new IllegalArgumentException(layer.getClass().getSimpleName());
        };
    }

    private static Tensor scale(BatchNorm norm) {
        Tensor inverse = norm.runningVar().orElseThrow().add(new Scalar(norm.eps())).rsqrt();
        Tensor weight = norm.weight();
        return weight == null ? inverse : inverse.mul(weight);
    }

    private static Tensor shifted(Tensor value, Tensor scale, @Nullable Tensor beta) {
        Tensor scaled = value.mul(scale);
        return beta == null ? scaled : scaled.add(beta);
    }

    /** The scale in the shape that multiplies each output channel of the weight. */
    private static Tensor alongOutput(Module layer, Tensor scale) {
        Tensor weight = layer.parameter(layer.storedName("weight"));
        long[] shape = new long[Math.toIntExact(weight.dim())];
        Arrays.fill(shape, 1);
        if (layer instanceof Convolution convolution && convolution.isTransposed()) {
            // [in, out/groups, …]: the input channels of a group belong to its output channels.
            long groups = convolution.groups();
            shape[0] = weight.size(0);
            shape[1] = weight.size(1);
            return scale.reshape(groups, 1, weight.size(1))
                    .expand(groups, weight.size(0) / groups, weight.size(1))
                    .reshape(shape);
        }
        shape[0] = weight.size(0);
        return scale.reshape(shape);
    }
}

package io.espalier.quant;

import io.espalier.nn.Convolution;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.tensor.EspalierException;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Evens out the ranges of the channels between two layers, so that one scale for a whole weight
 * serves all of them. With {@code r₁} and {@code r₂} the largest magnitudes of a channel in the
 * layer before and after it, the first is divided and the second multiplied by {@code s = √(r₁ /
 * r₂)}; as ReLU gives {@code s · x} for {@code s · x}, the network computes the same. Needs no
 * data.
 *
 * <p>Source: Nagel et al., <a href="https://arxiv.org/abs/1906.04721">Data-Free Quantization
 * Through Weight Equalization and Bias Correction</a>, 2019, section 4.1.
 */
public final class Equalization {
    /** Rounds over a chain; the paper's go on until nothing changes, which takes about so many. */
    private static final int ROUNDS = 20;

    private Equalization() {}

    /**
     * Equalizes a chain of layers in place.
     *
     * @param model a model in inference mode, its batch normalizations folded
     * @param chain the paths of Linear layers and convolutions, fused with their ReLU or not, each
     *     fed by the one before through nothing but ReLU, pooling and flattening of one pixel
     * @throws EspalierException if a path is no such layer, a layer is pruned, or the channels of
     *     two layers don't fit
     */
    public static void apply(Module model, List<String> chain) {
        if (chain.size() < 2) {
            throw new EspalierException(
                    "Equalization needs two or more layers in a row; asked for " + chain + ".");
        }
        List<Module> layers = new ArrayList<>();
        for (String path : chain) {
            layers.add(layer(model, path));
        }
        for (int i = 1; i < layers.size(); i++) {
            long out = Folding.channels(layers.get(i - 1));
            long in = inChannels(layers.get(i));
            if (out != in) {
                throw new EspalierException(
                        "Can't equalize '"
                                + chain.get(i - 1)
                                + "' and '"
                                + chain.get(i)
                                + "': the first gives "
                                + out
                                + " channels, the second takes "
                                + in
                                + ".");
            }
        }
        try (var noGrad = new NoGradGuard()) {
            for (int round = 0; round < ROUNDS; round++) {
                for (int i = 1; i < layers.size(); i++) {
                    try (var scope = new PointerScope()) {
                        equalize(layers.get(i - 1), layers.get(i));
                    }
                }
            }
        }
    }

    private static Module layer(Module model, String path) {
        Module module = model.module(path);
        Module layer = module instanceof FusedReLU fused ? fused.layer() : module;
        boolean plain =
                layer instanceof Linear || (layer instanceof Convolution c && !c.isTransposed());
        if (!plain || !layer.parametrizedNames().isEmpty()) {
            throw new EspalierException(
                    "Can't equalize '"
                            + path
                            + "', a "
                            + layer.getClass().getSimpleName()
                            + "; it takes Linear layers and convolutions whose weights are plain.");
        }
        return layer;
    }

    private static long inChannels(Module layer) {
        return layer instanceof Linear linear
                ? linear.inFeatures()
                : ((Convolution) layer).inChannels();
    }

    private static void equalize(Module first, Module second) {
        Tensor before = first.parameter("weight");
        Tensor after = second.parameter("weight");
        Tensor r1 = torch.amax(before.abs().flatten(1, -1), new long[] {1}, false);
        Tensor r2 = torch.amax(byInput(second, after.abs()), new long[] {1}, false);
        Tensor scale = r1.div(r2).sqrt();
        // A channel that is zero on one side has nothing to even out.
        Tensor usable = r1.mul(r2).gt(new Scalar(0.0));
        scale = torch.where(usable, scale, torch.ones_like(scale));
        before.div_(scale.reshape(alongFirst(before)));
        if (first.hasParameter("bias")) {
            first.parameter("bias").div_(scale);
        }
        after.mul_(alongInput(second, after, scale));
    }

    /** The weight's magnitudes as [input channel, the rest]. */
    private static Tensor byInput(Module layer, Tensor magnitudes) {
        long groups = layer instanceof Convolution c ? c.groups() : 1;
        long out = magnitudes.size(0) / groups;
        long in = magnitudes.size(1);
        return magnitudes.reshape(groups, out, in, -1).transpose(1, 2).reshape(groups * in, -1);
    }

    private static Tensor alongInput(Module layer, Tensor weight, Tensor scale) {
        long groups = layer instanceof Convolution c ? c.groups() : 1;
        long in = weight.size(1);
        long out = weight.size(0) / groups;
        long[] shape = new long[Math.toIntExact(weight.dim())];
        Arrays.fill(shape, 1);
        shape[0] = weight.size(0);
        shape[1] = in;
        return scale.reshape(groups, 1, in).expand(groups, out, in).reshape(shape);
    }

    private static long[] alongFirst(Tensor weight) {
        long[] shape = new long[Math.toIntExact(weight.dim())];
        Arrays.fill(shape, 1);
        shape[0] = weight.size(0);
        return shape;
    }
}

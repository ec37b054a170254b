package io.espalier.quant.accuracy;

import io.espalier.nn.Module;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

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
     * Finds the chains of a model by tracing it and running it on an example: {@code
     * Equalization.chains(model, x).forEach(chain -> Equalization.apply(model, chain))}. Between
     * two layers there may be ReLU, pooling, means and changes of shape, as layers or in the
     * model's own code. A layer whose result is used at a second place ends a chain.
     *
     * @param model a model whose batch normalizations are folded; it is left as it is
     * @param example what the model is called with, so many tensors as it takes
     * @return the paths of each chain, for {@link #apply}
     * @throws EspalierException if the model can't take the example
     */
    public static List<List<String>> chains(Module model, Tensor... example) {
        return EqualizationChains.find(
                Needed.of(model, "the model to equalize"), Needed.all(example, "the example"));
    }

    /**
     * Equalizes a chain of layers in place.
     *
     * @param model a model in inference mode, its batch normalizations folded
     * @param chain the paths of Linear layers and convolutions, fused with their ReLU or not, each
     *     fed by the one before through nothing but ReLU, pooling and flattening of one pixel, and
     *     the only one that uses it: what {@link #chains} finds. Pruned layers keep their masks.
     * @throws EspalierException if a path is no such layer, a layer stands at several places, the
     *     channels of two layers don't fit, or the model is prepared already
     */
    public static void apply(Module model, List<String> chain) {
        Needed.of(model, "the model to equalize");
        if (Needed.all(chain, "the chain").size() < 2) {
            throw new EspalierException(
                    "Equalization needs two or more layers in a row; asked for " + chain + ".");
        }
        WeightedLayer.requireNotPrepared(model, "Equalization");
        List<WeightedLayer> layers =
                chain.stream().map(path -> WeightedLayer.at(model, path, "equalize")).toList();
        layers.forEach(layer -> requireOnePlace(model, layer));
        for (int i = 1; i < layers.size(); i++) {
            requireInARow(layers.get(i - 1), layers.get(i));
            requireNoHooks(model.module(chain.get(i - 1)), model.module(chain.get(i)), chain);
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

    @SuppressWarnings("ReferenceEquality") // the very same layer
    private static void requireOnePlace(Module model, WeightedLayer layer) {
        model.namedModules()
                .forEach((path, module) -> {
                    if (module == layer.layer() && !path.equals(layer.ownPath())) {
                        throw new EspalierException(
                                "Can't equalize '"
                                        + layer.path()
                                        + "': the same layer also stands at '"
                                        + path
                                        + "', where it takes and gives other channels; give each"
                                        + " place a layer of its own.");
                    }
                });
    }

    private static void requireInARow(WeightedLayer first, WeightedLayer second) {
        if (first.outChannels() != second.inChannels()) {
            throw new EspalierException(
                    "Can't equalize '"
                            + first.path()
                            + "' and '"
                            + second.path()
                            + "': the first gives "
                            + first.outChannels()
                            + " channels, the second takes "
                            + second.inChannels()
                            + ".");
        }
    }

    private static void requireNoHooks(Module first, Module second, List<String> chain) {
        if (first.hasOutputHooks() || second.hasInputHooks()) {
            throw new EspalierException(
                    "Can't equalize "
                            + chain
                            + ": a hook between two of these layers sees and may change what"
                            + " equalizing scales; take it off first.");
        }
    }

    private static void equalize(WeightedLayer first, WeightedLayer second) {
        Tensor r1 = first.outputRanges();
        Tensor r2 = second.inputRanges();
        Tensor scale = r1.div(r2).sqrt();
        // A channel that is zero on one side has nothing to even out.
        Tensor usable = r1.mul(r2).gt(new Scalar(0.0));
        scale = torch.where(usable, scale, torch.ones_like(scale));
        first.scaleOutput(scale.reciprocal());
        second.scaleInput(scale);
    }
}

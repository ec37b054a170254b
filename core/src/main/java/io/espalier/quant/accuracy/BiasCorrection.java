package io.espalier.quant.accuracy;

import io.espalier.nn.Hook;
import io.espalier.nn.Module;
import io.espalier.quant.Calibration;
import io.espalier.quant.layer.PackedLayer;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Objects;
import java.util.Set;

/**
 * Takes back the shift that rounding a weight gives to a layer's mean output: with the rounding
 * error {@code ε = W̃ − W}, the bias loses {@code ε · E[x]}, where {@code E[x]} is the float
 * model's mean input of each channel.
 *
 * <p>Source: Nagel et al., <a href="https://arxiv.org/abs/1906.04721">Data-Free Quantization
 * Through Weight Equalization and Bias Correction</a>, 2019, section 4.2; the means come from data.
 */
public final class BiasCorrection {
    private BiasCorrection() {}

    /** A layer of both models, and the sum of what was fed to each input channel. */
    private static final class Pair {
        final WeightedLayer original;
        final PackedLayer quantized;
        final double[] sums;
        long count;

        Pair(WeightedLayer original, PackedLayer quantized) {
            this.original = original;
            this.quantized = quantized;
            this.sums = new double[Math.toIntExact(original.inChannels())];
        }
    }

    /**
     * Corrects the biases of a converted model in place.
     *
     * @param reference the float model that was converted, fused as it was; left as it is
     * @param quantized the converted model
     * @param data inputs of the model; a few hundred examples are enough
     * @throws EspalierException if there are no data, or no quantized layer with a counterpart in
     *     {@code reference}
     */
    public static void apply(Module reference, Module quantized, List<Tensor> data) {
        Needed.of(reference, "the float model");
        Needed.of(quantized, "the quantized model");
        List<Pair> pairs = pairs(reference, quantized);
        if (Needed.all(data, "the data").isEmpty() || pairs.isEmpty()) {
            throw new EspalierException(
                    data.isEmpty()
                            ? "Bias correction needs data; it got no batch."
                            : "Bias correction found no quantized layer that the float model has at"
                                    + " the same place; give the fused float model first.");
        }
        observe(reference, pairs, data);
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            pairs.stream().filter(pair -> pair.count > 0).forEach(BiasCorrection::correct);
        }
    }

    private static List<Pair> pairs(Module reference, Module quantized) {
        List<Pair> pairs = new ArrayList<>();
        // A layer that stands at several places has one bias, which is corrected once.
        Set<Module> seen = Collections.newSetFromMap(new IdentityHashMap<>());
        var originals = reference.namedModules();
        quantized
                .namedModules()
                .forEach((path, module) -> {
                    Module original = originals.get(path);
                    if (original != null
                            && module instanceof PackedLayer packed
                            && seen.add(packed)) {
                        WeightedLayer.of(path, original)
                                .ifPresent(layer -> pairs.add(new Pair(layer, packed)));
                    }
                });
        return pairs;
    }

    private static void observe(Module reference, List<Pair> pairs, List<Tensor> data) {
        List<Hook.Registration> hooks = new ArrayList<>();
        for (Pair pair : pairs) {
            hooks.add(
                    pair.original
                            .layer()
                            .onInput((module, tensors) -> {
                                add(pair, tensors.getFirst());
                                return tensors;
                            }));
        }
        try {
            Calibration.run(reference, data);
        } finally {
            hooks.forEach(Hook.Registration::close);
        }
    }

    private static void add(Pair pair, Tensor x) {
        try (var scope = new PointerScope()) {
            int channels = pair.sums.length;
            Tensor byChannel = pair.original.inputByChannel(x);
            float[] means = Tensors.floats(byChannel.to(ScalarType.Double).mean(new long[] {0}));
            long rows = byChannel.size(0);
            for (int c = 0; c < channels; c++) {
                pair.sums[c] += means[c] * rows;
            }
            pair.count += rows;
        }
    }

    private static void correct(Pair pair) {
        Tensor weight = pair.original.weight();
        Tensor rounded = Objects.requireNonNull(pair.quantized.floatWeights().get("weight"));
        Tensor error = rounded.sub(weight);
        long out = weight.size(0);
        long in = weight.size(1);
        long groups = pair.original.groups();
        float[] means = new float[pair.sums.length];
        for (int c = 0; c < means.length; c++) {
            means[c] = (float) (pair.sums[c] / pair.count);
        }
        Tensor expected =
                Tensors.of(means, groups, 1, in).expand(groups, out / groups, in).reshape(out, in);
        Tensor shift =
                error.reshape(out, in, -1).sum(new long[] {2}).mul(expected).sum(new long[] {1});
        pair.quantized.shiftBias(shift.neg());
    }
}

package io.espalier.quant.evaluation;

import io.espalier.nn.BatchNorm;
import io.espalier.nn.Hook;
import io.espalier.nn.Identity;
import io.espalier.nn.IntegerWeighted;
import io.espalier.nn.Module;
import io.espalier.quant.fusion.Folding;
import io.espalier.quant.fusion.FusedReLU;
import io.espalier.quant.layer.FusedChain;
import io.espalier.quant.layer.QFunctional;
import io.espalier.quant.layer.QuantizedLayer;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;

/**
 * Measures layer by layer how far a quantized model is from its float original. A fused layer is
 * held against the last of the layers that were fused into it.
 */
final class LayerErrors implements AutoCloseable {
    /** The end of the activations' integers, where values are clamped. */
    private static final long LAST = 255;

    private final List<Pair> pairs = new ArrayList<>();
    private final List<Hook.Registration> hooks = new ArrayList<>();
    private final Map<Pair, Tensor> expected = new HashMap<>();

    /** A quantized layer, the float layers that it stands for, and what was summed up so far. */
    private static final class Pair {
        final String path;
        final Module quantized;
        final List<Module> floats;
        double signal;
        double noise;
        long values;
        long saturated;

        Pair(String path, Module quantized, List<Module> floats) {
            this.path = path;
            this.quantized = quantized;
            this.floats = floats;
        }
    }

    LayerErrors(Module reference, Module quantized) {
        SequencedMap<String, Module> originals = reference.namedModules();
        quantized
                .namedModules()
                .forEach((path, module) -> {
                    boolean small =
                            module instanceof QuantizedLayer || module instanceof IntegerWeighted;
                    if (small && originals.containsKey(path)) {
                        pairs.add(new Pair(path, module, fused(quantized, originals, path)));
                    }
                });
        for (Pair pair : pairs) {
            hooks.add(
                    pair.floats
                            .getLast()
                            .onOutput((module, tensors) -> {
                                // A graph frees what nobody needs any more.
                                expected.put(pair, Tensors.keep(tensors.getFirst().detach()));
                                return tensors;
                            }));
            hooks.add(
                    pair.quantized.onOutput((module, tensors) -> {
                        compare(pair, tensors.getFirst());
                        return tensors;
                    }));
        }
    }

    /** The float layer at a path, and those after it whose places hold an Identity now. */
    private static List<Module> fused(
            Module quantized, Map<String, Module> originals, String path) {
        int dot = path.lastIndexOf('.');
        String parent = path.substring(0, Math.max(dot, 0));
        List<Module> chain = new ArrayList<>();
        for (Map.Entry<String, Module> sibling :
                new LinkedHashMap<>(quantized.module(parent).namedChildren()).entrySet()) {
            String at = parent.isEmpty() ? sibling.getKey() : parent + "." + sibling.getKey();
            Module original = originals.get(at);
            boolean absorbed =
                    sibling.getValue() instanceof Identity && !(original instanceof Identity);
            if (original != null && (at.equals(path) || (!chain.isEmpty() && absorbed))) {
                chain.add(original);
            } else if (!chain.isEmpty()) {
                break;
            }
        }
        return chain;
    }

    private void compare(Pair pair, Tensor output) {
        Tensor wanted = expected.remove(pair);
        if (wanted == null) {
            return;
        }
        try (wanted;
                var scope = new PointerScope()) {
            Tensor noise = QFunctional.inFloat(output).sub(wanted);
            pair.signal += squares(wanted);
            pair.noise += squares(noise);
            if (!output.is_quantized()) {
                return;
            }
            Tensor integers = output.int_repr();
            pair.values += integers.numel();
            pair.saturated += integers.eq(new Scalar(LAST)).sum().item_long();
            if (output.q_zero_point() > 0) {
                pair.saturated += integers.eq(new Scalar(0L)).sum().item_long();
            }
        }
    }

    /** What was found. */
    List<Comparison.Layer> layers() {
        return pairs.stream()
                .map(pair ->
                        new Comparison.Layer(
                                pair.path,
                                weightSqnr(pair),
                                decibel(pair.signal, pair.noise),
                                pair.values == 0 ? 0 : (double) pair.saturated / pair.values))
                .toList();
    }

    private static double weightSqnr(Pair pair) {
        Module layer = pair.floats.getFirst();
        if (layer instanceof FusedReLU fused) {
            layer = fused.layer();
        } else if (layer instanceof FusedChain chain) {
            layer = chain.layer();
        }
        if (!(pair.quantized instanceof IntegerWeighted weighted)) {
            return Double.NaN;
        }
        try (var scope = new PointerScope()) {
            Module folded =
                    pair.floats.size() > 1 && pair.floats.get(1) instanceof BatchNorm norm
                            ? Folding.fold(layer, norm)
                            : layer;
            double signal = 0;
            double noise = 0;
            for (var entry : weighted.floatWeights().entrySet()) {
                if (!folded.hasParameter(entry.getKey())) {
                    return Double.NaN; // another model
                }
                Tensor weight = folded.value(entry.getKey()).detach();
                signal += squares(weight);
                noise += squares(entry.getValue().sub(weight));
            }
            return decibel(signal, noise);
        }
    }

    private static double squares(Tensor tensor) {
        return tensor.pow(new Scalar(2L)).sum().item_double();
    }

    private static double decibel(double signal, double noise) {
        return 10 * Math.log10(signal / noise);
    }

    @Override
    public void close() {
        hooks.forEach(Hook.Registration::close);
        expected.values().forEach(Tensor::close);
    }
}

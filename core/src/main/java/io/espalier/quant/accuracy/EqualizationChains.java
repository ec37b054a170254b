package io.espalier.quant.accuracy;

import io.espalier.nn.AdaptiveAvgPool1d;
import io.espalier.nn.AdaptiveAvgPool2d;
import io.espalier.nn.AvgPool1d;
import io.espalier.nn.AvgPool2d;
import io.espalier.nn.Dropout;
import io.espalier.nn.Flatten;
import io.espalier.nn.Identity;
import io.espalier.nn.LeakyReLU;
import io.espalier.nn.MaxPool1d;
import io.espalier.nn.MaxPool2d;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.quant.fusion.CallTrace;
import io.espalier.train.EvalMode;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;

/**
 * Finds the chains of layers that can be equalized, by calling the model on an example. Each is
 * tried on a copy and kept, or cut, so that the model gives what it gave; so a result that is used
 * at a second place, which the calls of layers don't show, is left alone.
 */
final class EqualizationChains {
    /** What gives a multiple of a channel for a multiple of it. */
    private static final Set<Class<? extends Module>> NEUTRAL =
            Set.of(
                    ReLU.class,
                    LeakyReLU.class,
                    Identity.class,
                    Dropout.class,
                    Flatten.class,
                    MaxPool1d.class,
                    MaxPool2d.class,
                    AvgPool1d.class,
                    AvgPool2d.class,
                    AdaptiveAvgPool1d.class,
                    AdaptiveAvgPool2d.class);

    private final Module model;
    private final List<Tensor> example;
    private final CallTrace trace;

    private EqualizationChains(Module model, List<Tensor> example) {
        this.model = model;
        this.example = example;
        this.trace = new CallTrace(model, example);
    }

    static List<List<String>> find(Module model, List<Tensor> example) {
        try (var mode = new EvalMode(model);
                var noGrad = new NoGradGuard();
                var scope = new PointerScope()) {
            var chains = new EqualizationChains(model, example);
            return chains.candidates().stream().flatMap(chains::sound).toList();
        }
    }

    /** The parts of a chain that can be equalized; usually the chain itself. */
    private Stream<List<String>> sound(List<String> chain) {
        if (keepsOutput(chain)) {
            return Stream.of(chain);
        }
        List<List<String>> parts = new ArrayList<>();
        int begin = 0;
        for (int i = 1; i <= chain.size(); i++) {
            if (i == chain.size() || !keepsOutput(chain.subList(i - 1, i + 1))) {
                parts.add(chain.subList(begin, i));
                begin = i;
            }
        }
        return parts.stream().filter(part -> part.size() > 1);
    }

    private boolean keepsOutput(List<String> chain) {
        Module trial = model.copy();
        Equalization.apply(trial, chain);
        return new ModelOutput(trace.outputs()).isLike(new ModelOutput(trial.callAll(example)));
    }

    private List<List<String>> candidates() {
        List<List<String>> chains = new ArrayList<>();
        Set<String> taken = new HashSet<>();
        for (Module module : model.namedModules().values()) {
            List<String> chain = new ArrayList<>();
            for (@Nullable Module at = layer(module); at != null; at = following(at)) {
                if (!taken.add(trace.path(at))) {
                    break;
                }
                chain.add(trace.path(at));
            }
            if (chain.size() > 1) {
                chains.add(List.copyOf(chain));
            }
        }
        return chains;
    }

    /** The module itself if it is a layer that can be part of a chain. */
    private @Nullable Module layer(Module module) {
        boolean fits =
                trace.knows(module)
                        && trace.isCalledOnce(module)
                        && WeightedLayer.of("", module).isPresent();
        return fits ? module : null;
    }

    /** The layer that a layer's channels reach. */
    private @Nullable Module following(Module layer) {
        Module at = trace.follower(layer);
        while (at != null && NEUTRAL.contains(at.getClass()) && trace.isCalledOnce(at)) {
            at = trace.follower(at);
        }
        if (at == null || layer(at) == null) {
            return null;
        }
        long out = WeightedLayer.of("", layer).orElseThrow().outChannels();
        return WeightedLayer.of("", at).orElseThrow().inChannels() == out ? at : null;
    }
}

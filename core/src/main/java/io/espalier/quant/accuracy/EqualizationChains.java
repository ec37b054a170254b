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
import io.espalier.quant.fusion.Dataflow;
import io.espalier.train.EvalMode;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * Finds the chains of layers that can be equalized, by calling the model on an example. Which layer
 * reads what another gave is read from the model's graph, or from the calls of its modules where it
 * can't be traced; then a call with moved channels must give the very same numbers.
 */
final class EqualizationChains {
    /** The modules that give a multiple of a channel for a multiple of it. */
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
    private final Optional<Dataflow> flow;

    private EqualizationChains(Module model, List<Tensor> example) {
        this.model = model;
        this.example = example;
        this.trace = new CallTrace(model, example);
        this.flow = Dataflow.of(model, example);
    }

    static List<List<String>> find(Module model, List<Tensor> example) {
        try (var mode = new EvalMode(model);
                var noGrad = new NoGradGuard();
                var scope = new PointerScope()) {
            var finder = new EqualizationChains(model, example);
            List<List<WeightedLayer>> chains = finder.candidates();
            return (finder.keepOutput(chains) ? chains : finder.sound(chains))
                    .stream()
                            .map(chain -> chain.stream().map(WeightedLayer::path).toList())
                            .toList();
        }
    }

    /** The parts of chains that can be equalized. */
    private List<List<WeightedLayer>> sound(List<List<WeightedLayer>> chains) {
        List<List<WeightedLayer>> parts = new ArrayList<>();
        for (List<WeightedLayer> chain : chains) {
            int begin = 0;
            for (int i = 1; i <= chain.size(); i++) {
                if (i == chain.size() || !keepOutput(List.of(chain.subList(i - 1, i + 1)))) {
                    if (i - begin > 1) {
                        parts.add(chain.subList(begin, i));
                    }
                    begin = i;
                }
            }
        }
        return parts;
    }

    private boolean keepOutput(List<List<WeightedLayer>> chains) {
        List<ChannelMove> moves = new ArrayList<>();
        for (List<WeightedLayer> chain : chains) {
            for (int i = 1; i < chain.size(); i++) {
                WeightedLayer before = chain.get(i - 1);
                moves.add(
                        new ChannelMove(
                                new Absorber(before.path(), before.layer()),
                                List.of(chain.get(i))));
            }
        }
        return ChannelMove.keepOutput(model, example, moves);
    }

    private List<List<WeightedLayer>> candidates() {
        List<List<WeightedLayer>> chains = new ArrayList<>();
        Set<String> taken = new HashSet<>();
        for (Module module : model.namedModules().values()) {
            List<WeightedLayer> chain = new ArrayList<>();
            Optional<WeightedLayer> at = layer(module);
            while (at.isPresent() && taken.add(at.get().path())) {
                chain.add(at.get());
                at = following(at.get());
            }
            if (chain.size() > 1) {
                chains.add(chain);
            }
        }
        return chains;
    }

    /** The module itself if it is a layer that can be part of a chain. */
    private Optional<WeightedLayer> layer(Module module) {
        return trace.knows(module) && trace.isCalledOnce(module)
                ? WeightedLayer.of(trace.path(module), module)
                : Optional.empty();
    }

    /** The layer that a layer's channels reach, if they reach nothing else. */
    private Optional<WeightedLayer> following(WeightedLayer layer) {
        if (layer.layer().hasOutputHooks()) {
            return Optional.empty();
        }
        Optional<Module> reader =
                flow.flatMap(graph -> graph.readers(layer.path(), ChannelMove::isNeutral))
                        .map(readers -> readers.only().map(model::module))
                        .orElseGet(() -> handedTo(layer.layer()));
        return reader.flatMap(this::layer)
                .filter(next -> !next.layer().hasInputHooks())
                .filter(next -> next.inChannels() == layer.outChannels());
    }

    /** The module that is handed a layer's result, itself or through modules that are neutral. */
    private Optional<Module> handedTo(Module layer) {
        @Nullable Module at = trace.follower(layer);
        while (at != null && NEUTRAL.contains(at.getClass()) && trace.isCalledOnce(at)) {
            at = trace.follower(at);
        }
        return Optional.ofNullable(at);
    }
}

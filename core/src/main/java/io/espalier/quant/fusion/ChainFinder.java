package io.espalier.quant.fusion;

import io.espalier.graph.OtherInputs;
import io.espalier.nn.BatchNorm;
import io.espalier.nn.Module;
import io.espalier.tensor.EspalierException;
import io.espalier.train.EvalMode;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;

/**
 * Finds the chains of a model that can be fused, by running it on an example. That a result within
 * a chain goes to no other place is answered by the model's graph where it can be traced; where it
 * can't, calls with other numbers must show the same chains. Then the model is called again with
 * its chains joined, and must give the very same numbers; that answers it for a model, or a module
 * in it, that can't be traced. What else of a folded layer such code reads is answered by a copy
 * whose chains are fused: it must compute the same within rounding.
 */
final class ChainFinder {
    private final Module model;
    private final Optional<Dataflow> flow;
    private final List<Seen> calls = new ArrayList<>();

    /** A call of the model. */
    private record Seen(List<Tensor> inputs, CallTrace trace) {}

    private ChainFinder(Module model, List<Tensor> example) {
        this.model = model;
        this.calls.add(new Seen(example, new CallTrace(model, example)));
        this.flow = Dataflow.of(model, example);
        if (flow.isEmpty()) {
            OtherInputs.several(example).forEach(this::addCall);
        }
    }

    private void addCall(List<Tensor> inputs) {
        try {
            calls.add(new Seen(inputs, new CallTrace(model, inputs)));
        } catch (RuntimeException e) { // whatever a model's own code throws on numbers it can't use
            return;
        }
    }

    static List<List<String>> find(Module model, List<Tensor> example) {
        try (var mode = new EvalMode(model);
                var noGrad = new NoGradGuard();
                var scope = new PointerScope()) {
            var finder = new ChainFinder(model, example);
            List<List<String>> chains = finder.candidates();
            if (chains.isEmpty() || finder.serves(chains)) {
                return chains;
            }
            return chains.stream().map(finder::sound).filter(chain -> !chain.isEmpty()).toList();
        }
    }

    private List<List<String>> candidates() {
        List<List<String>> chains = new ArrayList<>();
        Set<String> taken = new HashSet<>();
        for (String path : model.namedModules().keySet()) {
            Module module = model.module(path);
            if (!trace().knows(module) || taken.contains(path)) {
                continue;
            }
            List<String> chain = longest(module);
            if (chain.size() > 1) {
                taken.addAll(chain);
                chains.add(chain);
            }
        }
        return chains;
    }

    /** The longest chain from a module on that has a fused form. */
    private List<String> longest(Module first) {
        List<String> best = List.of();
        List<String> chain = new ArrayList<>();
        for (@Nullable Module module = first; module != null; module = follower(module)) {
            Module called = module;
            if (!calls.stream().allMatch(call -> call.trace.isCalledOnce(called))
                    || (module instanceof BatchNorm && isReadElsewhere(chain))) {
                break;
            }
            chain.add(trace().path(module));
            if (chain.size() > 1 && Fusion.fits(model, chain)) {
                best = List.copyOf(chain);
            }
            if (chain.size() == 3) {
                break;
            }
        }
        return best;
    }

    private CallTrace trace() {
        return calls.getFirst().trace;
    }

    /** Whether folding a normalization into a layer would change what other code reads of it. */
    private boolean isReadElsewhere(List<String> chain) {
        return !chain.isEmpty()
                && flow.filter(all -> all.readsTensorsOf(chain.getFirst())).isPresent();
    }

    /** The module that is handed what a module gave, in each call, if nothing else uses that. */
    private @Nullable Module follower(Module module) {
        boolean oneWay = flow.isEmpty() || flow.get().mayFlowOneWay(trace().path(module));
        Module next = oneWay ? trace().follower(module) : null;
        return calls.stream().allMatch(call -> Objects.equals(call.trace.follower(module), next))
                ? next
                : null;
    }

    /** The longest beginning of a chain that can be fused and keeps the output; perhaps empty. */
    private List<String> sound(List<String> chain) {
        for (int length = chain.size(); length > 1; length--) {
            List<String> beginning = chain.subList(0, length);
            if (Fusion.fits(model, beginning) && serves(List.of(beginning))) {
                return List.copyOf(beginning);
            }
        }
        return List.of();
    }

    private boolean serves(List<List<String>> chains) {
        return keepsOutput(chains)
                && (chains.stream().noneMatch(this::foldsUnseen) || computesFolded(chains));
    }

    /** Whether a normalization is folded into a layer that the graph does not show. */
    private boolean foldsUnseen(List<String> chain) {
        return model.module(chain.get(1)) instanceof BatchNorm
                && flow.filter(all -> all.shows(chain.getFirst())).isEmpty();
    }

    /** Whether a copy with these chains fused computes what the model does, within rounding. */
    private boolean computesFolded(List<List<String>> chains) {
        try (var scope = new PointerScope()) {
            Module fused = model.copy();
            Fusion.fuse(fused, chains);
            return calls.stream()
                    .allMatch(call ->
                            SameNumbers.nearlyIn(call.trace.outputs(), fused.callAll(call.inputs)));
        } catch (RuntimeException refused) { // by the copy, or by code that reads a folded tensor
            return false;
        }
    }

    private boolean keepsOutput(List<List<String>> chains) {
        List<JoinedChain> joined = new ArrayList<>();
        try (var scope = new PointerScope()) {
            for (List<String> chain : chains) {
                joined.add(new JoinedChain(chain.stream().map(model::module).toList()));
            }
            return calls.stream()
                    .allMatch(call ->
                            SameNumbers.in(call.trace.outputs(), model.callAll(call.inputs)));
        } catch (EspalierException refusedByTheModel) {
            return false;
        } finally {
            joined.forEach(JoinedChain::close);
        }
    }
}

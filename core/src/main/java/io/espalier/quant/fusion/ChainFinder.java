package io.espalier.quant.fusion;

import io.espalier.nn.Module;
import io.espalier.tensor.EspalierException;
import io.espalier.train.EvalMode;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * Finds the chains of a model that can be fused, by running it on an example. Each chain is then
 * tried on a copy, and kept if the model's output stays what it was; so a result that is used at a
 * second place, which the calls of layers don't show, is left alone.
 */
final class ChainFinder {
    /** How far folding may move an output, relative and absolute: rounding of 32-bit floats. */
    private static final double TOLERANCE = 1e-3;

    private final Module model;
    private final CallTrace trace;

    private ChainFinder(Module model, CallTrace trace) {
        this.model = model;
        this.trace = trace;
    }

    static List<List<String>> find(Module model, List<Tensor> example) {
        try (var mode = new EvalMode(model);
                var noGrad = new NoGradGuard();
                var scope = new PointerScope()) {
            var trace = new CallTrace(model, example);
            var finder = new ChainFinder(model, trace);
            List<Tensor> expected = trace.outputs();
            List<List<String>> chains = finder.candidates();
            if (chains.isEmpty() || finder.keeps(chains, example, expected)) {
                return chains;
            }
            return chains.stream()
                    .filter(chain -> finder.keeps(List.of(chain), example, expected))
                    .toList();
        }
    }

    private List<List<String>> candidates() {
        List<List<String>> chains = new ArrayList<>();
        Set<String> taken = new HashSet<>();
        for (String path : model.namedModules().keySet()) {
            Module module = model.module(path);
            if (!trace.knows(module) || taken.contains(path)) {
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
        for (@Nullable Module module = first; module != null; module = trace.follower(module)) {
            chain.add(trace.path(module));
            if (!trace.isCalledOnce(module)) {
                break;
            }
            if (chain.size() > 1 && Fusion.fits(model, chain)) {
                best = List.copyOf(chain);
            }
            if (chain.size() == 3) {
                break;
            }
        }
        return best;
    }

    private boolean keeps(List<List<String>> chains, List<Tensor> example, List<Tensor> expected) {
        Module trial = model.copy();
        trial.eval();
        try {
            Fusion.fuse(trial, chains);
            List<Tensor> outputs = trial.callAll(example);
            for (int i = 0; i < expected.size(); i++) {
                if (!torch.allclose(outputs.get(i), expected.get(i), TOLERANCE, TOLERANCE, true)) {
                    return false;
                }
            }
            return true;
        } catch (EspalierException e) {
            return false;
        }
    }
}

package io.espalier.train;

import io.espalier.nn.Module;
import io.espalier.tensor.Internal;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.function.BinaryOperator;

/** What an optimizer remembers of parameters that are given other extents. */
@Internal
public final class OptimizerMoments {
    private final Optimizer optimizer;
    private final OptimizerState state;

    /**
     * What it remembers now.
     *
     * @throws io.espalier.tensor.EspalierException if it is of a kind whose state is not known
     */
    public OptimizerMoments(Optimizer optimizer) {
        this.optimizer = optimizer;
        this.state = OptimizerArchive.read(optimizer);
    }

    /**
     * Refuses an optimizer that holds none of a model's parameters.
     *
     * @throws io.espalier.tensor.EspalierException if so
     */
    public static void requireOf(Module model, Optimizer optimizer) {
        MovedParameters.of(model, optimizer).requireSome();
    }

    /**
     * Lets it remember something else of each parameter.
     *
     * @param change gives, for a parameter that has its new extents and what was remembered of it,
     *     what is to be remembered
     */
    public void change(BinaryOperator<Tensor> change) {
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            SequencedMap<String, Tensor> changed = new LinkedHashMap<>();
            for (int g = 0; g < state.groups().size(); g++) {
                TensorVector parameters = optimizer.param_groups().get(g).params();
                for (int p = 0; p < parameters.size(); p++) {
                    Tensor parameter = parameters.get(p);
                    String prefix = OptimizerState.prefix(g, p);
                    for (Map.Entry<String, Tensor> kept : state.tensorsOf(g, p).entrySet()) {
                        changed.put(
                                prefix + kept.getKey(), change.apply(parameter, kept.getValue()));
                    }
                }
            }
            var now = new OptimizerState(state.groups(), changed);
            optimizer.load(OptimizerArchive.of(now, optimizer));
        }
    }

    /**
     * Lets it go of parameters that it holds, and of their gradients, so that it moves others only.
     */
    public void forget(List<Tensor> gone) {
        try (var scope = new PointerScope()) {
            for (int g = 0; g < state.groups().size() && !gone.isEmpty(); g++) {
                TensorVector parameters = optimizer.param_groups().get(g).params();
                // Of its own, since those of the vector are gone when it gets shorter.
                List<Tensor> left = new ArrayList<>();
                for (int p = 0; p < parameters.size(); p++) {
                    Tensor parameter = parameters.get(p);
                    if (gone.stream().noneMatch(parameter::is_same)) {
                        left.add(new Tensor(parameter));
                    }
                }
                parameters.put(left.toArray(Tensor[]::new));
            }
        }
    }

    /** Lets it remember what it did, when its parameters have the extents that they had. */
    public void restore() {
        change((parameter, kept) -> kept);
    }
}

package io.espalier.train;

import io.espalier.nn.Module;
import io.espalier.tensor.EspalierException;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.OptimizerParamGroupVector;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * Which of a model's parameters an optimizer moves. Tensors are told by what they are in libtorch,
 * so pruning, fusing and preparing, which store them elsewhere, change nothing.
 *
 * @param model the model's class
 * @param moved how many of its parameters the optimizer holds, frozen ones among them
 * @param left the dotted names of those that could train and that it does not hold
 */
record MovedParameters(String model, int moved, List<String> left) {
    /** How many names a warning lists. */
    private static final int LISTED = 5;

    static MovedParameters of(Module model, Optimizer optimizer) {
        var held = held(optimizer);
        Set<Long> moved = new HashSet<>();
        List<String> left = new ArrayList<>();
        model.namedParameters()
                .forEach((name, parameter) -> {
                    Long identity = OptimizerKind.identity(parameter);
                    if (held.contains(identity)) {
                        moved.add(identity);
                    } else if (parameter.requires_grad()) {
                        left.add(name);
                    }
                });
        return new MovedParameters(
                model.getClass().getSimpleName(), moved.size(), List.copyOf(left));
    }

    private static Set<Long> held(Optimizer optimizer) {
        Set<Long> held = new HashSet<>();
        try (var scope = new PointerScope()) {
            OptimizerParamGroupVector groups = optimizer.param_groups();
            for (long g = 0; g < groups.size(); g++) {
                TensorVector parameters = groups.get(g).params();
                for (long p = 0; p < parameters.size(); p++) {
                    Tensor parameter = parameters.get(p);
                    held.add(OptimizerKind.identity(parameter));
                }
            }
        }
        return held;
    }

    /** Refuses an optimizer that holds none of them. */
    void requireSome() {
        if (moved == 0) {
            throw new EspalierException(
                    "The optimizer holds none of this "
                            + model
                            + "'s parameters, so training would leave it as it is; a copy has"
                            + " parameters of its own: make the optimizer of the parameters of the"
                            + " model that it is to train, such as"
                            + " Optimizers.sgd(model.parameters(), 0.01).");
        }
    }

    /**
     * Refuses an optimizer that would leave the model as it is.
     *
     * @return what to say of parameters that it leaves out, if there are any
     */
    Optional<String> checked() {
        if (left.isEmpty()) {
            return Optional.empty();
        }
        requireSome();
        String more = left.size() > LISTED ? ", …" : "";
        return Optional.of(
                "The optimizer holds "
                        + moved
                        + " of the model's parameters and not "
                        + left.size()
                        + " others that could train: "
                        + String.join(", ", left.stream().limit(LISTED).toList())
                        + more
                        + ". Make it of model.parameters() to train them too, or freeze them"
                        + " (set_requires_grad(false)) if they are to stay.");
    }
}

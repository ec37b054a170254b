package io.espalier.conformance;

import io.espalier.nn.Module;
import io.espalier.prune.Amount;
import io.espalier.prune.L1Unstructured;
import io.espalier.prune.LnStructured;
import io.espalier.prune.Prune;
import io.espalier.prune.PruningMethod;
import io.espalier.prune.RandomStructured;
import io.espalier.prune.RandomUnstructured;

import org.bytedeco.pytorch.Tensor;

import java.util.Optional;

/**
 * Pruning calls as the cases write them: {@code {"op": "ln_structured", "amount": 2, "n": 2, "dim":
 * -1}}.
 */
final class Pruning {
    private Pruning() {}

    /**
     * Prunes a module's parameter.
     *
     * @param op the operation's name
     * @param call holds its arguments
     * @param tensors holds the mask of {@code custom_from_mask}, and scores where there are any
     */
    static void apply(Module module, String name, String op, Values call, Values tensors) {
        if (op.equals("custom_from_mask")) {
            Prune.customFromMask(module, name, tensors.tensor("mask"));
            return;
        }
        PruningMethod method = method(op, call);
        Optional<Tensor> scores = tensors.optionalTensor("importance_scores");
        if (scores.isPresent()) {
            Prune.apply(module, name, method, scores.get());
        } else {
            Prune.apply(module, name, method);
        }
    }

    private static PruningMethod method(String op, Values call) {
        return switch (op) {
            case "l1_unstructured" -> new L1Unstructured(amount(call));
            case "random_unstructured" -> new RandomUnstructured(amount(call));
            case "ln_structured" -> new LnStructured(amount(call), call.real("n"), dim(call));
            case "random_structured" -> new RandomStructured(amount(call), dim(call));
            default -> throw Group.unknown("operation", op);
        };
    }

    /** A whole number is a count, any other a share, as in PyTorch. */
    static Amount amount(Values call) {
        return switch (call.number("amount")) {
            case Long count -> Amount.count(count);
            case Number share -> Amount.share(share.doubleValue());
        };
    }

    private static int dim(Values call) {
        return call.integer("dim", Integer.MIN_VALUE, Integer.MAX_VALUE);
    }
}

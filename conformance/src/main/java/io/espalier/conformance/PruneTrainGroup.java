package io.espalier.conformance;

import io.espalier.nn.Functional;
import io.espalier.nn.Linear;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.List;

/**
 * A pruned linear layer, trained: what is masked stays masked, and the rest learns as in PyTorch.
 */
final class PruneTrainGroup implements Group {
    private static final int MOST_EPOCHS = 10_000;

    /** The cases' own tolerance, and PyTorch's usual floor for numbers near zero. */
    private static final Tolerance TOLERANCE = new Tolerance(1e-8, 1e-5, 0);

    @Override
    public String name() {
        return "prune_train";
    }

    @Override
    public void run(Case reference, Check check) {
        if (!reference.op().equals("train_linear_mse")) {
            throw Group.unknown("operation", reference.op());
        }
        Values params = reference.params();
        Values inputs = reference.inputs();
        Linear layer = layer(inputs);
        Values call = params.object("prune");
        Pruning.apply(layer, "weight", call.text("op"), call, inputs);

        Optimizer optimizer = Training.optimizer(params.object("optimizer"), layer.parameters());
        Tensor x = inputs.tensor("x");
        Tensor y = inputs.tensor("y");
        List<Double> losses = new ArrayList<>();
        for (int epoch = params.integer("epochs", 1, MOST_EPOCHS); epoch > 0; epoch--) {
            try (var step = new PointerScope()) {
                optimizer.zero_grad();
                Tensor loss = Functional.mseLoss(layer.call(x), y);
                loss.backward();
                optimizer.step();
                losses.add(loss.item_double());
            }
        }
        compare(reference.expect(), layer, losses, check);
    }

    private static Linear layer(Values inputs) {
        Tensor weight = inputs.tensor("weight");
        boolean bias = inputs.has("bias");
        Linear layer = new Linear(weight.size(1), weight.size(0), o -> o.bias(bias));
        try (var guard = new NoGradGuard()) {
            layer.parameter("weight").copy_(weight);
            if (bias) {
                layer.parameter("bias").copy_(inputs.tensor("bias"));
            }
        }
        return layer;
    }

    private static void compare(Values expect, Linear layer, List<Double> losses, Check check) {
        for (String what : expect.names()) {
            switch (what) {
                case "losses" -> check.close(what, expect.reals(what), losses, TOLERANCE);
                case "mask" -> check.equal(what, expect.tensor(what), layer.buffer("weight_mask"));
                case "weight" -> check.close(what, expect.tensor(what), layer.weight(), TOLERANCE);
                case "weight_orig", "bias" ->
                        check.close(what, expect.tensor(what), layer.parameter(what), TOLERANCE);
                default -> throw Group.unknown("result", what);
            }
        }
    }
}

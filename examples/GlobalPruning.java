// Prunes a network as one: 80 % of all weights go, wherever they are the smallest. Layers then
// differ in how much they keep, which one share for each layer would not give.

import io.espalier.nn.Conv2d;
import io.espalier.nn.Flatten;
import io.espalier.nn.Linear;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.prune.L1Unstructured;
import io.espalier.prune.Prune;
import io.espalier.prune.RandomUnstructured;
import io.espalier.prune.Sparsity;
import io.espalier.prune.Target;
import io.espalier.tensor.Libtorch;

import org.bytedeco.pytorch.Tensor;

import java.util.HashMap;
import java.util.List;
import java.util.Map;

static Sequential network() {
    return new Sequential(
            new Conv2d(1, 8, 3),
            new ReLU(),
            new Conv2d(8, 16, 3),
            new ReLU(),
            new Flatten(),
            new Linear(16 * 24 * 24, 10));
}

void main() {
    Libtorch.seed(1);
    var model = network();

    Sequential byMagnitude = model.copy();
    Prune.globalUnstructured(
            List.of(
                    Prune.target(byMagnitude.get(0), "weight"),
                    Prune.target(byMagnitude.get(2), "weight"),
                    Prune.target(byMagnitude.get(5), "weight")),
            L1Unstructured::new,
            0.8);
    IO.println("By magnitude, 80 % of all:");
    IO.println(Sparsity.of(byMagnitude));

    // Wide layers start with small weights, so magnitude alone empties them first. Scores can set
    // that right: here each weight is measured against the mean magnitude of its layer.
    Sequential byScores = model.copy();
    Map<Target, Tensor> scores = new HashMap<>();
    for (Target target : Target.weights(byScores)) {
        Tensor magnitude = target.module().value(target.name()).detach().abs();
        scores.put(target, magnitude.div(magnitude.mean()));
    }
    Prune.globalUnstructured(Target.weights(byScores), new L1Unstructured(0.8), scores);
    IO.println("\nBy magnitude relative to the layer:");
    IO.println(Sparsity.of(byScores));

    // Any method for single weights works, and a count instead of a share.
    Sequential atRandom = model.copy();
    Prune.globalUnstructured(Target.weights(atRandom), RandomUnstructured::new, 1000);
    IO.println("\n1000 weights at random:");
    IO.println(Sparsity.of(atRandom));
}

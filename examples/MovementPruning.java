// Movement pruning: a network that knows digits learns to tell odd from even, and 97 % of its
// weights are
// pruned meanwhile, those that fine-tuning moves towards zero. By magnitude, what the old task left
// large stays.

import io.espalier.data.Batch;
import io.espalier.data.Dataset;
import io.espalier.data.Mnist;
import io.espalier.nn.Functional;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.prune.DynamicPruning;
import io.espalier.prune.Schedule;
import io.espalier.prune.Sparsity;
import io.espalier.prune.Target;
import io.espalier.tensor.Libtorch;
import io.espalier.train.Evaluator;
import io.espalier.train.Losses;
import io.espalier.train.Optimizers;
import io.espalier.train.Trainer;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;

import java.util.List;

static final class Net extends Module {
    final Linear fc1 = add("fc1", new Linear(784, 64));
    final Linear fc2 = add("fc2", new Linear(64, 10));

    @Override
    protected Tensor forward(Tensor x) {
        return fc2.call(Functional.relu(fc1.call(Functional.flatten(x, 1, -1))));
    }
}

/** Digits whose class is 0 for even and 1 for odd. */
record OddOrEven(Dataset digits) implements Dataset {
    @Override
    public int size() {
        return digits.size();
    }

    @Override
    public Batch batch(int[] indices) {
        Batch batch = digits.batch(indices);
        return new Batch(batch.input(), batch.target().remainder(new Scalar(2)));
    }
}

static void train(Net net, Dataset data, int epochs, double rate, List<DynamicPruning> pruning) {
    var trainer = Trainer.of(net, Losses.crossEntropy(), Optimizers.adam(net.parameters(), rate));
    pruning.forEach(trainer::listen);
    trainer.train(data, epochs);
}

void main() {
    Libtorch.seed(1);
    Dataset digits = Mnist.train().take(3000);
    Dataset parity = new OddOrEven(digits);
    Evaluator accuracy = Evaluator.accuracy(new OddOrEven(Mnist.test().take(1000)));

    var digitsNet = new Net();
    train(digitsNet, digits, 3, 1e-3, List.of());

    var schedule = Schedule.cubic(0, 0.97, 150);
    Net byMovement = digitsNet.copy();
    var movement = DynamicPruning.movement(Target.weights(byMovement), schedule).every(5);
    train(byMovement, parity, 5, 1e-3, List.of(movement));
    movement.freeze();

    Net byMagnitude = digitsNet.copy();
    var magnitude = DynamicPruning.magnitude(Target.weights(byMagnitude), schedule).every(5);
    train(byMagnitude, parity, 5, 1e-3, List.of(magnitude));
    magnitude.freeze();

    IO.println(
            "Odd or even, 97 %% pruned by movement:  %.3f"
                    .formatted(accuracy.evaluate(byMovement)));
    IO.println(
            "Odd or even, 97 %% pruned by magnitude: %.3f"
                    .formatted(accuracy.evaluate(byMagnitude)));
    IO.println();
    IO.println(Sparsity.of(byMovement));
}

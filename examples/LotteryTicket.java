// A lottery ticket: train, prune the small weights, set the rest back to where they began, and
// train again.
// The same mask over other random weights is the comparison. examples/papers/ measures it properly.

import io.espalier.data.Dataset;
import io.espalier.data.Mnist;
import io.espalier.nn.Functional;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.prune.L1Unstructured;
import io.espalier.prune.Prune;
import io.espalier.prune.Sparsity;
import io.espalier.prune.Target;
import io.espalier.prune.WinningTicket;
import io.espalier.tensor.Libtorch;
import io.espalier.train.Evaluator;
import io.espalier.train.Losses;
import io.espalier.train.Optimizers;
import io.espalier.train.Trainer;

import org.bytedeco.pytorch.Tensor;

static final class Net extends Module {
    final Linear fc1 = add("fc1", new Linear(784, 100));
    final Linear fc2 = add("fc2", new Linear(100, 10));

    @Override
    protected Tensor forward(Tensor x) {
        return fc2.call(Functional.relu(fc1.call(Functional.flatten(x, 1, -1))));
    }
}

static void train(Net net, Dataset data, int epochs) {
    Trainer.of(net, Losses.crossEntropy(), Optimizers.adam(net.parameters(), 1.2e-3))
            .batchSize(60)
            .train(data, epochs);
}

void main() {
    Libtorch.seed(1);
    Dataset digits = Mnist.train().take(6000);
    Evaluator accuracy = Evaluator.accuracy(Mnist.test().take(2000));

    var net = new Net();
    var ticket = WinningTicket.of(net);

    // 40 % of what is left, five times: 7.8 % of the weights stay.
    for (int round = 1; round <= 5; round++) {
        train(net, digits, 1);
        Prune.globalUnstructured(Target.weights(net), L1Unstructured::new, 0.4);
        ticket.rewind(net);
    }
    IO.println(Sparsity.of(net));

    var twin = new Net();
    WinningTicket.giveMasks(net, twin);

    train(net, digits, 1);
    train(twin, digits, 1);
    IO.println("\nAfter one epoch, the ticket: %.3f".formatted(accuracy.evaluate(net)));
    IO.println("its reinitialised twin:      %.3f".formatted(accuracy.evaluate(twin)));
}

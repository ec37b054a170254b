// The lottery ticket hypothesis (Frankle and Carbin, ICLR 2019) on MNIST with LeNet-300-100.
//
// Protocol, the paper's where it is not said otherwise: Gaussian Glorot initialization, Adam with
// 1.2e-3, batches of
// 60 from 55,000 training digits. Nine times: train for 3 epochs (the paper: 50,000 steps), prune
// 20 % of what is left
// in each layer, 10 % in the last, by magnitude, and rewind. That leaves 13.5 % of the weights. The
// ticket then
// trains from its first weights, and its twin, with the same masks, from new random ones; both see
// the same
// batches. Accuracy is on the 10,000 test digits, after 1,000 steps and after 5,000, with nothing
// chosen by it.
// The claim is checked at 1,000 steps, where the paper finds the ticket ahead in speed and
// accuracy.
//
//   ./espalier run examples/papers/LotteryTicket.java

import io.espalier.data.Batch;
import io.espalier.data.Dataset;
import io.espalier.data.Mnist;
import io.espalier.nn.Functional;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.prune.Prune;
import io.espalier.prune.Sparsity;
import io.espalier.prune.WinningTicket;
import io.espalier.tensor.Libtorch;
import io.espalier.train.Evaluator;
import io.espalier.train.Losses;
import io.espalier.train.Optimizers;
import io.espalier.train.Trainer;
import io.espalier.train.TrainingEvent;

import org.bytedeco.pytorch.GeneratorOptional;
import org.bytedeco.pytorch.Tensor;

import java.util.List;
import java.util.Map;
import java.util.TreeMap;

static final int ROUNDS = 9;
static final List<Long> MEASURED = List.of(1000L, 5000L);

static final class LeNet300100 extends Module {
    final Linear fc1 = add("fc1", glorot(784, 300));
    final Linear fc2 = add("fc2", glorot(300, 100));
    final Linear fc3 = add("fc3", glorot(100, 10));

    private static Linear glorot(long in, long out) {
        var layer = new Linear(in, out);
        double deviation = Math.sqrt(2.0 / (in + out));
        layer.parameter("weight").detach().normal_(0, deviation, new GeneratorOptional());
        layer.parameter("bias").detach().zero_();
        return layer;
    }

    @Override
    protected Tensor forward(Tensor x) {
        Tensor h = Functional.relu(fc1.call(Functional.flatten(x, 1, -1)));
        return fc3.call(Functional.relu(fc2.call(h)));
    }
}

static Trainer trainer(LeNet300100 net) {
    return Trainer.of(net, Losses.crossEntropy(), Optimizers.adam(net.parameters(), 1.2e-3))
            .batchSize(60);
}

/** Trains and returns the accuracy in percent after each of the steps to measure at. */
static Map<Long, Double> measure(LeNet300100 net, Dataset train, Evaluator accuracy, long seed) {
    Map<Long, Double> measured = new TreeMap<>();
    Trainer trainer = trainer(net).seed(seed);
    trainer.listen(event -> {
        if (event instanceof TrainingEvent.Step made && MEASURED.contains(made.step())) {
            measured.put(made.step(), 100 * accuracy.evaluate(net));
            if (made.step() == MEASURED.getLast()) {
                trainer.stop();
            }
        }
    });
    trainer.train(train, 6);
    return measured;
}

void main() {
    Batch digits = Mnist.train().take(55_000).all();
    Dataset train = Dataset.of(digits.input(), digits.target());
    Evaluator accuracy = Evaluator.accuracy(Mnist.test());
    long start = System.nanoTime();
    double[] gain = new double[MEASURED.size()];
    for (int seed = 1; seed <= 3; seed++) {
        Libtorch.seed(seed);
        var net = new LeNet300100();
        var ticket = WinningTicket.of(net);
        for (int round = 1; round <= ROUNDS; round++) {
            trainer(net).seed(100 * seed + round).train(train, 3);
            Prune.l1Unstructured(net.fc1, "weight", 0.2);
            Prune.l1Unstructured(net.fc2, "weight", 0.2);
            Prune.l1Unstructured(net.fc3, "weight", 0.1);
            ticket.rewind(net);
        }
        var twin = new LeNet300100();
        WinningTicket.giveMasks(net, twin);
        double left = 100 * (1 - Sparsity.of(net).only("weight").sparsity());
        Map<Long, Double> ofTicket = measure(net, train, accuracy, seed);
        Map<Long, Double> ofTwin = measure(twin, train, accuracy, seed);
        for (int i = 0; i < gain.length; i++) {
            long step = MEASURED.get(i);
            double difference = ofTicket.get(step) - ofTwin.get(step);
            gain[i] += difference / 3;
            IO.println(
                    "seed %d, %.1f %% of the weights, step %d: ticket %.2f %%, twin %.2f %%, ahead by %.2f"
                            .formatted(
                                    seed,
                                    left,
                                    step,
                                    ofTicket.get(step),
                                    ofTwin.get(step),
                                    difference));
        }
    }
    for (int i = 0; i < gain.length; i++) {
        IO.println(
                "mean of 3 seeds, step %d: the ticket is ahead by %.2f points"
                        .formatted(MEASURED.get(i), gain[i]));
    }
    IO.println("%.0f s".formatted((System.nanoTime() - start) / 1e9));
}

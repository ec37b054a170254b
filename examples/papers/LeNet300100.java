// LeNet-300-100 on MNIST, pruned as far as it goes, beside the published figures.
//
// Protocol: all 60,000 training digits, pixels 0 to 1, no augmentation. 50 epochs of SGD with
// momentum 0.9 and weight decay 5e-5 in batches of 100; 8 dense ones at a rate of 0.1, which
// then falls along half a cosine. From there to epoch 25 the share of pruned weights rises along
// a cubic schedule to its end, by magnitude over all layers together, every 20 steps, for good.
// Dropout starts at 0.2 and fades as the network gets sparse. These settings were chosen on
// 5,000 held-out training digits, with 1/57 of the weights left; the model after the last step,
// with 1/68 left, is measured once on the 10,000 test digits.
//
//   ./espalier run examples/papers/LeNet300100.java

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
import io.espalier.train.TrainingEvent;

import org.bytedeco.pytorch.Tensor;

static final double SPARSITY = 0.9853;
static final int BATCH = 100;
static final int EPOCHS = 50;
static final int DENSE = 8;
static final int PRUNED = 25;
static final double DROPOUT = 0.2;

static final class LeNet300100 extends Module {
    final Linear fc1 = add("fc1", new Linear(784, 300));
    final Linear fc2 = add("fc2", new Linear(300, 100));
    final Linear fc3 = add("fc3", new Linear(100, 10));
    double dropout = DROPOUT;

    @Override
    protected Tensor forward(Tensor x) {
        Tensor h = Functional.dropout(Functional.flatten(x, 1, -1), 0.4 * dropout, isTraining());
        h = Functional.dropout(Functional.relu(fc1.call(h)), dropout, isTraining());
        h = Functional.dropout(Functional.relu(fc2.call(h)), dropout, isTraining());
        return fc3.call(h);
    }
}

static double rate(double epoch) {
    return epoch < DENSE ? 1 : (1 + Math.cos(Math.PI * (epoch - DENSE) / (EPOCHS - DENSE))) / 2;
}

void main() {
    long start = System.nanoTime();
    Libtorch.seed(1);
    Batch digits = Mnist.train().all();
    var train = Dataset.of(digits.input(), digits.target());
    int perEpoch = train.size() / BATCH;

    var net = new LeNet300100();
    Schedule schedule =
            Schedule.cubic(0, SPARSITY, (PRUNED - DENSE) * perEpoch).after(DENSE * perEpoch);
    var pruning = DynamicPruning.gradual(Target.weights(net), schedule).every(20);
    Trainer.of(
                    net,
                    Losses.crossEntropy(),
                    Optimizers.sgd(net.parameters(), 0.1, s -> s.momentum(0.9).weightDecay(5e-5)))
            .batchSize(BATCH)
            .seed(1)
            .learningRate(position -> rate(EPOCHS * position.share()))
            .listen(event -> {
                switch (event) {
                    case TrainingEvent.Step step -> {
                        pruning.update(step.step());
                        double sparsity = schedule.at((int) step.step());
                        net.dropout = DROPOUT * Math.pow(1 - sparsity, 0.25);
                    }
                    case TrainingEvent.EpochEnd end when end.epoch() % 10 == 9 ->
                            IO.println(
                                    "epoch %d, loss %.4f, %.0f s"
                                            .formatted(
                                                    end.epoch() + 1,
                                                    end.loss(),
                                                    (System.nanoTime() - start) / 1e9));
                    default -> {}
                }
            })
            .train(train, EPOCHS);
    pruning.freeze();

    double error = 100 * (1 - Evaluator.accuracy(Mnist.test()).evaluate(net));
    Sparsity weights = Sparsity.of(net).only("weight");
    IO.println();
    IO.println(weights);
    IO.println(
            """

            LeNet-300-100, 266,200 weights         fewer weights   test error
            Deep Compression (Han et al., 2016)             12x       1.59 %%
            Dynamic Network Surgery (Guo et al., 2016)      56x       1.99 %%
            Sparse variational dropout (2017)               68x       1.92 %%
            this run                                     %6.1fx       %.2f %%

            all parameters, biases included: %.1fx; %.0f s\
            """
                    .formatted(
                            weights.compression(),
                            error,
                            Sparsity.of(net).compression(),
                            (System.nanoTime() - start) / 1e9));
}

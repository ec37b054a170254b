// LeNet-5 as Caffe has it, on MNIST, pruned as far as it goes, beside the published figures.
//
// Protocol: all 60,000 training digits, pixels 0 to 1, no augmentation. 28 epochs of SGD with
// momentum 0.9 and weight decay 5e-5 in batches of 100; 4 dense ones at a rate of 0.05, which
// then falls along half a cosine. From there to epoch 14 the share of pruned weights rises along
// a cubic schedule to its end, by magnitude over all layers together, every 50 steps, for good.
// Dropout starts at 0.25 and fades as the network gets sparse. The model after the last step is
// measured once on the 10,000 test digits.
//
//   ./espalier run examples/papers/LeNet5.java

import io.espalier.data.Batch;
import io.espalier.data.DataLoader;
import io.espalier.data.Dataset;
import io.espalier.data.Mnist;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Functional;
import io.espalier.nn.Linear;
import io.espalier.nn.MaxPool2d;
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

static final double SPARSITY = 0.9908;
static final int BATCH = 100;
static final int EPOCHS = 28;
static final int DENSE = 4;
static final int PRUNED = 14;
static final double DROPOUT = 0.25;

static final class LeNet5 extends Module {
    final Conv2d conv1 = add("conv1", new Conv2d(1, 20, 5));
    final Conv2d conv2 = add("conv2", new Conv2d(20, 50, 5));
    final Linear fc1 = add("fc1", new Linear(800, 500));
    final Linear fc2 = add("fc2", new Linear(500, 10));
    final MaxPool2d pool = add("pool", new MaxPool2d(2));
    double dropout = DROPOUT;

    @Override
    protected Tensor forward(Tensor x) {
        Tensor h = Functional.flatten(pool.call(conv2.call(pool.call(conv1.call(x)))), 1, -1);
        h = Functional.relu(fc1.call(Functional.dropout(h, dropout, isTraining())));
        return fc2.call(Functional.dropout(h, dropout, isTraining()));
    }
}

static double rate(double epoch) {
    return epoch < DENSE ? 1 : (1 + Math.cos(Math.PI * (epoch - DENSE) / (EPOCHS - DENSE))) / 2;
}

void main() {
    long start = System.nanoTime();
    Libtorch.seed(1);
    Batch digits = Mnist.train().all();
    var train =
            new DataLoader(Dataset.of(digits.input(), digits.target()), BATCH)
                    .shuffled(1)
                    .dropLast();
    int perEpoch = train.batches();

    var net = new LeNet5();
    Schedule schedule =
            Schedule.cubic(0, SPARSITY, (PRUNED - DENSE) * perEpoch).after(DENSE * perEpoch);
    var pruning = DynamicPruning.gradual(Target.weights(net), schedule).every(50);
    Trainer.of(
                    net,
                    Losses.crossEntropy(),
                    Optimizers.sgd(net.parameters(), 0.05, s -> s.momentum(0.9).weightDecay(5e-5)))
            .learningRate(position -> rate(EPOCHS * position.share()))
            .listen(event -> {
                switch (event) {
                    case TrainingEvent.Step step -> {
                        pruning.update(step.step());
                        double sparsity = schedule.at((int) step.step());
                        net.dropout = DROPOUT * Math.pow(1 - sparsity, 0.25);
                    }
                    case TrainingEvent.EpochEnd end when end.epoch() % 5 == 4 ->
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

            LeNet-5 (Caffe), 430,500 weights       fewer weights   test error
            Deep Compression (Han et al., 2016)             12x       0.77 %%
            Dynamic Network Surgery (Guo et al., 2016)     108x       0.91 %%
            Sparse variational dropout (2017)              280x       0.75 %%
            this run                                     %6.1fx       %.2f %%

            all parameters, biases included: %.1fx; %.0f s\
            """
                    .formatted(
                            weights.compression(),
                            error,
                            Sparsity.of(net).compression(),
                            (System.nanoTime() - start) / 1e9));
}

// LeNet-5 as Caffe has it, on MNIST, slimmed and pruned to 1/280, beside the published figures.
//
// Protocol: all 60,000 training digits, pixels 0 to 1, each time shifted by up to 1.5 pixels,
// turned
// by up to 8 degrees, and scaled and slanted by up to 8 %; batches of 100, Adam. The dense network
// trains for an epoch, then loses most of its channels and neurons by second order (8 of 20, 16 of
// 50 and 48 of 500 stay), which makes the rest quick, and trains for another. Of the 16,168 weights
// left the share that is pruned rises for 12 epochs along an exponential schedule, until 1,537
// stay,
// one of 280. Over all layers together those go whose magnitude times their gradient importance is
// least, so that a weight of a convolution, which is used at every place, is not judged by its size
// alone. What is left trains on for 24 epochs while the rate falls along half a cosine. The model
// after the last step is measured once on the 10,000 test digits.
//
//   ./espalier run examples/papers/SlimLeNet5.java

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
import io.espalier.prune.Importance;
import io.espalier.prune.Schedule;
import io.espalier.prune.Sparsity;
import io.espalier.prune.Target;
import io.espalier.slim.ChannelImportance;
import io.espalier.slim.Slimming;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;
import io.espalier.train.Evaluator;
import io.espalier.train.Losses;
import io.espalier.train.Optimizers;
import io.espalier.train.Trainer;
import io.espalier.train.TrainingEvent;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

static final int ALL_WEIGHTS = 430_500;
static final int ALL_PARAMETERS = ALL_WEIGHTS + 580;
static final int LEFT = ALL_WEIGHTS / 280;
static final int BATCH = 100;
static final int DENSE = 1;
static final int SLIM = 1;
static final int PRUNING = 12;
static final int TUNING = 24;
static final double RATE = 0.003;

static final class LeNet5 extends Module {
    final Conv2d conv1 = add("conv1", new Conv2d(1, 20, 5));
    final Conv2d conv2 = add("conv2", new Conv2d(20, 50, 5));
    final Linear fc1 = add("fc1", new Linear(800, 500));
    final Linear fc2 = add("fc2", new Linear(500, 10));
    final MaxPool2d pool = add("pool", new MaxPool2d(2));

    @Override
    protected Tensor forward(Tensor x) {
        Tensor h = pool.call(conv2.call(pool.call(conv1.call(x))));
        return fc2.call(Functional.relu(fc1.call(Functional.flatten(h, 1, -1))));
    }
}

/** Digits that lie a little differently each time they are asked for. */
record Moved(Dataset digits, SplittableRandom random) implements Dataset {
    @Override
    public int size() {
        return digits.size();
    }

    @Override
    public Batch batch(int[] indices) {
        Batch still = digits.batch(indices);
        long n = indices.length;
        float[] maps = new float[6 * indices.length];
        for (int i = 0; i < maps.length; i += 6) {
            map(maps, i);
        }
        Tensor grid =
                torch.affine_grid_generator(
                        Tensors.of(maps).view(n, 2, 3), new long[] {n, 1, 28, 28}, false);
        // 0, 0: linear between pixels, and black around the image.
        return new Batch(torch.grid_sampler_2d(still.input(), grid, 0, 0, false), still.target());
    }

    /** Writes a map of two rows from places of the new image to those of the old, -1 to 1. */
    private void map(float[] maps, int at) {
        double angle = Math.toRadians(upTo(8));
        double size = 1 + upTo(0.08);
        double width = 1 + upTo(0.04);
        maps[at] = (float) (size * width * Math.cos(angle));
        maps[at + 1] = (float) (upTo(0.08) - size * Math.sin(angle));
        maps[at + 2] = (float) upTo(1.5 / 14);
        maps[at + 3] = (float) (size * Math.sin(angle));
        maps[at + 4] = (float) (size / width * Math.cos(angle));
        maps[at + 5] = (float) upTo(1.5 / 14);
    }

    private double upTo(double most) {
        return most * (2 * random.nextDouble() - 1);
    }
}

final long start = System.nanoTime();

void main() {
    Libtorch.seed(1);
    Dataset digits = Dataset.of(Mnist.train().all().input(), Mnist.train().all().target());
    DataLoader train =
            new DataLoader(new Moved(digits, new SplittableRandom(1)), BATCH)
                    .shuffled(1)
                    .dropLast();
    var net = new LeNet5();
    trainer(net, 0.001).train(train, DENSE);
    slim(net, digits);
    trainer(net, RATE).train(train, SLIM);
    prune(net, train);
    print(net);
}

Trainer trainer(LeNet5 net, double rate) {
    return Trainer.of(net, Losses.crossEntropy(), Optimizers.adam(net.parameters(), rate, s -> s))
            .listen(this::tell);
}

/** Takes out most channels and neurons. */
static void slim(LeNet5 net, Dataset digits) {
    List<Tensor> some = List.of(digits.take(1000).all().input());
    Tensor example = digits.take(2).all().input();
    Map<String, Double> shares = new LinkedHashMap<>();
    shares.put("conv1", 0.4);
    shares.put("conv2", 0.32);
    shares.put("fc1", 0.096);
    shares.forEach((layer, share) ->
            Slimming.of(net, example)
                    .only(layer)
                    .ratio(share)
                    .importance(ChannelImportance.secondOrder(some))
                    .run());
}

void prune(LeNet5 net, DataLoader train) {
    int perEpoch = train.batches();
    Importance importance =
            Importance.magnitude()
                    .times(
                            Importance.gradient(
                                    net,
                                    Losses.crossEntropy(),
                                    new DataLoader(train.dataset().take(500), BATCH)));
    double sparsity = 1 - (double) LEFT / Sparsity.of(net).only("weight").count();
    Schedule schedule = Schedule.exponential(0, sparsity, PRUNING * perEpoch);
    var pruning = DynamicPruning.gradual(importance, Target.weights(net), schedule).every(100);
    trainer(net, RATE)
            .learningRate(at -> rate((PRUNING + TUNING) * at.share()))
            .listen(pruning)
            .train(train, PRUNING + TUNING);
    pruning.freeze();
}

static double rate(double epoch) {
    return epoch < PRUNING ? 1 : (1 + Math.cos(Math.PI * (epoch - PRUNING) / TUNING)) / 2;
}

void tell(TrainingEvent event) {
    if (event instanceof TrainingEvent.EpochEnd end && end.epoch() % 4 == 3) {
        IO.println("epoch %d, loss %.4f, %.0f s".formatted(end.epoch() + 1, end.loss(), seconds()));
    }
}

double seconds() {
    return (System.nanoTime() - start) / 1e9;
}

void print(LeNet5 net) {
    double error = 100 * (1 - Evaluator.accuracy(Mnist.test()).evaluate(net));
    Sparsity weights = Sparsity.of(net).only("weight");
    Sparsity all = Sparsity.of(net);
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
                            (double) ALL_WEIGHTS / (weights.count() - weights.zeros()),
                            error,
                            (double) ALL_PARAMETERS / (all.count() - all.zeros()),
                            seconds()));
}

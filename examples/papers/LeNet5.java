// LeNet-5 as Caffe has it, on MNIST, slimmed and pruned to 1/109 and 1/280, beside the published
// figures.
//
// Protocol: all 60,000 training digits, each time shifted by up to 1.5 pixels, turned by up to 8
// degrees, and scaled and slanted by up to 8 %; batches of 100. The dense network trains for an
// epoch, then loses most of its channels and neurons by second order (8 of 20, 16 of 50 and 48 of
// 500 stay), which makes the rest quick, and trains for 16. Its 16,168 weights are pruned in
// rounds, to 6,000, 3,961 (one of 109), 2,300 and 1,537 (one of 280). Each round prunes at the full
// rate, along an exponential schedule, and then lets the rate fall along half a cosine, so that the
// next one judges weights of a network that has settled. Over all layers together those go whose
// square times their mean squared gradient is least: what zeroing them costs to second order. SGD
// trains the first rounds, where it left a lower held-out error than Adam did, and Adam the last
// two. The model is measured on the 10,000 test digits after the second round and the last.
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
import io.espalier.prune.Importance;
import io.espalier.prune.Schedule;
import io.espalier.prune.Sparsity;
import io.espalier.prune.Target;
import io.espalier.slim.ChannelImportance;
import io.espalier.slim.Slimming;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;
import io.espalier.train.Evaluator;
import io.espalier.train.LearningRate;
import io.espalier.train.Losses;
import io.espalier.train.Optimizers;
import io.espalier.train.Trainer;
import io.espalier.train.TrainingEvent;

import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

static final int ALL_WEIGHTS = 430_500;
static final int ALL_PARAMETERS = ALL_WEIGHTS + 580;
static final int BATCH = 100;

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

/** The root of the mean squared gradient of each weight, over about the last 500 steps. */
record GradientSize(SequencedMap<Target, Tensor> squares)
        implements Importance, Consumer<TrainingEvent> {
    static GradientSize of(LeNet5 net) {
        SequencedMap<Target, Tensor> squares = new LinkedHashMap<>();
        for (Target target : Target.weights(net)) {
            squares.put(target, torch.zeros_like(stored(target).detach()));
        }
        return new GradientSize(squares);
    }

    private static Tensor stored(Target target) {
        return target.module().parameter(target.module().storedName(target.name()));
    }

    @Override
    public void accept(TrainingEvent event) {
        if (event instanceof TrainingEvent.Step) {
            squares.forEach((target, mean) ->
                    mean.lerp_(stored(target).grad().square(), new Scalar(0.002)));
        }
    }

    @Override
    public SequencedMap<Target, Tensor> scores(List<Target> targets) {
        SequencedMap<Target, Tensor> roots = new LinkedHashMap<>();
        targets.forEach(target -> roots.put(target, squares.get(target).sqrt()));
        return roots;
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
    trainer(net, adam(net, 0.001)).train(train, 1);
    slim(net, digits);
    trainer(net, sgd(net)).learningRate(LearningRate.cosine().warmUp(200)).train(train, 16);
    prune(net, 6_000, train, sgd(net), 2, 8);
    prune(net, 3_961, train, sgd(net), 2, 8);
    String first = row(net);
    prune(net, 2_300, train, adam(net, 0.003), 4, 12);
    prune(net, ALL_WEIGHTS / 280, train, adam(net, 0.003), 4, 50);
    IO.println();
    IO.println(Sparsity.of(net).only("weight"));
    IO.println(
            """

            LeNet-5 (Caffe), 430,500 weights       fewer weights   test error
            Deep Compression (Han et al., 2016)             12x       0.77 %
            Dynamic Network Surgery (Guo et al., 2016)     108x       0.91 %
            Sparse variational dropout (2017)              280x       0.75 %\
            """);
    IO.println(first);
    IO.println(row(net));
}

static Optimizer sgd(LeNet5 net) {
    return Optimizers.sgd(net.parameters(), 0.05, s -> s.momentum(0.9).weightDecay(2e-5));
}

static Optimizer adam(LeNet5 net, double rate) {
    return Optimizers.adam(net.parameters(), rate, s -> s);
}

Trainer trainer(LeNet5 net, Optimizer optimizer) {
    return Trainer.of(net, Losses.crossEntropy(), optimizer).listen(this::tell);
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

/** A round: prunes for some epochs until so many weights are left, and trains these on. */
void prune(LeNet5 net, int left, DataLoader train, Optimizer optimizer, int pruning, int tuning) {
    Sparsity weights = Sparsity.of(net).only("weight");
    double sparsity = 1 - (double) left / weights.count();
    Schedule schedule =
            Schedule.exponential(weights.sparsity(), sparsity, pruning * train.batches());
    var gradients = GradientSize.of(net);
    var masks =
            DynamicPruning.gradual(
                            Importance.magnitude().times(gradients), Target.weights(net), schedule)
                    .every(50);
    int epochs = pruning + tuning;
    LearningRate rate =
            at -> {
                double fallen = Math.max(0, epochs * at.share() - pruning) / tuning;
                return (1 + Math.cos(Math.PI * fallen)) / 2;
            };
    trainer(net, optimizer)
            .learningRate(rate.warmUp(200))
            .listen(gradients)
            .listen(masks)
            .train(train, epochs);
    masks.freeze();
}

void tell(TrainingEvent event) {
    if (event instanceof TrainingEvent.EpochEnd end && end.epoch() % 5 == 4) {
        IO.println("epoch %d, loss %.4f, %.0f s".formatted(end.epoch() + 1, end.loss(), seconds()));
    }
}

double seconds() {
    return (System.nanoTime() - start) / 1e9;
}

String row(LeNet5 net) {
    double error = 100 * (1 - Evaluator.accuracy(Mnist.test()).evaluate(net));
    Sparsity weights = Sparsity.of(net).only("weight");
    Sparsity all = Sparsity.of(net);
    return "this run, after %5.0f s                     %6.1fx       %.2f %%   %.1fx with biases"
            .formatted(
                    seconds(),
                    (double) ALL_WEIGHTS / (weights.count() - weights.zeros()),
                    error,
                    (double) ALL_PARAMETERS / (all.count() - all.zeros()));
}

// Deep Compression on MNIST: prune, share, code; the paper's table beside ours.
//
// Protocol: all 60,000 training digits, pixels 0 to 1, no augmentation, batches of 100. SGD with
// momentum 0.9 and weight decay 5e-5, a few dense epochs, then a rate that falls along half a
// cosine while the share of pruned weights rises along a cubic schedule, by magnitude over all
// layers together, for good. Dropout fades as the network gets sparse. What no other layer reads is
// pruned too, which changes no output. Then the weights of each layer, and its biases, share few
// values (k-means), which are trained for two epochs (Adam), and the file is coded. A second stage
// goes on from that file to fewer weights. Each figure is measured on the 10,000 test digits with
// the model that was loaded from the file. Files go to a folder deep-compression; a stage
// whose file is there is only measured.
//
//   ./espalier run examples/papers/DeepCompression.java [300 | 5] [quick]

import io.espalier.compress.Compressed;
import io.espalier.compress.WeightSharing;
import io.espalier.data.Batch;
import io.espalier.data.Dataset;
import io.espalier.data.Mnist;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Functional;
import io.espalier.nn.Linear;
import io.espalier.nn.MaxPool2d;
import io.espalier.nn.Module;
import io.espalier.prune.DynamicPruning;
import io.espalier.prune.Prune;
import io.espalier.prune.Schedule;
import io.espalier.prune.Sparsity;
import io.espalier.prune.Target;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;
import io.espalier.train.Evaluator;
import io.espalier.train.Losses;
import io.espalier.train.Optimizers;
import io.espalier.train.Trainer;
import io.espalier.train.TrainingEvent;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;

static final int BATCH = 100;

/** A network whose layers are read one by the next. */
abstract static class Digits extends Module {
    double dropout;

    abstract List<Module> layers();

    /** What a unit of a layer gives that reads nothing and has this bias. */
    Tensor constant(Module layer, Tensor bias) {
        return Functional.relu(bias);
    }
}

static final class LeNet300100 extends Digits {
    final Linear fc1 = add("fc1", new Linear(784, 300));
    final Linear fc2 = add("fc2", new Linear(300, 100));
    final Linear fc3 = add("fc3", new Linear(100, 10));

    @Override
    protected Tensor forward(Tensor x) {
        Tensor h = Functional.dropout(Functional.flatten(x, 1, -1), 0.4 * dropout, isTraining());
        h = Functional.dropout(Functional.relu(fc1.call(h)), dropout, isTraining());
        h = Functional.dropout(Functional.relu(fc2.call(h)), dropout, isTraining());
        return fc3.call(h);
    }

    @Override
    List<Module> layers() {
        return List.of(fc1, fc2, fc3);
    }
}

static final class LeNet5 extends Digits {
    final Conv2d conv1 = add("conv1", new Conv2d(1, 20, 5));
    final Conv2d conv2 = add("conv2", new Conv2d(20, 50, 5));
    final Linear fc1 = add("fc1", new Linear(800, 500));
    final Linear fc2 = add("fc2", new Linear(500, 10));
    final MaxPool2d pool = add("pool", new MaxPool2d(2));

    @Override
    protected Tensor forward(Tensor x) {
        Tensor h = Functional.flatten(pool.call(conv2.call(pool.call(conv1.call(x)))), 1, -1);
        h = Functional.relu(fc1.call(Functional.dropout(h, dropout, isTraining())));
        return fc2.call(Functional.dropout(h, dropout, isTraining()));
    }

    @Override
    List<Module> layers() {
        return List.of(conv1, conv2, fc1, fc2);
    }

    @Override
    Tensor constant(Module layer, Tensor bias) {
        return layer instanceof Conv2d ? bias : super.constant(layer, bias);
    }
}

/**
 * How far to prune.
 *
 * @param from the share of pruned weights to begin with
 * @param to the share in the end
 * @param epochs how long to train
 * @param dense epochs before pruning begins
 * @param pruned the epoch after which nothing more is pruned
 * @param rate of SGD
 * @param bits of the values that weights share
 * @param folds whether what units give that read nothing becomes part of the next layer's biases
 */
record Stage(
        double from,
        double to,
        int epochs,
        int dense,
        int pruned,
        double rate,
        int bits,
        boolean folds) {
    Stage quick() {
        return new Stage(from / 2, from == 0 ? to / 2 : 0.8, 2, 0, 1, rate, bits, folds);
    }

    double rate(double epoch) {
        return epoch < dense ? 1 : (1 + Math.cos(Math.PI * (epoch - dense) / (epochs - dense))) / 2;
    }
}

record Network(String name, Supplier<Digits> make, double dropout, List<Stage> stages) {}

final List<Network> networks =
        List.of(
                new Network(
                        "LeNet-300-100",
                        LeNet300100::new,
                        0.2,
                        List.of(
                                new Stage(0, 0.968, 45, 8, 22, 0.1, 5, false),
                                new Stage(0.968, 0.9857, 25, 0, 10, 0.03, 4, false))),
                new Network(
                        "LeNet-5",
                        LeNet5::new,
                        0.25,
                        List.of(
                                new Stage(0, 0.965, 9, 1, 5, 0.06, 4, false),
                                new Stage(0.965, 0.992, 6, 0, 3, 0.04, 4, true))));

final long start = System.nanoTime();
final List<String> rows = new ArrayList<>();
boolean quick;

void main(String[] args) throws IOException {
    List<String> words = List.of(args);
    quick = words.contains("quick");
    for (Network network : networks) {
        boolean named = words.contains("300") || words.contains("5");
        if (!named || words.contains(network.name().contains("300") ? "300" : "5")) {
            run(network);
        }
    }
    IO.println("\n%-38s %8s %7s %9s %6s".formatted("", "bytes", "", "weights", "error"));
    IO.println(row("LeNet-300-100, Han et al., 2016", 27_000, 40, 12, 1.58));
    IO.println(row("LeNet-5, Han et al., 2016", 44_000, 39, 12, 0.74));
    rows.forEach(IO::println);
}

String row(String name, long bytes, double smaller, double fewer, double error) {
    return "%-38s %,8d %6.1fx %8.1fx %4.2f %%".formatted(name, bytes, smaller, fewer, error);
}

void run(Network network) throws IOException {
    Libtorch.seed(1);
    Dataset train = digits(Mnist.train(), 60_000);
    Path folder =
            quick
                    ? Files.createTempDirectory("deep-compression")
                    : Files.createDirectories(Path.of("deep-compression"));
    Digits net = network.make().get();
    for (int i = 0; i < network.stages().size(); i++) {
        Stage given = network.stages().get(i);
        Stage stage = quick ? given.quick() : given;
        Path file = folder.resolve("%s-%d.small".formatted(network.name(), i + 1));
        if (!Files.exists(file)) {
            keepZeros(net);
            prune(net, stage, network.dropout(), train);
            if (stage.folds()) {
                fold(net);
            }
            cut(net);
            IO.println("error before sharing: %.2f %%".formatted(error(net)));
            share(net, stage.bits(), train);
            Compressed.save(net, file);
        }
        net = network.make().get();
        net.load(file);
        IO.println(Sparsity.of(net).only("weight"));
        Sparsity all = Sparsity.of(net);
        long bytes = Files.size(file);
        rows.add(
                row(
                        "%s, %d bits".formatted(network.name(), stage.bits()),
                        bytes,
                        4.0 * all.count() / bytes,
                        all.only("weight").compression(),
                        error(net)));
        IO.println(rows.getLast());
        if (quick) {
            Files.delete(file);
        }
    }
    if (quick) {
        Files.delete(folder);
    }
}

/** Masks what an earlier stage has pruned. */
static void keepZeros(Digits net) {
    if (Sparsity.of(net).only("weight").zeros() > 0) {
        for (Module layer : net.layers()) {
            Tensor weight = layer.value("weight").detach();
            Prune.customFromMask(layer, "weight", weight.ne(new Scalar(0)));
        }
    }
}

void prune(Digits net, Stage stage, double dropout, Dataset train) {
    int perEpoch = train.size() / BATCH;
    Schedule schedule =
            Schedule.cubic(stage.from(), stage.to(), (stage.pruned() - stage.dense()) * perEpoch)
                    .after(stage.dense() * perEpoch);
    var pruning = DynamicPruning.gradual(Target.weights(net), schedule).every(20);
    net.train();
    Trainer.of(
                    net,
                    Losses.crossEntropy(),
                    Optimizers.sgd(
                            net.parameters(), stage.rate(), s -> s.momentum(0.9).weightDecay(5e-5)))
            .batchSize(BATCH)
            .seed(1)
            .learningRate(position -> stage.rate(stage.epochs() * position.share()))
            .listen(event -> {
                switch (event) {
                    case TrainingEvent.Step step -> {
                        pruning.update(step.step());
                        double left = 1 - schedule.at((int) step.step());
                        net.dropout = dropout * Math.pow(left, 0.25);
                    }
                    case TrainingEvent.EpochEnd end ->
                            IO.println(
                                    "epoch %d, loss %.4f, %.0f s"
                                            .formatted(
                                                    end.epoch() + 1,
                                                    end.loss(),
                                                    (System.nanoTime() - start) / 1e9));
                    default -> {}
                }
            })
            .train(train, stage.epochs());
    pruning.freeze();
}

/**
 * Adds what units give that read nothing to the biases of the next layer, which needs no weights.
 */
static void fold(Digits net) {
    List<Module> layers = net.layers();
    for (int i = 0; i < layers.size() - 1; i++) {
        Module layer = layers.get(i);
        Module next = layers.get(i + 1);
        Tensor bias = layer.value("bias").detach();
        Tensor weight = next.value("weight").detach();
        Tensor silent =
                layer.value("weight").detach().flatten(1, -1).abs().sum(1).eq(new Scalar(0));
        Tensor given = net.constant(layer, bias).mul(silent);
        Tensor perUnit = weight.reshape(weight.size(0), bias.numel(), -1);
        next.parameter("bias").detach().add_(perUnit.sum(2).matmul(given));
        Tensor read = silent.logical_not().view(1, -1, 1).expand_as(perUnit).reshape_as(weight);
        Prune.customFromMask(next, "weight", read);
    }
}

/** Prunes what no weight of the next layer reads, the last layer first. */
static void cut(Digits net) {
    List<Module> layers = net.layers();
    for (int i = layers.size() - 2; i >= 0; i--) {
        Module layer = layers.get(i);
        Tensor next = layers.get(i + 1).value("weight").detach();
        long units = layer.value("bias").numel();
        Tensor read = next.reshape(next.size(0), units, -1).abs().sum(0, 2).ne(new Scalar(0));
        long[] column = Tensors.shape(layer.value("weight").detach());
        Arrays.fill(column, 1, column.length, 1);
        Tensor ones = Tensors.ones(Tensors.shape(layer.value("weight").detach()));
        Prune.customFromMask(layer, "weight", ones.mul(read.view(column)));
        Prune.customFromMask(layer, "bias", read);
    }
}

/** Shares the values of what is left, trains them, and leaves them in the weights. */
static void share(Digits net, int bits, Dataset train) {
    for (Module layer : net.layers()) {
        WeightSharing.share(layer, "weight", bits);
        WeightSharing.share(layer, "bias", bits);
    }
    net.train();
    net.dropout = 0;
    Trainer.of(net, Losses.crossEntropy(), Optimizers.adam(net.parameters(), 2e-4))
            .batchSize(BATCH)
            .seed(2)
            .learningRate(position -> (1 + Math.cos(Math.PI * position.share())) / 2)
            .train(train, 2);
    for (Module layer : net.layers()) {
        for (String name : List.of("weight", "bias")) {
            WeightSharing.remove(layer, name);
            if (layer.hasBuffer(name + "_mask")) {
                Prune.remove(layer, name);
            }
        }
    }
}

/** Some digits, few if it has to be quick. */
Dataset digits(Dataset from, long count) {
    Batch all = from.all();
    long some = quick ? 500 : count;
    return Dataset.of(
            all.input().narrow(0, 0, some).contiguous(),
            all.target().narrow(0, 0, some).contiguous());
}

double error(Digits net) {
    return 100 * (1 - Evaluator.accuracy(digits(Mnist.test(), 10_000)).evaluate(net));
}

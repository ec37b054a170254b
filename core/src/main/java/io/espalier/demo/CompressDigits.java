package io.espalier.demo;

import io.espalier.data.Batch;
import io.espalier.data.DataLoader;
import io.espalier.data.Dataset;
import io.espalier.graph.GraphCost;
import io.espalier.graph.GraphModule;
import io.espalier.nn.Module;
import io.espalier.prune.IterativePruner;
import io.espalier.prune.Prune;
import io.espalier.prune.Schedule;
import io.espalier.prune.Target;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.slim.ChannelImportance;
import io.espalier.slim.Slimming;
import io.espalier.state.SavedModel;
import io.espalier.tensor.Engine;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;
import io.espalier.train.Evaluator;
import io.espalier.train.Latency;
import io.espalier.train.LearningRate;
import io.espalier.train.Losses;
import io.espalier.train.Optimizers;
import io.espalier.train.Trainer;
import io.espalier.train.TrainingEvent;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Trains a network on handwritten digits, prunes it in rounds with fine-tuning, quantizes the
 * pruned network in four ways, takes channels out of the trained one and quantizes what is left,
 * and measures what lies in the files afterwards.
 */
public final class CompressDigits {
    /** How many digits a timed batch has. */
    public static final int TIMED_BATCH = 64;

    private static final String FLOAT = "float";
    private static final String PRUNED = "pruned";
    private static final String FLOAT16 = "float16";
    private static final String DYNAMIC = "dynamic";
    private static final String INT8 = "int8";
    private static final String QAT = "qat";
    private static final String SLIM = "slim";
    private static final String SLIM_INT8 = "slim + int8";

    /**
     * What is saved and measured, in order; those after the second are the pruned network, and the
     * last two the float one with fewer channels.
     */
    public static final List<String> STAGES =
            List.of(FLOAT, PRUNED, FLOAT16, DYNAMIC, INT8, QAT, SLIM, SLIM_INT8);

    /** Three layers are weighed, three groups chosen, then they are removed. */
    private static final int SLIMMING_STEPS = 4;

    /** How often each model is called before it is timed. */
    private static final int WARM_UP = 40;

    private static final int BATCH = 128;
    private static final double LEARNING_RATE = 0.05;
    private static final double FINE_TUNING_RATE = 0.02;

    private final Settings settings;
    private final Dataset train;
    private final Dataset test;
    private final Path directory;
    private final Listener listener;

    /**
     * @param train what the network learns from: inputs [N, 1, 28, 28], targets [N] from 0 to 9
     * @param test what each stage is measured on
     * @param directory where the models are saved
     * @param listener hears how far it is
     */
    public CompressDigits(
            Settings settings, Dataset train, Dataset test, Path directory, Listener listener) {
        this.settings = settings;
        this.train = train;
        this.test = test;
        this.directory = directory;
        this.listener = listener;
    }

    /** Does it all; returns the stages in the order of {@link #STAGES}. */
    public List<Stage> run() {
        Libtorch.seed(settings.seed());
        var model = new DigitNet();
        train(model);
        model.save(file(FLOAT));
        DigitNet slim = model.copy();
        prune(model);
        Module masked = model.copy();
        Target.weights(model).forEach(weight -> Prune.remove(weight.module(), weight.name()));
        model.save(file(PRUNED));
        model.eval();
        halve(model.copy());
        quantizeDynamically(model.copy());
        quantize(model.copy());
        trainForIntegers(masked);
        slim(slim);
        quantizeByGraph(slim);
        return measure(slim);
    }

    private void train(Module model) {
        long steps = (long) new DataLoader(train, BATCH).batches() * settings.epochs();
        trainer("Training", model, LEARNING_RATE, train, settings.epochs())
                .learningRate(LearningRate.cosine().warmUp(steps / 10))
                .train(train, settings.epochs());
    }

    /** Masks the smallest weights of all layers together, a few more each round, then trains. */
    private void prune(Module model) {
        Dataset sample = train.take(Math.min(settings.fineTuning(), train.size()));
        Trainer trainer =
                trainer("Pruning", model, FINE_TUNING_RATE, sample, settings.rounds())
                        .learningRate(LearningRate.cosine());
        try (var checkpoints = new TemporaryDirectory()) {
            IterativePruner.of(model)
                    .schedule(Schedule.cubic(0, settings.sparsity(), settings.rounds()))
                    .fineTune(trainer, sample, 1)
                    .run(checkpoints.path());
        }
    }

    /** Keeps all weights in 16-bit floats. */
    private void halve(Module model) {
        model.qconfig(QConfig.float16());
        Quantization.convert(model);
        Quantization.save(model, file(FLOAT16));
    }

    /** Keeps the weights of linear layers in 8 bit; their inputs are quantized in each call. */
    private void quantizeDynamically(Module model) {
        Quantization.quantizeDynamic(model, QConfig.dynamicPerChannel());
        Quantization.save(model, file(DYNAMIC));
    }

    /** Fuses, lets observers see some training digits, and converts; zeros stay exact zeros. */
    private void quantize(Module model) {
        var calibration =
                new DataLoader(train.take(Math.min(settings.calibration(), train.size())), BATCH);
        listener.begins("Calibrating", calibration.batches());
        Quantization.fuseModules(model, DigitNet.FUSED);
        model.qconfig(QConfig.forBackend(Engine.current().toString()));
        Quantization.prepare(model);
        try (var guard = new NoGradGuard()) {
            for (Batch batch : calibration) {
                try (var scope = new PointerScope()) {
                    model.call(batch.input());
                }
                listener.step("");
            }
        }
        Quantization.convert(model);
        Quantization.save(model, file(INT8));
    }

    /** Trains on with weights and activations rounded and the masks in force, and converts. */
    private void trainForIntegers(Module model) {
        Dataset sample = train.take(Math.min(settings.roundedTraining(), train.size()));
        Quantization.fuseModulesQat(model, DigitNet.FUSED);
        model.qconfig(QConfig.qatForBackend(Engine.current().toString()));
        Quantization.prepareQat(model);
        trainer("Training for int8", model, FINE_TUNING_RATE, sample, settings.roundedEpochs())
                .learningRate(LearningRate.cosine())
                .train(sample, settings.roundedEpochs());
        model.eval();
        Quantization.convert(model);
        Quantization.save(model, file(QAT));
    }

    /** Takes out channels and neurons, lets what stays make up for them, and trains on. */
    private void slim(DigitNet model) {
        model.eval();
        listener.begins("Slimming", SLIMMING_STEPS);
        List<Tensor> digits = calibration();
        Slimming.of(model, digits.getFirst())
                .ratio(settings.width())
                .importance(ChannelImportance.secondOrder(digits))
                .progress((stage, done, total) -> listener.step(stage))
                .run();
        Dataset sample = train.take(Math.min(settings.roundedTraining(), train.size()));
        trainer("Training the slim one", model, LEARNING_RATE, sample, settings.roundedEpochs())
                .learningRate(LearningRate.cosine())
                .train(sample, settings.roundedEpochs());
        model.eval();
        model.save(file(SLIM));
    }

    /** The whole model in integers, as a program. */
    private void quantizeByGraph(DigitNet model) {
        List<Tensor> digits = calibration();
        Module program = Quantization.quantize(model, digits.getFirst(), digits);
        Quantization.save(program, file(SLIM_INT8));
    }

    private List<Tensor> calibration() {
        Dataset some = train.take(Math.min(settings.calibration(), train.size()));
        List<Tensor> digits = new ArrayList<>();
        for (Batch batch : new DataLoader(some, BATCH)) {
            digits.add(Tensors.keep(batch.input()));
        }
        return digits;
    }

    private Trainer trainer(String work, Module model, double rate, Dataset data, int epochs) {
        long steps = (long) new DataLoader(data, BATCH).batches() * epochs;
        listener.begins(work, steps);
        var sgd = Optimizers.sgd(model.parameters(), rate, s -> s.momentum(0.9).weightDecay(1e-4));
        return Trainer.of(model, Losses.crossEntropy(), sgd)
                .quiet()
                .batchSize(BATCH)
                .seed(settings.seed())
                .listen(event -> {
                    if (event instanceof TrainingEvent.Step step) {
                        listener.step("loss %.4f".formatted(step.loss()));
                    }
                });
    }

    /** Each model is read from its file, evaluated on every test digit, and timed in turns. */
    private List<Stage> measure(DigitNet slim) {
        List<Module> models = STAGES.stream().map(name -> load(name, slim)).toList();
        listener.begins("Measuring", STAGES.size() + 1);
        Batch timed = test.take(TIMED_BATCH).all();
        double[] latencies = latencies(models, timed.input());
        listener.step("latency");
        Evaluator accuracy = Evaluator.accuracy(test);
        long macs = macs(models.getFirst(), timed.input());
        long fewer = macs(models.get(STAGES.indexOf(SLIM)), timed.input());
        List<Stage> stages = new ArrayList<>();
        for (int i = 0; i < models.size(); i++) {
            SavedModel saved = SavedModel.read(file(STAGES.get(i)));
            stages.add(
                    new Stage(
                            STAGES.get(i),
                            saved.file(),
                            accuracy.evaluate(models.get(i)),
                            saved.fileBytes(),
                            STAGES.get(i).startsWith(SLIM) ? fewer : macs,
                            saved.sparsity(),
                            latencies[i]));
            listener.step(STAGES.get(i));
        }
        return stages;
    }

    /**
     * On one thread, as many requests are served at once. At first nothing counts: Java compiles
     * what lies between the kernels meanwhile.
     */
    private double[] latencies(List<Module> models, Tensor batch) {
        int threads = Libtorch.threads();
        Libtorch.threads(1);
        try {
            Latency.medians(models, WARM_UP, batch);
            return Latency.medians(models, settings.timings(), batch);
        } finally {
            Libtorch.threads(threads);
        }
    }

    /** Those of one digit. */
    private static long macs(Module model, Tensor digits) {
        Tensor digit = digits.narrow(0, 0, 1);
        return GraphCost.of(GraphModule.trace(model, digit), digit).macs();
    }

    private Module load(String name, DigitNet slim) {
        if (name.equals(SLIM_INT8)) {
            return Quantization.loadGraph(file(name));
        }
        var model = name.equals(SLIM) ? slim.alike() : new DigitNet();
        model.eval();
        if (!name.equals(SLIM) && !name.equals(FLOAT) && !name.equals(PRUNED)) {
            return Quantization.load(model, file(name));
        }
        model.load(file(name));
        return model;
    }

    /** The name of a stage's file. */
    public static String fileName(String stage) {
        return stage.replace(" + ", "-") + ".safetensors";
    }

    private Path file(String name) {
        return directory.resolve(fileName(name));
    }
}

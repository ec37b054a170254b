package io.espalier.bench;

import io.espalier.data.Batch;
import io.espalier.data.DataLoader;
import io.espalier.data.Dataset;
import io.espalier.data.Mnist;
import io.espalier.demo.CompressDigits;
import io.espalier.demo.DigitNet;
import io.espalier.nn.Module;
import io.espalier.quant.Quantization;
import io.espalier.slim.ChannelImportance;
import io.espalier.slim.Slimming;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;
import io.espalier.train.Evaluator;
import io.espalier.train.Latency;
import io.espalier.train.LearningRate;
import io.espalier.train.Losses;
import io.espalier.train.Optimizers;
import io.espalier.train.Trainer;

import org.bytedeco.pytorch.Tensor;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * Speed against accuracy of the demonstration's network with ever fewer channels: as it comes from
 * {@link Slimming}, trained for two epochs, and then in integers. Batches of 64 digits on one
 * thread, each network in turns with the float one. Makes the figure of the guide to slimming.
 */
public final class SlimmingCurve {
    private static final double[] SHARES = {0.7, 0.5, 0.35, 0.25, 0.15, 0.1};
    private static final int EPOCHS = 6;
    private static final int EPOCHS_AFTER = 2;
    private static final int TIMINGS = 100;

    private final Dataset train = Mnist.train();
    private final Dataset test = Mnist.test();
    private final List<Tensor> digits = new ArrayList<>();
    private final Map<String, List<CurveFigure.Point>> curves = new LinkedHashMap<>();
    private final DigitNet whole = new DigitNet();

    private SlimmingCurve() {
        for (Batch batch : new DataLoader(train.take(1000), 125)) {
            digits.add(Tensors.keep(batch.input()));
        }
    }

    /**
     * Measures it all and draws it.
     *
     * @param arguments the file to draw it in
     */
    public static void main(String[] arguments) throws IOException {
        Libtorch.seed(1);
        var curve = new SlimmingCurve();
        curve.measure();
        CurveFigure.draw(
                "times as fast (64 digits, one thread)",
                "right of 10,000 test digits, %",
                curve.curves,
                Path.of(arguments.length > 0 ? arguments[0] : "slimming.png"));
    }

    private void measure() {
        train(whole, EPOCHS);
        add("float", whole);
        add("int8", integers(whole));
        for (double share : SHARES) {
            DigitNet slim = whole.copy();
            Slimming.of(slim, timed())
                    .macs(share)
                    .importance(ChannelImportance.secondOrder(digits))
                    .run();
            add("slim", slim);
            train(slim, EPOCHS_AFTER);
            add("slim, trained", slim);
            add("slim, trained, int8", integers(slim));
        }
    }

    private Tensor timed() {
        return test.take(CompressDigits.TIMED_BATCH).all().input();
    }

    private Module integers(Module model) {
        return Quantization.quantize(model, digits.getFirst(), digits);
    }

    private void add(String curve, Module model) {
        model.eval();
        int threads = Libtorch.threads();
        Libtorch.threads(1);
        double[] medians = Latency.medians(List.of(whole, model), TIMINGS, timed());
        Libtorch.threads(threads);
        double speed = medians[0] / medians[1];
        double right = 100 * Evaluator.accuracy(test).evaluate(model);
        curves.computeIfAbsent(curve, name -> new ArrayList<>())
                .add(new CurveFigure.Point(speed, right));
        System.out.printf(Locale.ROOT, "%-20s %5.2f x  %5.2f %%%n", curve, speed, right);
    }

    private void train(Module model, int epochs) {
        model.train();
        var sgd = Optimizers.sgd(model.parameters(), 0.05, s -> s.momentum(0.9).weightDecay(1e-4));
        Trainer.of(model, Losses.crossEntropy(), sgd)
                .quiet()
                .batchSize(128)
                .seed(1)
                .learningRate(LearningRate.cosine().warmUp(50))
                .train(train, epochs);
        model.eval();
    }
}

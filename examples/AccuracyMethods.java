// What to do when quantization costs too much accuracy, without training: equalization, adaptive
// rounding and bias correction on a convolutional network with 3-bit weights, and smoothing on a
// block as of a transformer, a few of whose channels are far larger than the others.

import io.espalier.data.Dataset;
import io.espalier.data.Mnist;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Flatten;
import io.espalier.nn.GELU;
import io.espalier.nn.LayerNorm;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.quant.accuracy.AdaRound;
import io.espalier.quant.accuracy.BiasCorrection;
import io.espalier.quant.accuracy.Equalization;
import io.espalier.quant.accuracy.SmoothQuant;
import io.espalier.quant.observer.MinMaxObserver;
import io.espalier.quant.observer.Qscheme;
import io.espalier.quant.observer.QuantizedType;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;
import io.espalier.train.Evaluator;
import io.espalier.train.Losses;
import io.espalier.train.Optimizers;
import io.espalier.train.Trainer;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;

import java.util.List;

/** Weights of 3 bits with one scale for a layer. */
static QConfig threeBits() {
    return new QConfig(
            QConfig.forBackend("x86").activation(),
            MinMaxObserver.with()
                    .dtype(QuantizedType.QINT8)
                    .qscheme(Qscheme.PER_TENSOR_SYMMETRIC)
                    .quantRange(-4, 3));
}

static <M extends Module> M converted(M model, Tensor calibration) {
    M copy = model.copy();
    Quantization.prepare(copy);
    copy.call(calibration);
    Quantization.convert(copy);
    return copy;
}

static Sequential network() {
    return new Sequential(
            new Conv2d(1, 16, 5, o -> o.stride(2)),
            new ReLU(),
            new Conv2d(16, 16, 3, o -> o.stride(2).groups(16)),
            new ReLU(),
            new Conv2d(16, 32, 1),
            new ReLU(),
            new Flatten(),
            new Linear(800, 10));
}

static void roundsDigits() {
    Dataset digits = Mnist.train().take(5000);
    Evaluator accuracy = Evaluator.accuracy(Mnist.test().take(1000));
    var model = network();
    Trainer.of(model, Losses.crossEntropy(), Optimizers.adam(model.parameters(), 2e-3))
            .train(digits, 2);
    model.eval();
    Tensor calibration = digits.take(512).all().input();
    Quantization.fuse(model, calibration);
    model.qconfig(threeBits());
    IO.println("float                        %.3f".formatted(accuracy.evaluate(model)));
    IO.println(
            "3 bits, rounded to nearest   %.3f"
                    .formatted(accuracy.evaluate(converted(model, calibration))));

    // Layers in a row, with nothing but ReLU between them; they may be listed by hand too.
    for (List<String> chain : Equalization.chains(model, calibration)) {
        Equalization.apply(model, chain);
    }
    IO.println(
            "equalized                    %.3f"
                    .formatted(accuracy.evaluate(converted(model, calibration))));

    // The float model is kept: what the bias correction holds the integers against.
    Sequential reference = model.copy();
    IO.println(AdaRound.apply(model, List.of(calibration), o -> o.iterations(500)));
    Sequential quantized = converted(model, calibration);
    IO.println("... and adaptively rounded   %.3f".formatted(accuracy.evaluate(quantized)));

    BiasCorrection.apply(reference, quantized, List.of(calibration));
    IO.println("... and biases corrected     %.3f".formatted(accuracy.evaluate(quantized)));
}

/** The part of a transformer's block that widens and narrows. */
static final class FeedForward extends Module {
    final LayerNorm norm = add("norm", new LayerNorm(64));
    final Linear up = add("up", new Linear(64, 256));
    final GELU gelu = add("gelu", new GELU());
    final Linear down = add("down", new Linear(256, 64));

    @Override
    protected Tensor forward(Tensor x) {
        return down.call(gelu.call(up.call(norm.call(x))));
    }
}

static void smoothsOutliers() {
    var model = new FeedForward();
    model.eval();
    model.norm.parameter("weight").detach().select(0, 7).fill_(new Scalar(80));
    model.up.parameter("weight").detach().select(1, 7).mul_(new Scalar(0.02));
    Tensor x = Tensors.randn(32, 16, 64);
    Tensor expected = model.call(x);
    model.qconfig(QConfig.forBackend("x86"));
    IO.println("int8: error %.4f".formatted(error(expected, converted(model, x).call(x))));

    // GELU lets no factor through, so what is divided before "down" is divided by a module of its
    // own.
    SmoothQuant.apply(
            model,
            List.of(SmoothQuant.Group.after("norm", "up"), SmoothQuant.Group.alone("down")),
            List.of(x));
    IO.println("smoothed: in float %.4f".formatted(error(expected, model.call(x))));
    IO.println("smoothed: int8 %.4f".formatted(error(expected, converted(model, x).call(x))));
    IO.println(model);
}

static double error(Tensor expected, Tensor actual) {
    return actual.sub(expected).norm().item_double() / expected.norm().item_double();
}

void main() {
    Libtorch.seed(3);
    roundsDigits();
    smoothsOutliers();
}

// Trains a network for 8-bit integers: fake quantization rounds weights and activations while the
// network learns, the ranges follow the data, and the converted model is evaluated on the way.

import io.espalier.data.Dataset;
import io.espalier.data.Mnist;
import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Flatten;
import io.espalier.nn.Linear;
import io.espalier.nn.MaxPool2d;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.quant.qat.QatPhases;
import io.espalier.tensor.Libtorch;
import io.espalier.train.Evaluator;
import io.espalier.train.Losses;
import io.espalier.train.Metrics;
import io.espalier.train.Optimizers;
import io.espalier.train.Trainer;
import io.espalier.train.TrainingEvent;

import org.bytedeco.pytorch.Tensor;

import java.util.List;

static class Digits extends Module {
    final Conv2d conv = add("conv", new Conv2d(1, 8, 5, o -> o.stride(2)));
    final BatchNorm2d bn = add("bn", new BatchNorm2d(8));
    final ReLU relu = add("relu", new ReLU());
    final MaxPool2d pool = add("pool", new MaxPool2d(2));
    final Flatten flatten = add("flatten", new Flatten());
    final Linear fc = add("fc", new Linear(8 * 6 * 6, 10));

    @Override
    protected Tensor forward(Tensor x) {
        return fc.call(flatten.call(pool.call(relu.call(bn.call(conv.call(x))))));
    }
}

void main() {
    Libtorch.seed(0);
    Dataset trainSet = Mnist.train().take(2500);
    Dataset testSet = Mnist.test().take(500);
    var model = new Digits();

    // In training mode the batch normalization is kept, and goes on learning with the convolution.
    Quantization.fuseModulesQat(model, List.of("conv", "bn", "relu"));
    model.qconfig(QConfig.qatForBackend("fbgemm"));
    Quantization.prepareQat(model);
    IO.println(model);

    // What counts is what the integers will say, so that is what is evaluated on the way.
    Trainer.of(model, Losses.crossEntropy(), Optimizers.sgd(model.parameters(), 0.05, 0.9))
            .evaluateEvery(40, testSet, Metrics.accuracy())
            .evaluateAs(Quantization::converted)
            .listen(event -> {
                if (event instanceof TrainingEvent.Evaluated evaluated) {
                    IO.println(
                            "step %d: in 8-bit integers %.3f"
                                    .formatted(
                                            evaluated.scores().step(), evaluated.scores().first()));
                }
            })
            .train(trainSet, 2);

    // The last epoch: statistics and ranges stay, the weights settle.
    QatPhases.freezeBatchNorm(model, true);
    QatPhases.enableObservers(model, false);
    Trainer.of(model, Losses.crossEntropy(), Optimizers.sgd(model.parameters(), 0.005))
            .train(trainSet, 1);

    model.eval();
    Quantization.convert(model);
    IO.println(model);
    IO.println(
            "Accuracy in 8-bit integers: %.3f"
                    .formatted(Evaluator.accuracy(testSet).evaluate(model)));
}

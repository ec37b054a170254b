// Which layer does quantization hurt? A table of each layer quantized alone; and the model that
// leaves so few layers in float that it stays within a loss of accuracy that is allowed. Weights of
// two bits make the difference large.

import io.espalier.data.Dataset;
import io.espalier.data.Mnist;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Flatten;
import io.espalier.nn.Linear;
import io.espalier.nn.MaxPool2d;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.quant.evaluation.Evaluation;
import io.espalier.quant.evaluation.MixedPrecision;
import io.espalier.quant.evaluation.Sensitivity;
import io.espalier.quant.observer.MinMaxObserver;
import io.espalier.quant.observer.Qscheme;
import io.espalier.quant.observer.QuantizedType;
import io.espalier.tensor.Libtorch;
import io.espalier.train.Losses;
import io.espalier.train.Metrics;
import io.espalier.train.Optimizers;
import io.espalier.train.Trainer;

import org.bytedeco.pytorch.Tensor;

import java.util.List;

static Sequential network() {
    return new Sequential(
            new Conv2d(1, 8, 5),
            new ReLU(),
            new MaxPool2d(2),
            new Conv2d(8, 16, 3),
            new ReLU(),
            new MaxPool2d(2),
            new Flatten(),
            new Linear(400, 32),
            new ReLU(),
            new Linear(32, 10));
}

void main() {
    Libtorch.seed(2);
    Dataset digits = Mnist.train().take(3000);
    Dataset test = Mnist.test().take(1000);
    var model = network();
    Trainer.of(model, Losses.crossEntropy(), Optimizers.adam(model.parameters(), 2e-3))
            .train(digits, 2);
    model.eval();

    List<Tensor> calibration = List.of(digits.take(500).all().input());
    Quantization.fuse(model, calibration.getFirst());
    QConfig twoBits =
            new QConfig(
                    QConfig.forBackend("x86").activation(),
                    MinMaxObserver.with()
                            .dtype(QuantizedType.QINT8)
                            .qscheme(Qscheme.PER_TENSOR_SYMMETRIC)
                            .quantRange(-2, 1));
    IO.println(Sensitivity.of(model, twoBits, calibration, test, Metrics.accuracy()));

    MixedPrecision mixed =
            MixedPrecision.find(model, twoBits, calibration, test, Metrics.accuracy(), 0.03);
    IO.println("left in float: " + mixed.inFloat());
    IO.println(Evaluation.compare(model, mixed.model(), test));
}

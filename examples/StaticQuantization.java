// Quantizes a model after training, in the six steps of the specification: a model, calibration
// data,
// fusion, configuration, quantization, evaluation. The converted model computes in 8-bit integers.

import io.espalier.data.Dataset;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.quant.evaluation.Evaluation;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Tensor;

import java.util.List;

static class SimpleModel extends Module {
    final Linear fc = add("fc", new Linear(10, 64));
    final ReLU relu = add("relu", new ReLU());
    final Linear out = add("out", new Linear(64, 5));

    @Override
    protected Tensor forward(Tensor x) {
        return out.call(relu.call(fc.call(x)));
    }
}

void main() {
    Libtorch.seed(0);
    var model = new SimpleModel();
    model.eval();
    SimpleModel reference = model.copy();
    Tensor calibrationData = Tensors.randn(100, 10);

    // A name that is not there, or one module alone, can't be fused; the error says what can.
    try {
        Quantization.fuseModules(model, List.of("linear"));
    } catch (EspalierException e) {
        IO.println(e.getMessage());
    }
    Quantization.fuseModules(model, List.of("fc", "relu"));

    model.qconfig(QConfig.forBackend("fbgemm"));
    Quantization.prepare(model);
    model.call(calibrationData);
    Quantization.convert(model);
    IO.println(model);

    // Floats in, floats out. How often do both models choose the same class?
    Tensor x = Tensors.randn(1000, 10);
    Tensor classes = reference.call(x).argmax(new LongOptional(1), false);
    IO.println(Evaluation.compare(reference, model, Dataset.of(x, classes)));
}

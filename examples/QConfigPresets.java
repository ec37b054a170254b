// The presets: fbgemm, x86 and onednn for x86 processors, qnnpack for ARM, float16 for 16-bit
// weights.
// The same model is quantized with each.

import io.espalier.nn.Linear;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.tensor.Engine;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

import java.util.List;

static Sequential network() {
    return new Sequential(new Linear(10, 32), new ReLU(), new Linear(32, 5));
}

void main() {
    Libtorch.seed(0);
    var model = network();
    model.eval();
    Tensor calibrationData = Tensors.randn(200, 10);
    Tensor x = Tensors.randn(50, 10);
    Tensor expected = model.call(x);

    for (String backend : List.of("fbgemm", "x86", "qnnpack", "onednn", "float16")) {
        if (!backend.equals("float16") && !Engine.available().contains(Engine.of(backend))) {
            IO.println(backend + ": not on this platform");
            continue;
        }
        Sequential quantized = model.copy();
        Quantization.fuseModules(quantized, List.of("0", "1"));
        quantized.qconfig(QConfig.forBackend(backend));
        Quantization.prepare(quantized);
        quantized.call(calibrationData);
        Quantization.convert(quantized);
        Tensor error = quantized.call(x).sub(expected).abs().max();
        IO.println(backend + ": largest error " + error.item_float());
    }
}

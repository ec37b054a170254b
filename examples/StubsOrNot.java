// QuantStub and DeQuantStub say where a model turns from floats to integers and back. Where they
// are
// missing, the first layer quantizes its input by the range it saw while calibrating, and the
// model's
// output is turned back by itself: both models here take and return floats.

import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.quant.DeQuantStub;
import io.espalier.quant.QConfig;
import io.espalier.quant.QuantStub;
import io.espalier.quant.Quantization;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

static class WithStubs extends Module {
    final QuantStub quant = add("quant", new QuantStub());
    final Linear fc = add("fc", new Linear(10, 5));
    final DeQuantStub dequant = add("dequant", new DeQuantStub());

    @Override
    protected Tensor forward(Tensor x) {
        return dequant.call(fc.call(quant.call(x)));
    }
}

static class WithoutStubs extends Module {
    final Linear fc = add("fc", new Linear(10, 5));

    @Override
    protected Tensor forward(Tensor x) {
        return fc.call(x);
    }
}

void main() {
    Libtorch.seed(0);
    var with = new WithStubs();
    var without = new WithoutStubs();
    without.loadStateDict(with.stateDict());
    Tensor calibrationData = Tensors.randn(100, 10);
    Tensor x = Tensors.randn(1, 10);
    IO.println("float:         " + Tensors.toString(with.call(x)));
    for (Module model : new Module[] {with, without}) {
        model.eval();
        model.qconfig(QConfig.forBackend("x86"));
        Quantization.prepare(model);
        model.call(calibrationData);
        Quantization.convert(model);
        IO.println(model);
        IO.println("int8:          " + Tensors.toString(model.call(x)));
    }
}

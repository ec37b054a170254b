// A configuration of one's own: which observer finds the range of the activations, and which that
// of
// the weights. A part of the model has its own, and a part is left out.

import static io.espalier.quant.observer.Qscheme.PER_CHANNEL_SYMMETRIC;
import static io.espalier.quant.observer.Qscheme.PER_TENSOR_SYMMETRIC;
import static io.espalier.quant.observer.QuantizedType.QINT8;
import static io.espalier.quant.observer.QuantizedType.QUINT8;

import io.espalier.nn.Linear;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.quant.observer.MinMaxObserver;
import io.espalier.quant.observer.PerChannelMinMaxObserver;
import io.espalier.tensor.Tensors;

static Sequential network() {
    return new Sequential(new Linear(10, 16), new ReLU(), new Linear(16, 16), new Linear(16, 5));
}

void main() {
    var qconfig =
            new QConfig(
                    MinMaxObserver.with().dtype(QUINT8),
                    PerChannelMinMaxObserver.with().dtype(QINT8).qscheme(PER_CHANNEL_SYMMETRIC));
    var model = network();
    model.eval();
    model.qconfig(qconfig);
    model.get(2)
            .qconfig(
                    new QConfig(
                            MinMaxObserver.with().dtype(QUINT8).reduceRange(true),
                            MinMaxObserver.with().dtype(QINT8).qscheme(PER_TENSOR_SYMMETRIC)));
    model.get(3).qconfig(null);

    Quantization.prepare(model);
    IO.println(model);
    model.call(Tensors.randn(100, 10));
    Quantization.convert(model);
    IO.println(model);
    IO.println(Tensors.toString(model.call(Tensors.randn(1, 10))));
}

// Fuses layers for inference: Linear and ReLU by their names, Conv, BatchNorm and ReLU by their
// places
// in a Sequential, and several chains at once with nested names.

import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.quant.Quantization;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

import java.util.List;

static class SimpleModel extends Module {
    final Linear linear = add("linear", new Linear(10, 5));
    final ReLU relu = add("relu", new ReLU());

    @Override
    protected Tensor forward(Tensor x) {
        return relu.call(linear.call(x));
    }
}

static class SimpleCnn extends Module {
    final Sequential convBnRelu =
            add(
                    "conv_bn_relu",
                    new Sequential(
                            new Conv2d(3, 32, 3, o -> o.padding(1)),
                            new BatchNorm2d(32),
                            new ReLU()));
    final Sequential head = add("head", new Sequential(new Conv2d(32, 8, 1), new BatchNorm2d(8)));

    @Override
    protected Tensor forward(Tensor x) {
        return head.call(convBnRelu.call(x));
    }
}

void main() {
    var model = new SimpleModel();
    Quantization.fuseModules(model, List.of("linear", "relu"));
    IO.println(model);

    var cnn = new SimpleCnn();
    cnn.eval();
    Tensor x = Tensors.randn(1, 3, 8, 8);
    Tensor before = cnn.call(x);
    Quantization.fuseModules(
            cnn,
            List.of(
                    List.of("conv_bn_relu.0", "conv_bn_relu.1", "conv_bn_relu.2"),
                    List.of("head.0", "head.1")));
    IO.println(cnn);
    IO.println("Largest change of the output: " + cnn.call(x).sub(before).abs().max().item_float());
}

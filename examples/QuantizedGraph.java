// Quantizes a network with a shortcut in one call: no stubs, no fusing by hand. The network is read
// as a program; convolution, batch normalization, sum and ReLU become one integer kernel each.

import io.espalier.graph.GraphModule;
import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Functional;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.quant.Quantization;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

static class Residual extends Module {
    final Conv2d stem = add("stem", new Conv2d(1, 8, 3, o -> o.stride(2).padding(1)));
    final Conv2d conv = add("conv", new Conv2d(8, 8, 3, o -> o.padding(1)));
    final BatchNorm2d norm = add("norm", new BatchNorm2d(8));
    final Linear fc = add("fc", new Linear(8, 10));

    @Override
    protected Tensor forward(Tensor image) {
        Tensor x = Functional.hardswish(stem.call(image));
        x = Functional.relu(Functional.add(norm.call(conv.call(x)), x));
        return fc.call(Functional.flatten(Functional.adaptiveAvgPool2d(x, 1, 1), 1, -1));
    }
}

void main() throws IOException {
    Libtorch.seed(0);
    var model = new Residual();
    model.eval();
    Tensor example = Tensors.randn(8, 1, 28, 28);
    List<Tensor> calibration = List.of(example, Tensors.randn(8, 1, 28, 28));

    GraphModule int8 = Quantization.quantize(model, example, calibration);
    IO.println(int8.graph());
    IO.println(int8);

    Tensor expected = model.call(example);
    float largest = expected.abs().max().item_float();
    float apart = expected.sub(int8.call(example)).abs().max().item_float();
    IO.println("apart from the float model by at most %.4f of %.4f".formatted(apart, largest));

    Path file = Files.createTempFile("residual", ".safetensors");
    Quantization.save(int8, file);
    GraphModule loaded = Quantization.loadGraph(file);
    IO.println(
            "the same after loading: " + Tensors.equal(int8.call(example), loaded.call(example)));
    Files.delete(file);
}

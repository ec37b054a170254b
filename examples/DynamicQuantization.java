// Dynamic quantization: weights of Linear, LSTM and GRU in 8-bit integers or 16-bit floats, no
// calibration. Each call finds the range of its input by itself.

import io.espalier.nn.LSTM;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

static class Tagger extends Module {
    final LSTM lstm = add("lstm", new LSTM(32, 64, o -> o.layers(2).batchFirst(true)));
    final Linear out = add("out", new Linear(64, 12));

    @Override
    protected Tensor forward(Tensor x) {
        return out.call(lstm.call(x));
    }
}

void main() throws Exception {
    Libtorch.seed(0);
    var model = new Tagger();
    model.eval();
    Tensor x = Tensors.randn(4, 20, 32);
    Tensor expected = model.call(x);
    Path folder = Files.createTempDirectory("dynamic");
    Path plain = folder.resolve("float.safetensors");
    model.save(plain);
    IO.println("float: " + Files.size(plain) + " bytes");

    var kinds =
            Map.of(
                    "int8", QConfig.dynamic(),
                    "int8 per channel", QConfig.dynamicPerChannel(),
                    "float16", QConfig.float16());
    for (String kind : kinds.keySet().stream().sorted().toList()) {
        Tagger small = model.copy();
        Quantization.quantizeDynamic(small, kinds.get(kind));
        Path file = folder.resolve(kind + ".safetensors");
        Quantization.save(small, file);
        Tagger loaded = Quantization.load(model, file);
        float error = loaded.call(x).sub(expected).abs().max().item_float();
        IO.println(kind + ": " + Files.size(file) + " bytes, largest error " + error);
        IO.println(loaded);
    }
}

// Writes a network of Java as ONNX files, pruned and then in 8-bit integers, and lets ONNX Runtime
// run them: the results are those of the Java models, up to rounding.

import io.espalier.graph.GraphModule;
import io.espalier.nn.AdaptiveAvgPool2d;
import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Flatten;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.onnx.export.OnnxExport;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.run.OnnxSession;
import io.espalier.prune.Prune;
import io.espalier.quant.Quantization;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/** Runs a model's file in ONNX Runtime and prints how far it is from the model itself. */
void compare(String name, Module model, Path file, Tensor image) throws IOException {
    OnnxModel loaded = OnnxModel.load(file);
    try (var session = OnnxSession.open(loaded)) {
        Tensor scores = session.run(Map.of("image", image)).get("scores");
        float apart = scores.sub(model.call(image)).abs().max().item_float();
        IO.println(
                "%s: %d nodes, %d bytes, apart by at most %.5f"
                        .formatted(name, loaded.graph().nodes().size(), Files.size(file), apart));
    }
}

Path export(String name, Module model, Tensor example, Path folder) {
    OnnxModel exported =
            OnnxExport.of(model, List.of(example), o -> o.inputs("image").outputs("scores"));
    Path file = folder.resolve(name + ".onnx");
    exported.save(file);
    return file;
}

static Sequential network() {
    return new Sequential(
            new Conv2d(3, 32, 3, o -> o.padding(1)),
            new BatchNorm2d(32),
            new ReLU(),
            new Conv2d(32, 32, 3, o -> o.padding(1)),
            new ReLU(),
            new AdaptiveAvgPool2d(1),
            new Flatten(),
            new Linear(32, 10));
}

void main() throws IOException {
    Libtorch.seed(0);
    var model = network();
    model.eval();
    Prune.l1Unstructured(model.get(0), "weight", 0.5);
    Tensor images = Tensors.randn(4, 3, 16, 16);
    GraphModule int8 = Quantization.quantize(model, images, List.of(images));

    Path folder = Files.createTempDirectory("onnx");
    for (Map.Entry<String, Module> each :
            List.<Map.Entry<String, Module>>of(
                    Map.entry("pruned", model), Map.entry("int8", int8))) {
        Path file = export(each.getKey(), each.getValue(), images, folder);
        compare(each.getKey(), each.getValue(), file, Tensors.randn(1, 3, 16, 16));
        Files.delete(file);
    }
    Files.delete(folder);
}

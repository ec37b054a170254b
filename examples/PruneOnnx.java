// Half of an ONNX model's weights pruned, and its accuracy brought back without labels: the float
// model teaches the sparse one, layer by layer.

import io.espalier.nn.AdaptiveAvgPool2d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Flatten;
import io.espalier.nn.Linear;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.onnx.export.OnnxExport;
import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.tune.FineTuner;
import io.espalier.onnx.tune.OnnxPruner;
import io.espalier.onnx.tune.PrunedModel;
import io.espalier.onnx.tune.TunedModel;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

/** What the service sees, without labels. */
List<Map<String, Tensor>> unlabelled() {
    return Stream.generate(() -> Map.of("image", Tensors.randn(8, 3, 16, 16))).limit(4).toList();
}

void main() throws IOException {
    Libtorch.seed(1);
    Path folder = Files.createTempDirectory("espalier-example");
    OnnxModel model = OnnxModel.load(exported(folder.resolve("model.onnx")));

    PrunedModel pruned = OnnxPruner.l1(0.5).prune(model);
    TunedModel tuned = FineTuner.distilling(model).tune(pruned.model(), Inputs.of(unlabelled()));
    tuned.model().save(folder.resolve("model-sparse.onnx"));

    IO.println("Sparsity %.2f".formatted(pruned.sparsity()));
    IO.println(
            "Cosine to the float model: %.4f pruned, %.4f fitted"
                    .formatted(
                            1 - tuned.dropBefore().orElseThrow(),
                            1 - tuned.dropAfter().orElseThrow()));
}

static Sequential network() {
    return new Sequential(
            new Conv2d(3, 16, 3, o -> o.padding(1)),
            new ReLU(),
            new Conv2d(16, 32, 3, o -> o.padding(1)),
            new ReLU(),
            new AdaptiveAvgPool2d(1),
            new Flatten(),
            new Linear(32, 10));
}

/** Stands for a file that came from anywhere. */
Path exported(Path file) {
    var network = network();
    network.eval();
    OnnxExport.of(
                    network,
                    List.of(Tensors.randn(2, 3, 16, 16)),
                    o -> o.inputs("image").outputs("scores"))
            .save(file);
    return file;
}

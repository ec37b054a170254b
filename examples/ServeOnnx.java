// A quantized model in a service: one file runs by ONNX Runtime, one by libtorch's fused integer
// kernels, each from several threads at once, on numbers in Java's own memory.

import io.espalier.nn.AdaptiveAvgPool2d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Flatten;
import io.espalier.nn.Hardswish;
import io.espalier.nn.Linear;
import io.espalier.nn.Sequential;
import io.espalier.onnx.export.OnnxExport;
import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.quant.QuantizationMode;
import io.espalier.onnx.quant.Quantizer;
import io.espalier.onnx.serve.CompressedModel;
import io.espalier.onnx.serve.NumberArray;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

void main() throws Exception {
    Libtorch.seed(1);
    Path folder = Files.createTempDirectory("espalier-example");
    OnnxModel model = OnnxModel.load(exported(folder.resolve("model.onnx")));
    Inputs images =
            Inputs.of(
                    Stream.generate(() -> Map.of("image", Tensors.randn(8, 3, 16, 16)))
                            .limit(4)
                            .toList());

    Path forOnnxRuntime = folder.resolve("model-int8.onnx");
    Path forLibtorch = folder.resolve("model-int8.safetensors");
    Quantizer.of(QuantizationMode.STATIC).quantize(model, images).save(forOnnxRuntime);
    Quantizer.auto().quantizeForLibtorch(model, images).save(forLibtorch);

    for (Path file : List.of(folder.resolve("model.onnx"), forOnnxRuntime, forLibtorch)) {
        serve(file);
    }
}

/** Answers eight requests from four threads. */
void serve(Path file) throws Exception {
    try (var model = CompressedModel.load(file, s -> s.threads(1));
            var threads = Executors.newFixedThreadPool(4)) {
        Callable<NumberArray> request =
                () -> model.run(NumberArray.of(new float[3 * 16 * 16], 1, 3, 16, 16));
        List<Future<NumberArray>> answers = threads.invokeAll(Collections.nCopies(8, request));
        float[] scores = answers.getLast().get().floats();
        IO.println(
                "%s by %s: %d answers of %d scores, the first %.4f"
                        .formatted(
                                file.getFileName(),
                                model.runtime(),
                                answers.size(),
                                scores.length,
                                scores[0]));
    }
}

static Sequential network() {
    return new Sequential(
            new Conv2d(3, 16, 3, o -> o.padding(1)),
            new Hardswish(),
            new Conv2d(16, 32, 3, o -> o.padding(1)),
            new Hardswish(),
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

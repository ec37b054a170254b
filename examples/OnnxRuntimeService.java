// Serves a quantized model by ONNX Runtime's own Java API, with no other library: one session for
// all threads, buffers outside of Java's heap that each thread uses again and again.

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;

import io.espalier.nn.AdaptiveAvgPool2d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Flatten;
import io.espalier.nn.Linear;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.onnx.export.OnnxExport;
import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.quant.QuantizationMode;
import io.espalier.onnx.quant.Quantizer;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

static final int SIZE = 16;
static final int SCORES = 10;

/** Classifies pictures; safe on any number of threads. */
static final class Classifier implements AutoCloseable {
    private final OrtEnvironment runtime = OrtEnvironment.getEnvironment();
    private final OrtSession session;
    private final ThreadLocal<FloatBuffer> pixels =
            ThreadLocal.withInitial(() ->
                    ByteBuffer.allocateDirect(3 * SIZE * SIZE * Float.BYTES)
                            .order(ByteOrder.nativeOrder())
                            .asFloatBuffer());

    /**
     * Loads a file.
     *
     * @param threads within one call: as many as there are cores where calls come one by one, 1
     *     where many come at once
     */
    Classifier(Path model, int threads) throws OrtException {
        try (var options = new OrtSession.SessionOptions()) {
            options.setIntraOpNumThreads(threads);
            options.addConfigEntry("session.intra_op.allow_spinning", "0");
            session = runtime.createSession(model.toString(), options);
        }
    }

    float[] scores(float[] picture) throws OrtException {
        FloatBuffer buffer = pixels.get().clear().put(picture).flip();
        try (var image = OnnxTensor.createTensor(runtime, buffer, new long[] {1, 3, SIZE, SIZE});
                var results = session.run(Map.of("image", image))) {
            return ((float[][]) results.get("scores").orElseThrow().getValue())[0];
        }
    }

    @Override
    public void close() throws OrtException {
        session.close();
    }
}

void main() throws Exception {
    Libtorch.seed(1);
    Path folder = Files.createTempDirectory("service");
    Path file = folder.resolve("model.onnx");
    export(network(), file);
    Path small = folder.resolve("model-int8.onnx");
    List<Map<String, Tensor>> pictures = List.of(Map.of("image", Tensors.rand(32, 3, SIZE, SIZE)));
    Quantizer.of(QuantizationMode.STATIC)
            .quantize(OnnxModel.load(file), Inputs.of(pictures))
            .save(small);

    for (Path model : List.of(file, small)) {
        try (var classifier = new Classifier(model, 1);
                var threads = Executors.newFixedThreadPool(4)) {
            Callable<float[]> request = () -> classifier.scores(new float[3 * SIZE * SIZE]);
            List<Future<float[]>> answers = threads.invokeAll(Collections.nCopies(16, request));
            IO.println(
                    "%s, %d bytes: %d answers of %d scores, the first %.4f"
                            .formatted(
                                    model.getFileName(),
                                    Files.size(model),
                                    answers.size(),
                                    SCORES,
                                    answers.getLast().get()[0]));
        }
    }
}

static Sequential network() {
    return new Sequential(
            new Conv2d(3, 16, 3, o -> o.padding(1)),
            new ReLU(),
            new Conv2d(16, 32, 3, o -> o.padding(1)),
            new ReLU(),
            new AdaptiveAvgPool2d(1),
            new Flatten(),
            new Linear(32, SCORES));
}

/** Stands for a file that came from anywhere. */
void export(Sequential network, Path file) {
    network.eval();
    OnnxExport.of(
                    network,
                    List.of(Tensors.randn(2, 3, SIZE, SIZE)),
                    o -> o.inputs("image").outputs("scores"))
            .save(file);
}

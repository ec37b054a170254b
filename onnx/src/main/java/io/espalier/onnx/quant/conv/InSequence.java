package io.espalier.onnx.quant.conv;

import io.espalier.onnx.fit.LayerRows;
import io.espalier.onnx.fit.NormalEquations;
import io.espalier.onnx.fit.ReferenceStream;
import io.espalier.onnx.fit.ValueStream;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import java.util.function.Supplier;

/**
 * Fits each layer to what the quantized layers before it give: ranges of least squared error, and
 * biases that bring each channel's mean back to the float model's (Nagel et al., Data-Free
 * Quantization through Weight Equalization and Bias Correction, 2019, section 4.2, with measured
 * means).
 */
final class InSequence implements Calibrator, AutoCloseable {
    /** Weights of wider layers stay: their sums, squares of this, take long and much memory. */
    private static final long MOST_INPUTS = 2048;

    private final ValueStream stream;
    private final Map<String, double[]> floatMeans;
    private final Optional<ReferenceStream> reference;
    private final Map<String, Double> errors = new HashMap<>();

    /**
     * @param floatMeans of each channel of the outputs of convolutions, in the float model; unused
     *     where there is a reference
     * @param reference the float model on the same data, where weights are fitted to it too
     */
    InSequence(
            OnnxModel versions,
            List<Map<String, Tensor>> data,
            Map<String, double[]> floatMeans,
            Optional<ReferenceStream> reference) {
        this.stream = new ValueStream(versions, data);
        this.floatMeans = floatMeans;
        this.reference = reference;
    }

    @Override
    public void wrote(String name, ConstantTensor constant) {
        stream.addConstant(name, constant);
    }

    @Override
    public void wrote(OnnxNode node) {
        stream.add(node);
    }

    @Override
    public void begin(Supplier<Set<String>> live) {
        stream.begin(live);
    }

    @Override
    public AffineScale ofFloats(String value) {
        var sample = new ChannelSample();
        stream.forEach(value, sample::add);
        return sample.unshifted().leastError();
    }

    @Override
    public AffineScale ofFloats(Trial trial) {
        return channels(trial).unshifted().leastError();
    }

    @Override
    public AffineScale ofFunction(
            IntegerValue value, Sample.Function function, Sample.Candidate candidate) {
        long[] counts = new long[256];
        stream.forEach(value.codes(), codes -> count(codes, counts));
        var results = new float[256];
        for (int code = 0; code < 256; code++) {
            results[code] = function.at(value.scale().value(code));
        }
        return Sample.best(
                candidate,
                scale -> {
                    double error = 0;
                    for (int code = 0; code < 256; code++) {
                        double off = scale.rounded(results[code]) - results[code];
                        error += counts[code] * off * off;
                    }
                    return error;
                });
    }

    private static void count(Tensor codes, long[] counts) {
        MemorySegment bytes = Tensors.segment(codes);
        for (long i = 0; i < bytes.byteSize(); i++) {
            counts[Byte.toUnsignedInt(bytes.get(ValueLayout.JAVA_BYTE, i))]++;
        }
    }

    @Override
    public ConstantTensor weight(OnnxNode node, ConstantTensor weight, List<OnnxNode> input) {
        Optional<LayerRows> rows = LayerRows.of(node, weight.shape());
        long inputs = weight.shape().stream().skip(1).reduce(1L, (a, b) -> a * b);
        return reference.isPresent() && rows.isPresent() && inputs <= MOST_INPUTS
                ? leastSquares(node, weight, input, rows.get(), reference.get())
                : weight;
    }

    private ConstantTensor leastSquares(
            OnnxNode node,
            ConstantTensor weight,
            List<OnnxNode> input,
            LayerRows rows,
            ReferenceStream floats) {
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard();
                var sums = new NormalEquations()) {
            var batch = new AtomicInteger();
            Consumer<Tensor> add =
                    x -> rows.addTo(sums, x, floats.value(node.output(), batch.getAndIncrement()));
            if (input.isEmpty()) {
                stream.forEach(node.input(0), add);
            } else {
                stream.tryOut(input, Map.of(), input.getLast().output(), add);
            }
            Tensor start = rows.matrix(weight.toTensor());
            Tensor mask = start.ne(new Scalar(0));
            Tensor found = sums.solve(start, mask, true).weight();
            return ConstantTensor.of(rows.weight(found).contiguous());
        }
    }

    @Override
    public float[] bias(String output, float[] bias, Trial withBias) {
        return reference.isPresent() || floatMeans.containsKey(output)
                ? plus(bias, correction(output, channels(withBias)))
                : bias;
    }

    private ChannelSample channels(Trial trial) {
        var sample = new ChannelSample();
        stream.tryOut(trial.nodes(), trial.constants(), trial.result(), sample::add);
        return sample;
    }

    /** What each channel's mean lacks. */
    private float[] correction(String output, ChannelSample sample) {
        double[] found = sample.means();
        double[] wanted =
                reference
                        .map(floats -> means(floats, output))
                        .orElseGet(() -> floatMeans.getOrDefault(output, found));
        var correction = new float[found.length];
        for (int c = 0; c < found.length; c++) {
            correction[c] = (float) (wanted[c] - found[c]);
        }
        return correction;
    }

    private static double[] means(ReferenceStream floats, String output) {
        var means = new ChannelMeans();
        for (int batch = 0; batch < floats.batches(); batch++) {
            means.add(floats.value(output, batch));
        }
        return means.means();
    }

    private static float[] plus(float[] bias, float[] correction) {
        var sum = bias.clone();
        for (int c = 0; c < sum.length; c++) {
            sum[c] += correction[c];
        }
        return sum;
    }

    @Override
    public Fit fit(String output, float[] bias, Trial withBias, Unit.Activation activation) {
        ChannelSample found = channels(withBias);
        float[] correction = correction(output, found);
        Sample sample = found.shifted(correction);
        AffineScale scale = codes(sample, activation);
        errors.put(output, error(sample, scale, activation));
        return new Fit(plus(bias, correction), scale);
    }

    /** What the codes lose of a convolution's results, as a part of their squares. */
    private static double error(Sample sample, AffineScale scale, Unit.Activation activation) {
        double squares = sample.error(value -> 0, value -> activation.of(value));
        double lost = sample.error(value -> activation.of(scale.rounded(value)), activation::of);
        return squares == 0 ? 0 : lost / squares;
    }

    /** What each convolution loses by its codes, by the name of its result. */
    Map<String, Double> errors() {
        return errors;
    }

    private static AffineScale codes(Sample sample, Unit.Activation activation) {
        return switch (activation) {
            case NONE, SILU -> sample.leastError();
            case RELU -> sample.leastErrorAboveZero(Double.POSITIVE_INFINITY);
            case RELU6 -> sample.leastErrorAboveZero(6);
            case HARD_SWISH ->
                    Sample.best(
                            share -> AffineScale.fromMinusThree(sample.max() * share),
                            scale ->
                                    sample.error(
                                            value -> HardSwish.ofCode(scale, scale.code(value)),
                                            HardSwish::of));
        };
    }

    @Override
    public void close() {
        stream.close();
        reference.ifPresent(ReferenceStream::close);
    }
}

package io.espalier.onnx.quant.conv;

import io.espalier.onnx.fit.StreamBudget;
import io.espalier.onnx.inputs.InputBatches;
import io.espalier.onnx.lower.LoweredModel;
import io.espalier.onnx.lower.Lowering;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.proto.ValueInfoProto;
import io.espalier.onnx.quant.conv.ConvolutionQuantization.Projection;
import io.espalier.tensor.EspalierException;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedSet;

/**
 * What a model's results lose when values inside it become codes, to first order: the rounding of a
 * value times the gradient by it of how far the results are off, in one run of the float model
 * forwards and one backwards for all values together.
 *
 * <p>Of the many errors that results have, the gradient is of one sum with random signs, whose
 * square is the sum of their squares in the mean over signs.
 */
final class CodeLosses {
    private static final int EXAMPLES = 16;

    /** What the values of one run may take. */
    private static final long MOST_BYTES = 1L << 28;

    private final Map<String, AffineScale> codes;
    private final Map<String, Double> losses = new HashMap<>();

    private CodeLosses(Map<String, AffineScale> codes) {
        this.codes = new HashMap<>(codes);
    }

    /**
     * The loss by each value; nothing where libtorch can't run the model, or not in little memory.
     *
     * @param codes those that are known; others are of the range of the first batch
     */
    static Optional<Map<String, Double>> of(
            OnnxModel floats,
            SequencedSet<String> values,
            Map<String, AffineScale> codes,
            List<Map<String, Tensor>> data,
            Projection projection) {
        int together = together(floats, data.getFirst());
        if (together == 0) {
            return Optional.empty();
        }
        OnnxModel tapped = floats.copy();
        List<String> results =
                floats.graph().outputs().stream().map(ValueInfoProto::getName).toList();
        values.stream()
                .filter(value -> tapped.graph().producer(value) != null && !results.contains(value))
                .forEach(tapped.graph()::addOutput);
        try {
            LoweredModel lowered = Lowering.lower(tapped);
            lowered.module().eval();
            lowered.module().parameters().forEach(parameter -> parameter.requires_grad_(false));
            return new CodeLosses(codes)
                    .found(lowered, parts(data, together), values, results, projection);
        } catch (EspalierException e) {
            return Optional.empty(); // an operator, or a call of one, that only the runtime has
        }
    }

    private Optional<Map<String, Double>> found(
            LoweredModel lowered,
            List<Map<String, Tensor>> parts,
            SequencedSet<String> values,
            List<String> results,
            Projection projection) {
        long examples = 0;
        for (Map<String, Tensor> part : parts) {
            if (!add(lowered, part, values, results, projection)) {
                return Optional.empty();
            }
            examples += InputBatches.examples(part);
        }
        long runs = examples;
        // Of normal numbers, the mean square from the mean size.
        losses.replaceAll((value, sum) -> Math.PI / 2 * sum / runs * (sum / runs));
        return Optional.of(losses);
    }

    /** How many examples of a batch fit; 0 if none does, or there are none. */
    private static int together(OnnxModel model, Map<String, Tensor> batch) {
        long examples = -1;
        for (Tensor tensor : batch.values()) {
            if (tensor.dim() == 0 || (examples >= 0 && tensor.size(0) != examples)) {
                return 0;
            }
            examples = tensor.size(0);
        }
        long numbers = StreamBudget.numbers(model, batch);
        double fits = Math.floor((double) MOST_BYTES / Float.BYTES / numbers * examples);
        boolean divides =
                model.graph().inputs().stream()
                        .map(input -> input.getType().getTensorType().getShape())
                        .allMatch(
                                shape -> shape.getDimCount() > 0 && !shape.getDim(0).hasDimValue());
        return divides ? (int) Math.min(fits, examples) : fits >= examples ? (int) examples : 0;
    }

    /** So many examples as are looked at, no more than fit at once in each part. */
    private static List<Map<String, Tensor>> parts(List<Map<String, Tensor>> data, int together) {
        var parts = new ArrayList<Map<String, Tensor>>();
        long taken = 0;
        for (Map<String, Tensor> batch : data) {
            long examples = InputBatches.examples(batch);
            for (long from = 0; from < examples && taken < EXAMPLES; from += together) {
                long start = from;
                long length = Math.min(together, examples - from);
                var part = new LinkedHashMap<String, Tensor>();
                batch.forEach((name, tensor) -> part.put(name, tensor.narrow(0, start, length)));
                parts.add(part);
                taken += length;
            }
        }
        return parts;
    }

    private boolean add(
            LoweredModel lowered,
            Map<String, Tensor> batch,
            SequencedSet<String> values,
            List<String> results,
            Projection projection) {
        try (var scope = new PointerScope()) {
            var inputs = new LinkedHashMap<String, Tensor>();
            boolean anyReal = false;
            for (Map.Entry<String, Tensor> input : batch.entrySet()) {
                Tensor own = input.getValue().clone();
                boolean real = own.is_floating_point();
                inputs.put(input.getKey(), real ? own.requires_grad_(true) : own);
                anyReal |= real;
            }
            if (!anyReal) {
                return false;
            }
            Map<String, Tensor> all = lowered.run(inputs);
            var tapped = new LinkedHashMap<String, Tensor>();
            for (String value : values) {
                Tensor tensor = batch.containsKey(value) ? inputs.get(value) : all.get(value);
                if (tensor != null && tensor.requires_grad()) {
                    tensor.retain_grad();
                    tapped.put(value, tensor);
                }
            }
            var outputs = new LinkedHashMap<String, Tensor>();
            results.forEach(name -> outputs.put(name, all.get(name)));
            Tensor sum = projection.of(batch, outputs);
            if (!sum.requires_grad()) {
                return false;
            }
            sum.backward();
            try (var noGrad = new NoGradGuard()) {
                tapped.forEach(this::addLoss);
            }
            return true;
        }
    }

    private void addLoss(String value, Tensor tensor) {
        Tensor gradient = tensor.grad();
        if (!gradient.defined()) {
            return;
        }
        AffineScale scale = codes.computeIfAbsent(value, name -> range(tensor));
        Tensor rounded =
                torch.fake_quantize_per_tensor_affine(
                        tensor, scale.scale(), scale.zeroPoint(), 0, 255);
        Tensor byExample =
                rounded.sub_(tensor).mul_(gradient).reshape(tensor.size(0), -1).sum(new long[] {1});
        // Some examples lose a hundred times what others do; roots keep these from being all.
        losses.merge(value, byExample.abs().sum().item_double(), Double::sum);
    }

    private static AffineScale range(Tensor tensor) {
        return AffineScale.of(tensor.min().item_double(), tensor.max().item_double());
    }
}

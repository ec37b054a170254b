package io.espalier.onnx.quant.conv;

import io.espalier.onnx.fit.RoundingLosses;
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

import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedSet;

/**
 * What a model's results lose when values inside it become codes, in one run of the float model
 * forwards and one backwards for all values together.
 */
final class CodeLosses {
    private final Map<String, AffineScale> codes;
    private final RoundingLosses<String> losses = new RoundingLosses<>();

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
        List<Map<String, Tensor>> parts = FewExamples.of(floats, data);
        if (parts.isEmpty()) {
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
            return new CodeLosses(codes).found(lowered, parts, values, results, projection);
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
        return Optional.of(losses.ofExamples(examples));
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
        AffineScale scale = codes.computeIfAbsent(value, name -> range(tensor));
        losses.add(value, tensor, scale.scale(), scale.zeroPoint());
    }

    private static AffineScale range(Tensor tensor) {
        return AffineScale.of(tensor.min().item_double(), tensor.max().item_double());
    }
}

package io.espalier.onnx.quant.graph;

import io.espalier.graph.StepWatcher;
import io.espalier.graph.Value;
import io.espalier.onnx.fit.RoundingLosses;
import io.espalier.onnx.inputs.InputBatches;
import io.espalier.onnx.lower.LoweredModel;
import io.espalier.onnx.quant.conv.ConvolutionQuantization.Projection;
import io.espalier.quant.graph.RoundedValue;
import io.espalier.quant.layer.QuantizedLayer.Range;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Tensor;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Collectors;

/**
 * What a lowered model's results lose by each value that its quantized graph rounds, in one run of
 * the float graph forwards and one backwards.
 */
public final class GraphLosses {
    private final LoweredModel floats;
    private final Map<Value, RoundedValue> rounded;
    private final Projection projection;
    private final RoundingLosses<String> losses = new RoundingLosses<>();

    private GraphLosses(LoweredModel floats, List<RoundedValue> rounded, Projection projection) {
        this.floats = floats;
        this.rounded =
                rounded.stream()
                        .collect(Collectors.toMap(RoundedValue::value, Function.identity()));
        this.projection = projection;
    }

    /**
     * The loss by each value's name; nothing where the model can't be run backwards.
     *
     * @param floats the model with all layers in floats, whose parameters are left without
     *     gradients
     * @param rounded values of the same names
     * @param parts batches of few examples
     */
    public static Optional<Map<String, Double>> of(
            LoweredModel floats,
            List<RoundedValue> rounded,
            List<Map<String, Tensor>> parts,
            Projection projection) {
        floats.module().parameters().forEach(parameter -> parameter.requires_grad_(false));
        var finding = new GraphLosses(floats, rounded, projection);
        try (var scope = new PointerScope();
                var gradients = new AutoGradMode(true)) {
            long examples = 0;
            for (Map<String, Tensor> part : parts) {
                if (!finding.add(part)) {
                    return Optional.empty();
                }
                examples += InputBatches.examples(part);
            }
            return parts.isEmpty()
                    ? Optional.empty()
                    : Optional.of(finding.losses.ofExamples(examples));
        } catch (EspalierException e) {
            return Optional.empty(); // an operator that has no way back
        }
    }

    private boolean add(Map<String, Tensor> batch) {
        Map<Value, Tensor> tapped = new LinkedHashMap<>();
        try (var scope = new PointerScope()) {
            List<Tensor> inputs =
                    floats.ordered(batch).stream()
                            .map(Tensor::clone)
                            .map(own -> own.is_floating_point() ? own.requires_grad_(true) : own)
                            .toList();
            tap(tapped, floats.module().graph().inputs(), inputs);
            StepWatcher watcher = (node, operands, results) -> tap(tapped, node.results(), results);
            Tensor sum = projection.of(batch, named(watcher.run(floats.module(), inputs)));
            if (!sum.requires_grad()) {
                return false;
            }
            sum.backward();
            tapped.forEach((value, tensor) -> {
                Range codes = Objects.requireNonNull(rounded.get(value)).range();
                losses.add(value.name(), tensor, codes.scale(), codes.zeroPoint());
            });
            return true;
        } finally {
            tapped.values().forEach(Tensor::releaseReference);
        }
    }

    /** Keeps what is rounded of these until the run has gone backwards. */
    private void tap(Map<Value, Tensor> tapped, List<Value> values, List<Tensor> tensors) {
        for (int i = 0; i < values.size(); i++) {
            Tensor tensor = tensors.get(i);
            if (rounded.containsKey(values.get(i)) && tensor.requires_grad()) {
                Tensor own = Tensors.keep(new Tensor(tensor));
                own.retain_grad();
                tapped.put(values.get(i), own);
            }
        }
    }

    private Map<String, Tensor> named(List<Tensor> results) {
        Map<String, Tensor> named = new LinkedHashMap<>();
        for (int i = 0; i < results.size(); i++) {
            named.put(floats.outputs().get(i), results.get(i));
        }
        return named;
    }
}

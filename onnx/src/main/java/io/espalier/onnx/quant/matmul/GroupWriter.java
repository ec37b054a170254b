package io.espalier.onnx.quant.matmul;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.quant.matmul.GroupTrial.Loss;
import io.espalier.onnx.quant.matmul.IntegerProduct.QuantizedInput;
import io.espalier.onnx.quant.matmul.IntegerProduct.Weight;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Puts integer operators in the place of groups of products. */
final class GroupWriter {
    private final OnnxGraph graph;
    private final IntegerProduct operators;
    private final MatMulSettings settings;
    private final Map<String, Weight> shared = new HashMap<>();

    GroupWriter(OnnxGraph graph, IntegerProduct operators, MatMulSettings settings) {
        this.graph = graph;
        this.operators = operators;
        this.settings = settings;
    }

    /** Writes a group; its products that stay float keep reading what they read. */
    void write(GroupPlan plan) {
        String x = plan.group().input();
        if (plan.isSmoothed()) {
            x = divided(plan);
        }
        QuantizedInput input = operators.input(graph, x, plan.range());
        List<MatMulSite> sites = plan.group().quantizable();
        for (int s = 0; s < sites.size(); s++) {
            MatMulSite site = sites.get(s);
            Optional<float[]> bias =
                    plan.losses().isEmpty()
                            ? site.bias(graph)
                            : Optional.of(corrected(site, plan.losses().get(s)));
            write(site, input, plan, bias);
        }
    }

    /** The vector that is added, less what rounding adds on average. */
    private float[] corrected(MatMulSite site, Loss loss) {
        float[] drift = loss.drift();
        float[] bias = site.bias(graph).orElseGet(() -> new float[drift.length]);
        for (int n = 0; n < bias.length; n++) {
            bias[n] -= drift[n];
        }
        return bias;
    }

    private void write(
            MatMulSite site, QuantizedInput input, GroupPlan plan, Optional<float[]> vector) {
        Weight weight = weight(site, plan);
        String bias =
                vector.map(values ->
                                graph.addConstant(
                                        site.weightName() + "_b",
                                        ConstantTensor.floats(
                                                List.of((long) values.length), values)))
                        .orElse("");
        site.add().ifPresent(graph::remove);
        OnnxNode[] nodes =
                operators.nodes(graph, input, weight, bias, site.output()).toArray(OnnxNode[]::new);
        graph.replace(site.node(), nodes);
    }

    private Weight weight(MatMulSite site, GroupPlan plan) {
        // A matrix that several products share as it is is stored once.
        String key = site.matrixKey();
        if (plan.isSmoothed()) {
            return quantized(site, plan);
        }
        Weight known = shared.get(key);
        if (known == null) {
            known = quantized(site, plan);
            shared.put(key, known);
        }
        return known;
    }

    private Weight quantized(MatMulSite site, GroupPlan plan) {
        try (var scope = new PointerScope()) {
            Tensor weight = site.weight(graph);
            if (plan.isSmoothed()) {
                weight = weight.mul(Tensors.of(plan.factors()).unsqueeze(1));
            }
            QuantizedWeight quantized = QuantizedWeight.of(weight, settings);
            return new Weight(
                    graph.addConstant(site.weightName() + "_q", quantized.integers()),
                    graph.addConstant(site.weightName() + "_s", quantized.scales()),
                    quantized);
        }
    }

    /** The value with its channels divided, by what gives it if nothing else reads it. */
    private String divided(GroupPlan plan) {
        String x = plan.group().input();
        float[] reciprocals = new float[plan.factors().length];
        for (int c = 0; c < reciprocals.length; c++) {
            reciprocals[c] = 1 / plan.factors()[c];
        }
        if (ChannelGain.take(graph, plan.group(), reciprocals)) {
            return x;
        }
        String factors =
                graph.addConstant(
                        x + "_div",
                        ConstantTensor.floats(List.of((long) reciprocals.length), reciprocals));
        String product = graph.freshName(x + "_d");
        graph.add(OnnxNode.of("Mul", List.of(x, factors), product));
        return product;
    }
}

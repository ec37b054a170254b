package io.espalier.onnx.tune;

import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.run.OnnxSession;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Values inside a model that its teacher has under the same name and in the same shape: what layers
 * give that are as wide as they were. They show each part of a model what is right, not only the
 * last (Romero et al., <a href="https://arxiv.org/abs/1412.6550">FitNets</a>, 2015).
 */
final class SharedValues {
    private static final Set<String> LAYERS =
            Set.of("Conv", "ConvTranspose", "MatMul", "Gemm", "LayerNormalization");

    /** Of a batch; all of a large model's would crowd out the model. */
    private static final long MOST_BYTES = 256L << 20;

    private SharedValues() {}

    /** Their names, in the model's order. */
    static List<String> of(OnnxModel model, OnnxModel teacher, Map<String, Tensor> batch) {
        OnnxGraph graph = model.graph();
        OnnxGraph other = teacher.graph();
        List<String> named =
                graph.nodes().stream()
                        .filter(node -> LAYERS.contains(node.op()))
                        .map(OnnxNode::output)
                        .filter(value -> other.producer(value) != null)
                        .filter(value -> !graph.isOutput(value) && !other.isOutput(value))
                        .toList();
        if (named.isEmpty()) {
            return List.of();
        }
        try (var scope = new PointerScope();
                var one = OnnxSession.open(model, s -> s.tapping(named));
                var two = OnnxSession.open(teacher, s -> s.tapping(named))) {
            List<String> shared = new ArrayList<>();
            long bytes = 0;
            Map<String, Tensor> wanted = two.run(batch, named);
            for (Map.Entry<String, Tensor> value : one.run(batch, named).entrySet()) {
                Tensor target = wanted.get(value.getKey());
                bytes += value.getValue().nbytes();
                if (target != null && areAlike(value.getValue(), target) && bytes <= MOST_BYTES) {
                    shared.add(value.getKey());
                }
            }
            return shared;
        }
    }

    private static boolean areAlike(Tensor one, Tensor other) {
        return one.is_floating_point()
                && other.is_floating_point()
                && Arrays.equals(Tensors.shape(one), Tensors.shape(other));
    }
}

package io.espalier.onnx.model;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Internal;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.Set;

/** Weights of layers, which are finite numbers in any model that computes something. */
@Internal
public final class FiniteWeights {
    private static final Set<String> LAYERS =
            Set.of(
                    "Conv",
                    "ConvTranspose",
                    "MatMul",
                    "Gemm",
                    "LSTM",
                    "GRU",
                    "RNN",
                    "BatchNormalization",
                    "LayerNormalization");

    private FiniteWeights() {}

    /**
     * Says that they must be.
     *
     * @throws EspalierException if one is not, with its place
     */
    public static void require(OnnxModel model) {
        OnnxGraph graph = model.graph();
        for (OnnxNode node : graph.nodes()) {
            for (String input : LAYERS.contains(node.op()) ? node.inputs() : Set.<String>of()) {
                ConstantTensor weight = graph.constant(input);
                if (weight != null && weight.type().isFloating() && !isFinite(weight)) {
                    throw new EspalierException(
                            "The weight '%s' of '%s' (%s) holds NaN or infinity; mend the model."
                                    .formatted(input, node.name(), node.op()));
                }
            }
        }
    }

    private static boolean isFinite(ConstantTensor weight) {
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            // In doubles no sum of finite floats is infinite, and what isn't finite stays in it.
            var wide = new ScalarTypeOptional(ScalarType.Double);
            return Double.isFinite(weight.toTensor().sum(wide).item_double());
        }
    }
}

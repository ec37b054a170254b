package io.espalier.onnx.fit;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;

/**
 * The constants that move what layers give, each output by a number of its own.
 *
 * @param graph the layers'
 * @param changed constants that have other values by now, by name
 * @param mayChange which constants may get others
 * @param isTaught for which values it is known what they should be
 */
public record LayerBiases(
        OnnxGraph graph,
        Map<String, ConstantTensor> changed,
        Predicate<String> mayChange,
        Predicate<String> isTaught) {
    /**
     * A constant that moves each output of a layer by a number of its own, or by a multiple.
     *
     * @param target the value that has it in it
     * @param moved gives the constant of what has to be added to each output
     */
    public record Bias(String name, String target, UnaryOperator<Tensor> moved) {}

    /** The one of a layer with so many outputs; empty if there is none that may change. */
    public Optional<Bias> of(OnnxNode node, long outputs) {
        if (node.is("Gemm")) {
            float beta = node.number("beta", 1);
            return vector(node.input(2), outputs)
                    .map(name ->
                            new Bias(name, node.output(), found -> found.div(new Scalar(beta))));
        }
        if (!node.input(2).isEmpty()) {
            return vector(node.input(2), outputs)
                    .map(name -> new Bias(name, node.output(), found -> found));
        }
        OnnxNode next = graph.onlyReader(node.output());
        if (next != null && next.is("Add") && node.is("MatMul") && isTaught.test(next.output())) {
            int other = next.input(0).equals(node.output()) ? 1 : 0;
            return vector(next.input(other), outputs)
                    .map(name -> new Bias(name, next.output(), found -> found));
        }
        return next != null && next.is("BatchNormalization") && node.is("Conv")
                ? normalized(node, next, outputs)
                : Optional.empty();
    }

    /** The shift of a normalization moves by what its factor makes of the layer's. */
    private Optional<Bias> normalized(OnnxNode layer, OnnxNode node, long outputs) {
        List<Optional<String>> vectors =
                IntStream.of(1, 2, 4).mapToObj(i -> vector(node.input(i), outputs)).toList();
        if (!vectors.stream().allMatch(Optional::isPresent) || node.has("training_mode")) {
            return Optional.empty();
        }
        Tensor variance = floats(node.input(4)).add(new Scalar(node.number("epsilon", 1e-5f)));
        Tensor factor = floats(node.input(1)).div(variance.sqrt());
        String shift = node.input(2);
        return Optional.of(
                new Bias(shift, layer.output(), found -> floats(shift).add(found.mul(factor))));
    }

    /** A constant of so many numbers along the last dimension that nobody else reads. */
    private Optional<String> vector(String name, long outputs) {
        ConstantTensor held = name.isEmpty() ? null : graph.constant(name);
        return held != null
                        && mayChange.test(name)
                        && held.elements() == outputs
                        && held.shape().getLast() == outputs
                        && graph.readers(name).size() == 1
                ? Optional.of(name)
                : Optional.empty();
    }

    private Tensor floats(String name) {
        ConstantTensor held =
                Objects.requireNonNull(changed.getOrDefault(name, graph.constant(name)));
        return held.toTensor().to(ScalarType.Float).reshape(-1);
    }
}

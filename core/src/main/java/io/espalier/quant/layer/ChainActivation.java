package io.espalier.quant.layer;

import io.espalier.graph.GraphOperator;
import io.espalier.graph.Node;
import io.espalier.nn.Functional;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.UnaryOperator;

/** What a layer of a graph may compute of its result before that is quantized. */
@SuppressWarnings("ImmutableEnumChecker") // the lists are List.of, the functions hold no state
public enum ChainActivation {
    /** Nothing. */
    NONE(null, "", "none", List.of(), x -> x),
    /** {@code max(x, 0)}. */
    RELU(GraphOperator.RELU, "ReLU", "relu", List.of(), Functional::relu),
    /** {@code min(max(x, 0), 6)}. */
    RELU6(GraphOperator.RELU6, "ReLU6", "hardtanh", List.of(0.0, 6.0), Functional::relu6),
    /** {@code x · relu6(x + 3) / 6}. */
    HARDSWISH(GraphOperator.HARDSWISH, "Hardswish", "hardswish", List.of(), Functional::hardswish),
    /** {@code x · sigmoid(x)}. */
    SILU(GraphOperator.SILU, "SiLU", "swish", List.of(), Functional::silu);

    private final @Nullable GraphOperator operator;
    private final String layer;
    private final String postOperation;
    private final List<Double> scalars;
    private final UnaryOperator<Tensor> function;

    ChainActivation(
            @Nullable GraphOperator operator,
            String layer,
            String postOperation,
            List<Double> scalars,
            UnaryOperator<Tensor> function) {
        this.operator = operator;
        this.layer = layer;
        this.postOperation = postOperation;
        this.scalars = scalars;
        this.function = function;
    }

    /** The activation that a node of a graph computes, if it is one. */
    public static Optional<ChainActivation> of(Node node) {
        for (ChainActivation activation : values()) {
            if (activation.operator != null && node.calls(activation.operator)) {
                return Optional.of(activation);
            }
        }
        return Optional.empty();
    }

    Tensor apply(Tensor x) {
        return function.apply(x);
    }

    /** The layer's name, which is empty for none. */
    String layerName() {
        return layer;
    }

    /** What oneDNN calls it. */
    String postOperation() {
        return postOperation;
    }

    /** The numbers that oneDNN wants with it. */
    List<Double> scalars() {
        return scalars;
    }

    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}

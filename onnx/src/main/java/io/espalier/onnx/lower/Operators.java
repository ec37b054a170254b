package io.espalier.onnx.lower;

import io.espalier.onnx.model.OnnxNode;

import java.util.HashMap;
import java.util.Map;
import java.util.Optional;

/**
 * How each operator is lowered, by its name, which in other domains than the standard's has that
 * before it.
 */
final class Operators {
    private static final Map<String, OperatorLowering> TABLE = table();

    private Operators() {}

    private static Map<String, OperatorLowering> table() {
        Map<String, OperatorLowering> table = new HashMap<>();
        ElementwiseOperators.addTo(table);
        ActivationOperators.addTo(table);
        MatrixOperators.addTo(table);
        ConvolutionOperators.addTo(table);
        PoolOperators.addTo(table);
        NormalizationOperators.addTo(table);
        ReductionOperators.addTo(table);
        ShapeOperators.addTo(table);
        PartOperators.addTo(table);
        IndexOperators.addTo(table);
        FillOperators.addTo(table);
        ResizeOperators.addTo(table);
        RecurrentOperators.addTo(table);
        QuantizeOperators.addTo(table);
        TrainingOperators.addTo(table);
        IntegerConvolutions.addTo(table);
        IntegerProducts.addTo(table);
        IntegerElements.addTo(table);
        BlockOperators.addTo(table);
        return Map.copyOf(table);
    }

    /** How the operator of a node is lowered, if it can be. */
    static Optional<OperatorLowering> of(OnnxNode node) {
        return Optional.ofNullable(TABLE.get(key(node.domain(), node.op())));
    }

    static String key(String domain, String op) {
        return domain.isEmpty() ? op : domain + "." + op;
    }
}

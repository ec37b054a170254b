package io.espalier.onnx.export;

import io.espalier.graph.GraphOperator;
import io.espalier.tensor.EspalierException;

import java.util.EnumMap;
import java.util.Map;

/** Which operators can be written, and how: one row each, in families. */
final class OperatorTable {
    private static final Map<GraphOperator, OperatorWriter> ROWS = rows();

    private OperatorTable() {}

    private static Map<GraphOperator, OperatorWriter> rows() {
        var rows = new EnumMap<GraphOperator, OperatorWriter>(GraphOperator.class);
        Arithmetic.addTo(rows);
        Comparisons.addTo(rows);
        Activations.addTo(rows);
        Products.addTo(rows);
        Windows.addTo(rows);
        Resizing.addTo(rows);
        Norms.addTo(rows);
        Reductions.addTo(rows);
        Shapes.addTo(rows);
        Selections.addTo(rows);
        Quantized.addTo(rows);
        return rows;
    }

    /**
     * The writer of an operator.
     *
     * @throws EspalierException if there is none
     */
    static OperatorWriter of(GraphOperator operator) {
        OperatorWriter writer = ROWS.get(operator);
        if (writer == null) {
            throw new EspalierException("there is no ONNX operator for " + operator + ".");
        }
        return writer;
    }

    /** Adds a row for an operator with one result. */
    static void row(
            Map<GraphOperator, OperatorWriter> rows,
            GraphOperator operator,
            OperatorWriter.One writer) {
        rows.put(operator, writer);
    }
}

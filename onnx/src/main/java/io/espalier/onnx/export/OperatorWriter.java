package io.espalier.onnx.export;

import java.util.List;

/** Writes the calls of one operator. */
@FunctionalInterface
interface OperatorWriter {
    /** Writes a call; gives its results' values. */
    List<String> write(Step step);

    /** Writes calls of an operator with one result. */
    interface One extends OperatorWriter {
        String result(Step step);

        @Override
        default List<String> write(Step step) {
            return List.of(result(step));
        }
    }
}

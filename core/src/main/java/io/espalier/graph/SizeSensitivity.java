package io.espalier.graph;

import io.espalier.graph.Node.OperatorCall;

import java.util.List;
import java.util.Map;

/** Whether a program holds numbers that may be the sizes of its inputs. */
final class SizeSensitivity {
    private SizeSensitivity() {}

    static boolean of(Graph graph) {
        return graph.nodes().stream()
                .anyMatch(node -> node instanceof OperatorCall call && isSensitive(call));
    }

    private static boolean isSensitive(OperatorCall call) {
        return call.attributes().entrySet().stream()
                .anyMatch(attribute -> mayBeSize(call.operator(), attribute));
    }

    private static boolean mayBeSize(GraphOperator operator, Map.Entry<String, Object> attribute) {
        return switch (operator) {
            case RESHAPE, EXPAND, UNFLATTEN, REPEAT, SPLIT_WITH_SIZES ->
                    attribute.getValue() instanceof List<?> list
                            && list.stream().anyMatch(SizeSensitivity::isLength);
            case NARROW, SPLIT, SLICE ->
                    !attribute.getKey().equals("dim") && isLength(attribute.getValue());
            case AVG_POOL1D, AVG_POOL2D, MAX_POOL1D, MAX_POOL2D ->
                    attribute.getKey().equals("kernel_size")
                            && attribute.getValue() instanceof List<?> list
                            && list.stream().anyMatch(SizeSensitivity::isLarge);
            default -> attribute.getKey().equals("output_size") && isUpsampling(operator);
        };
    }

    private static boolean isUpsampling(GraphOperator operator) {
        return operator.toString().startsWith("upsample");
    }

    private static boolean isLength(Object value) {
        return value instanceof Long number && number > 1;
    }

    /** Windows over all of a picture are larger than those of pooling layers. */
    private static boolean isLarge(Object value) {
        return value instanceof Long number && number > 3;
    }
}

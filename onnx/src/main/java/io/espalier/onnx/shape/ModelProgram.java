package io.espalier.onnx.shape;

import com.google.protobuf.ByteString;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.proto.AttributeProto;
import io.espalier.onnx.proto.GraphProto;
import io.espalier.onnx.proto.TensorProto;
import io.espalier.onnx.proto.ValueInfoProto;
import io.espalier.tensor.EspalierException;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * A model's graph as a program that a person reads:
 *
 * <pre>
 * graph(x: Float[N, 3, 48, W]):
 *     a: Float[N, 16, 24, W / 2] = Conv(x, w[16, 3, 2, 2], b[16], strides=[2, 2])
 *     y: Float[N, 16, 24, W / 2] = Relu(a)
 *     return y
 * </pre>
 *
 * Constants, those that nodes give too, stand where they are read: with their extents behind their
 * names, or written out if they are a single number or a few integers. Operators of other domains
 * than the standard's have theirs before the name.
 */
public final class ModelProgram {
    private static final String INDENT = "    ";

    /** Longer lists of numbers say nothing to a reader. */
    private static final int MOST_NUMBERS = 8;

    private static final int MOST_TEXT = 60;

    private final OnnxGraph graph;
    private final Shapes shapes;
    private final Map<String, ConstantTensor> constants = new HashMap<>();
    private final List<String> lines = new ArrayList<>();

    private ModelProgram(OnnxGraph graph, Shapes shapes) {
        this.graph = graph;
        this.shapes = shapes;
        constants.putAll(graph.constants());
        for (OnnxNode node : graph.nodes()) {
            ConstantTensor value = node.is("Constant") ? Constants.ofOrNull(node) : null;
            if (value != null && !graph.isOutput(node.output())) {
                constants.put(node.output(), value);
            }
        }
    }

    /**
     * The program, line by line.
     *
     * @param shapes what is known of the model's values
     */
    public static List<String> of(OnnxModel model, Shapes shapes) {
        var program = new ModelProgram(model.graph(), shapes);
        program.write();
        return List.copyOf(program.lines);
    }

    private void write() {
        lines.add(
                graph.inputs().stream()
                        .map(input -> input.getName() + ": " + shapes.type(input.getName()))
                        .collect(Collectors.joining(", ", "graph(", "):")));
        for (OnnxNode node : graph.nodes()) {
            if (!constants.containsKey(node.output())) {
                lines.add(INDENT + line(node));
                inner(node.attributes(), INDENT + INDENT);
            }
        }
        lines.add(INDENT + "return " + names(graph.outputs()));
    }

    private static String names(List<ValueInfoProto> values) {
        return values.stream().map(ValueInfoProto::getName).collect(Collectors.joining(", "));
    }

    private String line(OnnxNode node) {
        String results =
                node.outputs().stream()
                        .map(output -> output.isEmpty() ? "_" : output + ": " + shapes.type(output))
                        .collect(Collectors.joining(", "));
        return results + " = " + call(node, node.inputs().stream().map(this::operand));
    }

    private static String call(OnnxNode node, Stream<String> operands) {
        return (node.domain().isEmpty() ? "" : node.domain() + ".")
                + node.op()
                + Stream.concat(operands, attributes(node))
                        .collect(Collectors.joining(", ", "(", ")"));
    }

    private String operand(String name) {
        ConstantTensor constant = constants.get(name);
        if (name.isEmpty()) {
            return "_";
        }
        return constant == null ? name : constant(name, constant);
    }

    private static String constant(String name, ConstantTensor constant) {
        boolean integers =
                constant.type() == ElementType.INT64 || constant.type() == ElementType.INT32;
        boolean single = constant.elements() == 1 && constant.type() != ElementType.STRING;
        return constant.shape().size() <= 1
                        && (single || (integers && constant.elements() <= MOST_NUMBERS))
                ? numbers(constant)
                : name + constant.shape();
    }

    private static String numbers(ConstantTensor constant) {
        try {
            List<String> numbers = new ArrayList<>();
            if (constant.type().isFloating()) {
                for (float number : constant.toFloats()) {
                    numbers.add(Float.toString(number));
                }
            } else {
                for (long number : constant.toLongs()) {
                    numbers.add(Long.toString(number));
                }
            }
            return constant.shape().isEmpty() ? numbers.getFirst() : numbers.toString();
        } catch (EspalierException _) { // of a type that is no number
            return constant.toString();
        }
    }

    private static Stream<String> attributes(OnnxNode node) {
        return node.attributes().stream()
                .filter(attribute -> !attribute.hasG())
                .map(attribute -> attribute.getName() + "=" + value(attribute));
    }

    private static String value(AttributeProto attribute) {
        return switch (attribute.getType()) {
            case INT -> Long.toString(attribute.getI());
            case FLOAT -> Float.toString(attribute.getF());
            case STRING -> quoted(attribute.getS());
            case INTS -> list(attribute.getIntsList());
            case FLOATS -> list(attribute.getFloatsList());
            case STRINGS ->
                    list(attribute.getStringsList().stream().map(ModelProgram::quoted).toList());
            case TENSOR -> tensor(attribute.getT());
            default -> "...";
        };
    }

    private static String tensor(TensorProto tensor) {
        try {
            return constant("tensor", ConstantTensor.of(tensor));
        } catch (EspalierException _) { // it is shown, not used
            return "tensor" + tensor.getDimsList();
        }
    }

    private static String quoted(ByteString text) {
        String all = text.size() > MOST_TEXT ? "..." : text.toStringUtf8();
        return '"' + all + '"';
    }

    private static String list(List<?> values) {
        return values.size() <= MOST_NUMBERS
                ? values.toString()
                : values.subList(0, MOST_NUMBERS).toString().replace("]", ", ...]");
    }

    /** The graphs of branches and bodies, whose values have no types here. */
    private void inner(List<AttributeProto> attributes, String indent) {
        for (AttributeProto attribute : attributes) {
            if (attribute.hasG()) {
                inner(attribute.getName(), attribute.getG(), indent);
            }
            attribute.getGraphsList().forEach(g -> inner(attribute.getName(), g, indent));
        }
    }

    private void inner(String name, GraphProto body, String indent) {
        lines.add(indent + name + "(" + names(body.getInputList()) + "):");
        for (var proto : body.getNodeList()) {
            OnnxNode node = OnnxNode.of(proto);
            lines.add(
                    indent
                            + INDENT
                            + String.join(", ", node.outputs())
                            + " = "
                            + call(node, node.inputs().stream().map(this::operand)));
            inner(node.attributes(), indent + INDENT + INDENT);
        }
        lines.add(indent + INDENT + "return " + names(body.getOutputList()));
    }
}

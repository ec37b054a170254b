package io.espalier.onnx.lower;

import io.espalier.graph.Size;
import io.espalier.graph.TensorType;
import io.espalier.graph.Value;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.proto.ValueInfoProto;
import io.espalier.onnx.shape.Shapes;
import io.espalier.tensor.EspalierException;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;

/**
 * Makes a file's model one of libtorch's, on which pruning, quantization, training and evaluation
 * work:
 *
 * <pre>{@code
 * LoweredModel model = Lowering.lower(OnnxModel.load(Path.of("model.onnx")));
 * Map<String, Tensor> results = model.run(Map.of("x", x));
 * }</pre>
 *
 * <p>Convolutions, linear layers, normalizations, tables and recurrent networks with constant
 * weights become the layers of {@code io.espalier.nn}, named after the file's weights and nodes;
 * other constants of real numbers that the file holds beside its nodes are parameters too. All else
 * becomes libtorch's operators. What a model computes with the sizes of its inputs is kept as
 * expressions of them, so that a batch of another size is taken as in the file.
 */
public final class Lowering {
    private Lowering() {}

    /**
     * Lowers a model. It is left as it is; its weights are copied. What has a default is that.
     *
     * @throws EspalierException if an operator, or something that it is asked to do, has nothing
     *     that computes it on libtorch, or needs a size that only a run decides; the message names
     *     the node
     */
    public static LoweredModel lower(OnnxModel model) {
        Preparation prepared = Preparation.of(model);
        OnnxModel plain = prepared.model();
        OnnxGraph graph = plain.graph();
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            var facts = new ShapeFacts(graph, Shapes.of(plain));
            var writer = new GraphWriter(prepared, facts);
            List<String> inputs = new ArrayList<>();
            for (ValueInfoProto input : graph.inputs()) {
                inputs.add(input.getName());
                writer.put(input.getName(), input(writer, facts, input.getName()));
            }
            for (OnnxNode node : graph.nodes()) {
                if (!writer.isDone(node)) {
                    lower(node, writer);
                }
            }
            List<String> outputs = graph.outputs().stream().map(ValueInfoProto::getName).toList();
            Value[] returned = outputs.stream().map(writer::value).toArray(Value[]::new);
            return new LoweredModel(
                    writer.builder.returning(returned),
                    inputs,
                    outputs,
                    Optional.of(writer.weights()));
        }
    }

    private static Value input(GraphWriter writer, ShapeFacts facts, String name) {
        ElementType type = facts.type(name);
        List<Size> shape = facts.shape(name);
        if (type == null) {
            throw new EspalierException(
                    "The input '"
                            + name
                            + "' is no tensor of a known type; libtorch takes tensors.");
        }
        String clean = name.replaceAll("\\W", "_");
        return shape == null
                ? writer.builder.input(clean)
                : writer.builder.input(clean, new TensorType(type.libtorch(), shape));
    }

    private static void lower(OnnxNode node, GraphWriter writer) {
        OperatorLowering operator =
                Operators.of(node)
                        .orElseThrow(() ->
                                new EspalierException(
                                        "The node '%s' calls %s, which has no lowering to libtorch."
                                                .formatted(node.name(), named(node))));
        var call = new Call(node, writer);
        try {
            operator.lower(call);
        } catch (EspalierException e) {
            String message = Objects.requireNonNullElse(e.getMessage(), "");
            throw message.startsWith("The node ")
                    ? e
                    : new EspalierException(
                            "The node '%s' (%s) can't be run by libtorch: %s"
                                    .formatted(node.name(), named(node), message),
                            e);
        } catch (ArithmeticException | IndexOutOfBoundsException e) {
            throw new EspalierException(
                    "The node '%s' (%s) can't be run by libtorch: its settings don't fit what it is given (%s)."
                            .formatted(node.name(), named(node), e.getMessage()),
                    e);
        }
    }

    private static String named(OnnxNode node) {
        return Operators.key(node.domain(), node.op());
    }
}

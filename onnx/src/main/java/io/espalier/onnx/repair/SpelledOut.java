package io.espalier.onnx.repair;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.shape.Shapes;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.ArrayList;
import java.util.List;

/**
 * GELUs, which {@link Repair} makes one of ONNX Runtime's own operators each, in operators of the
 * standard again, for files that other runtimes read. ONNX Runtime puts them together itself.
 */
public final class SpelledOut {
    private static final double CUBE = 0.044715;

    private SpelledOut() {}

    /** What was made of a model, in operators of the standard if that was. */
    public static OnnxModel as(OnnxModel original, OnnxModel made) {
        return !callsRuntime(original) && callsRuntime(made) ? of(made) : made;
    }

    private static boolean callsRuntime(OnnxModel model) {
        return model.graph().nodes().stream()
                .anyMatch(node -> node.domain().equals(OnnxNode.MICROSOFT));
    }

    private static OnnxModel of(OnnxModel model) {
        Shapes shapes = Shapes.of(model);
        return model.rewritten(
                        graph -> {
                            for (OnnxNode node : List.copyOf(graph.nodes())) {
                                ElementType type = shapes.elements(node.output());
                                boolean isOne =
                                        node.domain().equals(OnnxNode.MICROSOFT)
                                                && node.inputs().size() == 1;
                                if (isOne && type != null && node.op().equals("Gelu")) {
                                    spellOut(graph, node, type);
                                } else if (isOne && type != null && node.op().equals("FastGelu")) {
                                    spellOutTanh(graph, node, type);
                                }
                            }
                        })
                .withoutUnusedOpset(OnnxNode.MICROSOFT);
    }

    /** {@code x·(1 + erf(x / √2)) / 2}. */
    private static void spellOut(OnnxGraph graph, OnnxNode node, ElementType type) {
        var steps = new Steps(graph, node, type);
        String x = node.input(0);
        String erf = steps.of("Erf", steps.with("Div", x, Math.sqrt(2)));
        steps.endWith("Mul", steps.of("Mul", x, steps.with("Add", erf, 1)), 0.5);
    }

    /** {@code x·(1 + tanh(√(2/π)·(x + 0.044715·x³))) / 2}. */
    private static void spellOutTanh(OnnxGraph graph, OnnxNode node, ElementType type) {
        var steps = new Steps(graph, node, type);
        String x = node.input(0);
        String cube = steps.with("Mul", steps.of("Mul", x, steps.of("Mul", x, x)), CUBE);
        String argument = steps.with("Mul", steps.of("Add", x, cube), Math.sqrt(2 / Math.PI));
        String tanh = steps.of("Tanh", argument);
        steps.endWith("Mul", steps.of("Mul", x, steps.with("Add", tanh, 1)), 0.5);
    }

    /** The nodes that come in one's place. */
    private static final class Steps {
        private final OnnxGraph graph;
        private final OnnxNode node;
        private final ElementType type;
        private final List<OnnxNode> made = new ArrayList<>();

        Steps(OnnxGraph graph, OnnxNode node, ElementType type) {
            this.graph = graph;
            this.node = node;
            this.type = type;
        }

        String of(String op, String... inputs) {
            String output = graph.freshName(node.output() + "/" + op + made.size());
            made.add(OnnxNode.of(op, List.of(inputs), output));
            return output;
        }

        String with(String op, String input, double number) {
            return of(op, input, constant(number));
        }

        private String constant(double number) {
            try (var scope = new PointerScope()) {
                Tensor scalar = Tensors.empty(ScalarType.Double).fill_(new Scalar(number));
                ConstantTensor constant = ConstantTensor.of(scalar.to(type.libtorch()));
                return graph.addConstant(node.output() + "/number", constant);
            }
        }

        void endWith(String op, String input, double number) {
            made.add(OnnxNode.of(op, List.of(input, constant(number)), node.output()));
            graph.replace(node, made.toArray(OnnxNode[]::new));
        }
    }
}

package io.espalier.onnx.shape;

import io.espalier.onnx.model.OnnxNode;
import io.espalier.tensor.EspalierException;

import org.jspecify.annotations.Nullable;

/** Goes through a graph's nodes in their order and keeps what the rules say of their results. */
final class Inference {
    private Inference() {}

    static void run(Iterable<OnnxNode> nodes, Scope scope) {
        for (OnnxNode node : nodes) {
            run(node, scope);
        }
    }

    private static void run(OnnxNode node, Scope scope) {
        var call = new Call(node, scope);
        apply(Rules.types(node), call, scope);
        apply(Rules.contents(node), call, scope);
        if (node.is("Div") || node.is("Mod")) {
            scope.world.divides(node.toProto(), ElementwiseRules.firstType(call, 0, 1));
        }
        for (int i = 0; i < node.outputs().size(); i++) {
            String name = node.output(i);
            if (!name.isEmpty()) {
                ValueType type = scope.completed(name, call.result(i));
                scope.put(name, type);
                Contents contents = call.resultContents(i);
                if (contents != null && contents.fit(type.elements())) {
                    scope.put(name, contents);
                }
            }
        }
    }

    private static void apply(@Nullable Rule rule, Call call, Scope scope) {
        try {
            if (rule != null) {
                rule.infer(call);
            }
        } catch (Contradicted e) {
            scope.add(new Contradiction(call.node, String.valueOf(e.getMessage())));
        } catch (Undecided
                | ArithmeticException
                | EspalierException
                | IndexOutOfBoundsException
                | IllegalArgumentException _) {
            // Operands and attributes that no run would take: what they would give stays unknown.
        }
    }
}

package io.espalier.onnx.repair;

import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;

/** What a pass does to a model that is its own. */
@FunctionalInterface
interface Rewrite {
    /** What came of it: the model, and at how many places it changed. */
    record Outcome(OnnxModel model, int changes) {}

    /** Rewrites the model, in place or as another one. */
    Outcome of(OnnxModel model);

    /** One that only changes the graph, and knows what the model says of its values. */
    static Rewrite inPlace(GraphRewrite rewrite) {
        return model -> {
            int changes = rewrite.of(new Subject(model));
            if (changes > 0) {
                model.graph().removeUnused();
            }
            return new Outcome(model, changes);
        };
    }

    /** This one for a model that may then call the runtime's own operators. */
    default Rewrite callingRuntime() {
        return model -> {
            Outcome outcome = of(model);
            boolean declared = outcome.model().opsets().containsKey(OnnxNode.MICROSOFT);
            boolean calls =
                    outcome.model().graph().nodes().stream()
                            .anyMatch(node -> node.domain().equals(OnnxNode.MICROSOFT));
            return outcome.changes() > 0 && calls && !declared
                    ? new Outcome(
                            outcome.model().withOpset(OnnxNode.MICROSOFT, 1), outcome.changes())
                    : outcome;
        };
    }

    /** A rewrite of a graph in its place. */
    @FunctionalInterface
    interface GraphRewrite {
        /** Rewrites it and says at how many places. */
        int of(Subject subject);
    }
}

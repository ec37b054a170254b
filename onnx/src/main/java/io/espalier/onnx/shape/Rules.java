package io.espalier.onnx.shape;

import io.espalier.onnx.model.OnnxNode;

import org.jspecify.annotations.Nullable;

import java.util.HashMap;
import java.util.Map;

/** The rules of all operators that are known, by family. */
final class Rules {
    private static final Rules TYPES = new Rules();
    private static final Rules CONTENTS = new Rules();

    static {
        ElementwiseRules.addTo(TYPES);
        ReductionRules.addTo(TYPES);
        WindowRules.addTo(TYPES);
        MatrixRules.addTo(TYPES);
        LayoutRules.addTo(TYPES);
        SizingRules.addTo(TYPES);
        SelectionRules.addTo(TYPES);
        CreationRules.addTo(TYPES);
        NormalizationRules.addTo(TYPES);
        RecurrentRules.addTo(TYPES);
        QuantizationRules.addTo(TYPES);
        AttentionRules.addTo(TYPES);
        ControlFlowRules.addTo(TYPES);
        ArithmeticContents.addTo(CONTENTS);
        LayoutContents.addTo(CONTENTS);
    }

    private final Map<String, Rule> rules = new HashMap<>();

    private Rules() {}

    /** The rule of types and extents of a node's results; null if the operator is not known. */
    static @Nullable Rule types(OnnxNode node) {
        return TYPES.rules.get(key(node.domain(), node.op()));
    }

    /** The rule of a node's results' elements; null if shapes are not computed with it. */
    static @Nullable Rule contents(OnnxNode node) {
        return CONTENTS.rules.get(key(node.domain(), node.op()));
    }

    private static String key(String domain, String op) {
        return domain.isEmpty() ? op : domain + ":" + op;
    }

    /** The rule of these operators of the standard, by names with spaces between. */
    Rules standard(Rule rule, String ops) {
        return add("", rule, ops);
    }

    /** The rule of these operators of the runtime's own. */
    Rules microsoft(Rule rule, String ops) {
        return add(OnnxNode.MICROSOFT, rule, ops);
    }

    /** The rule of these operators of our own. */
    Rules own(Rule rule, String ops) {
        return add(OnnxNode.ESPALIER, rule, ops);
    }

    private Rules add(String domain, Rule rule, String ops) {
        for (String op : ops.split(" ", -1)) {
            if (rules.put(key(domain, op), rule) != null) {
                throw new IllegalStateException("Two rules of " + op);
            }
        }
        return this;
    }
}

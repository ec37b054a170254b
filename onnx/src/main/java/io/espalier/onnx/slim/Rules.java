package io.espalier.onnx.slim;

import io.espalier.onnx.model.OnnxNode;

import org.jspecify.annotations.Nullable;

import java.util.HashMap;
import java.util.Map;

/** The rules of all operators that are understood, by family. */
final class Rules {
    private static final Rules ALL = new Rules();

    static {
        ElementwiseRules.addTo(ALL);
        LayerRules.addTo(ALL);
        ProductRules.addTo(ALL);
        NormalizationRules.addTo(ALL);
        WindowRules.addTo(ALL);
        LayoutRules.addTo(ALL);
        PartRules.addTo(ALL);
        RecurrentRules.addTo(ALL);
    }

    private final Map<String, Rule> rules = new HashMap<>();

    private Rules() {}

    /** The rule of a node's operator; null if there is none. */
    static @Nullable Rule of(OnnxNode node) {
        return ALL.rules.get(key(node.domain(), node.op()));
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

    private Rules add(String domain, Rule rule, String ops) {
        for (String op : ops.split(" ", -1)) {
            if (rules.put(key(domain, op), rule) != null) {
                throw new IllegalStateException("Two rules of " + op);
            }
        }
        return this;
    }
}

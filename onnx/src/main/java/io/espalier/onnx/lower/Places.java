package io.espalier.onnx.lower;

import io.espalier.onnx.model.OnnxNode;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * Finds names for modules and tensors from those that the file has: {@code layer1.0.conv1} for the
 * convolution of a weight {@code layer1.0.conv1.weight} or of a node {@code
 * /layer1/layer1.0/conv1/Conv}. A place that holds tensors has no other places within it.
 */
final class Places {
    /** What exporters call the first tensor of a layer. */
    private static final Pattern WEIGHT =
            Pattern.compile("(weights?|w|kernel|gamma|scale)(_\\d+)*", Pattern.CASE_INSENSITIVE);

    /** Weights that an exporter made anew have names that say nothing. */
    private static final Pattern ANONYMOUS = Pattern.compile("(onnx::.*|\\d+|_.*)");

    private final Set<String> leaves = new HashSet<>();
    private final Set<String> inner = new HashSet<>();

    /** The number to try next for places that were taken: all below it are, too. */
    private final Map<String, Integer> next = new HashMap<>();

    /** A place for a module, by its weight's name, or its node's. */
    String ofModule(String weight, OnnxNode node) {
        String wanted = ANONYMOUS.matcher(weight).matches() ? "" : ownerOf(weight);
        return take(wanted.isEmpty() ? ofNode(node) : wanted);
    }

    /** A place for a tensor. */
    String ofTensor(String name) {
        return take(String.join(".", parts(name)));
    }

    private static String ownerOf(String weight) {
        List<String> parts = parts(weight);
        boolean named = WEIGHT.matcher(parts.getLast()).matches();
        return String.join(".", named ? parts.subList(0, parts.size() - 1) : parts);
    }

    /** Of a path whose steps repeat what is around them, as PyTorch writes it, each step once. */
    private static String ofNode(OnnxNode node) {
        List<String> steps = new ArrayList<>();
        for (String step : node.name().split("/", -1)) {
            if (!step.isEmpty()) {
                boolean repeats = !steps.isEmpty() && step.startsWith(steps.getLast() + ".");
                if (repeats) {
                    steps.removeLast();
                }
                steps.add(step);
            }
        }
        if (steps.size() > 1 && steps.getLast().equals(node.op())) {
            steps.removeLast();
        }
        return String.join(".", parts(String.join(".", steps)));
    }

    /** Steps of letters, digits and underscores. */
    private static List<String> parts(String name) {
        List<String> parts = new ArrayList<>();
        for (String part : name.split("[./]", -1)) {
            String clean = part.replaceAll("\\W", "_");
            if (!clean.isEmpty()) {
                parts.add(clean);
            }
        }
        return parts.isEmpty() ? List.of("unnamed") : parts;
    }

    private String take(String wanted) {
        String name = besideLeaves(wanted);
        String free = name;
        while (leaves.contains(free) || inner.contains(free)) {
            free = name + "_" + next.merge(name, 1, Integer::sum);
        }
        leaves.add(free);
        for (int dot = free.indexOf('.'); dot >= 0; dot = free.indexOf('.', dot + 1)) {
            inner.add(free.substring(0, dot));
        }
        return free;
    }

    /** What would lie within a module or tensor lies beside it. */
    private String besideLeaves(String wanted) {
        String name = wanted;
        for (int dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
            if (leaves.contains(name.substring(0, dot))) {
                name = name.substring(0, dot) + "_" + name.substring(dot + 1);
            }
        }
        return name;
    }
}

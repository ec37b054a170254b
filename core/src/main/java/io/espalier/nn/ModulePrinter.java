package io.espalier.nn;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Prints a module tree as PyTorch's {@code repr} does. */
final class ModulePrinter {
    private ModulePrinter() {}

    static String print(Module module) {
        String extra = module.extraRepr();
        List<String> lines = new ArrayList<>(extra.isEmpty() ? List.of() : extra.lines().toList());
        if (module.namedChildren().isEmpty() && lines.size() <= 1) {
            return module.typeName() + "(" + extra + ")";
        }
        lines.addAll(
                module instanceof ModuleList
                        ? collapsed(module.namedChildren())
                        : children(module.namedChildren()));
        return module.typeName()
                + "("
                + String.join("", lines.stream().map(line -> "\n  " + indented(line)).toList())
                + "\n)";
    }

    private static List<String> children(Map<String, Module> children) {
        return children.entrySet().stream()
                .map(child -> "(" + child.getKey() + "): " + child.getValue())
                .toList();
    }

    /** A list's children, neighbours that print alike as one: {@code (0-2): 3 x ReLU()}. */
    private static List<String> collapsed(Map<String, Module> children) {
        List<String> prints = children.values().stream().map(Module::toString).toList();
        List<String> lines = new ArrayList<>();
        int first = 0;
        for (int next = 1; next <= prints.size(); next++) {
            if (next < prints.size() && prints.get(next).equals(prints.get(first))) {
                continue;
            }
            int count = next - first;
            lines.add(
                    count == 1
                            ? "(" + first + "): " + prints.get(first)
                            : "("
                                    + first
                                    + "-"
                                    + (next - 1)
                                    + "): "
                                    + count
                                    + " x "
                                    + prints.get(first));
            first = next;
        }
        return lines;
    }

    private static String indented(String text) {
        return text.replace("\n", "\n  ");
    }
}

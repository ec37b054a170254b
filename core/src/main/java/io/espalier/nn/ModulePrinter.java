package io.espalier.nn;

import java.util.Map;
import java.util.stream.Collectors;

/** Prints a module tree as PyTorch's {@code repr} does. */
final class ModulePrinter {
    private ModulePrinter() {}

    static String print(String type, String extra, Map<String, Module> children) {
        if (children.isEmpty()) {
            return type + "(" + extra + ")";
        }
        String lines =
                children.entrySet().stream()
                        .map(child -> "(" + child.getKey() + "): " + child.getValue())
                        .map(line -> line.replace("\n", "\n  "))
                        .collect(Collectors.joining("\n  "));
        return type + "(\n  " + (extra.isEmpty() ? "" : extra + "\n  ") + lines + "\n)";
    }
}

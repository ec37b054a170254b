package io.espalier.onnx.shape;

import io.espalier.onnx.model.OnnxNode;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.TreeMap;
import java.util.function.Function;

/** Einstein's sum: extents by the letters of its equation. */
final class Einsum {
    private static final String DOTS = "...";

    private Einsum() {}

    static void infer(Call call) {
        call.give(0, call.type(0));
        String equation = call.node.text("equation", "").replace(" ", "");
        int arrow = equation.indexOf("->");
        String[] terms = (arrow < 0 ? equation : equation.substring(0, arrow)).split(",", -1);
        if (terms.length != call.operands()) {
            throw new Undecided();
        }
        Map<Character, Extent> letters = new TreeMap<>();
        Map<Character, Integer> counts = new TreeMap<>();
        List<Extent> dots = List.of();
        for (int i = 0; i < terms.length; i++) {
            dots = Broadcasting.of(call, dots, read(call, terms[i], i, letters, counts));
        }
        call.give(
                0,
                arrow < 0
                        ? implied(letters, counts, dots)
                        : result(equation.substring(arrow + 2), letters, dots));
    }

    /** Notes what a term's letters stand for, and gives what its dots do. */
    private static List<Extent> read(
            Call call,
            String term,
            int place,
            Map<Character, Extent> letters,
            Map<Character, Integer> counts) {
        List<Extent> shape = call.shape(place);
        int at = term.indexOf(DOTS);
        String head = at < 0 ? term : term.substring(0, at);
        String tail = at < 0 ? "" : term.substring(at + DOTS.length());
        int between = shape.size() - head.length() - tail.length();
        if (between < 0 || (at < 0 && between > 0)) {
            throw new Undecided();
        }
        String all = head + tail;
        for (int i = 0; i < all.length(); i++) {
            Extent extent = shape.get(i < head.length() ? i : i + between);
            counts.merge(all.charAt(i), 1, Integer::sum);
            letters.merge(
                    all.charAt(i),
                    extent,
                    (a, b) -> Broadcasting.of(call, List.of(a), List.of(b)).getFirst());
        }
        return shape.subList(head.length(), head.length() + between);
    }

    /** How many products an equation adds: its letters' extents multiplied. */
    static OptionalLong products(OnnxNode node, Function<String, @Nullable List<Long>> extents) {
        String left = node.text("equation", "").replace(" ", "").replaceAll("->.*", "");
        String[] terms = left.split(",", -1);
        Map<Character, Long> letters = new TreeMap<>();
        long dots = 1;
        for (int i = 0; i < Math.min(terms.length, node.inputs().size()); i++) {
            List<Long> shape = extents.apply(node.input(i));
            String term = terms[i].replace(DOTS, "");
            if (shape == null || shape.size() < term.length()) {
                return OptionalLong.empty();
            }
            int at = Math.max(terms[i].indexOf(DOTS), 0);
            int between = shape.size() - term.length();
            dots = Math.max(dots, NodeCost.saturatedProduct(shape.subList(at, at + between)));
            for (int j = 0; j < term.length(); j++) {
                letters.merge(term.charAt(j), shape.get(j < at ? j : j + between), Math::max);
            }
        }
        var factors = new ArrayList<>(letters.values());
        factors.add(dots);
        return OptionalLong.of(NodeCost.saturatedProduct(factors));
    }

    /** Without an arrow: the dots, then all letters that stand once, in alphabetical order. */
    private static List<Extent> implied(
            Map<Character, Extent> letters, Map<Character, Integer> counts, List<Extent> dots) {
        var shape = new ArrayList<>(dots);
        letters.forEach((letter, extent) -> {
            if (counts.getOrDefault(letter, 0) == 1) {
                shape.add(extent);
            }
        });
        return shape;
    }

    private static List<Extent> result(
            String term, Map<Character, Extent> letters, List<Extent> dots) {
        var shape = new ArrayList<Extent>();
        String rest = term;
        while (!rest.isEmpty()) {
            boolean isDots = rest.startsWith(DOTS);
            Extent extent = letters.get(rest.charAt(0));
            if (isDots) {
                shape.addAll(dots);
            } else if (extent != null) {
                shape.add(extent);
            } else {
                throw new Undecided();
            }
            rest = rest.substring(isDots ? DOTS.length() : 1);
        }
        return shape;
    }
}

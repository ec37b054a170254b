package io.espalier.onnx.slim;

import io.espalier.slim.Axis;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Products of matrices, of which one may be constant: the inner dimension ends in a sum. */
final class ProductRules {
    private ProductRules() {}

    static void addTo(Rules rules) {
        rules.standard(ProductRules::product, "MatMul")
                .standard(ProductRules::general, "Gemm")
                .standard(ProductRules::einsum, "Einsum");
    }

    private static void product(Call call) {
        int one = call.rank(0);
        int other = call.rank(1);
        if (one < 2 || other < 2) {
            throw new NotUnderstood("a factor is a vector");
        }
        call.unite(call.axis(0, one - 1), call.axis(1, other - 2));
        call.ends(End.of(call.node, 0, one - 1, 1, other - 2));
        long[] extents = call.resultExtents(0);
        List<Axis> result = new ArrayList<>();
        for (int d = 0; d < extents.length - 2; d++) {
            result.add(outer(call, d - extents.length, extents[d]));
        }
        result.add(call.axis(0, one - 2));
        result.add(call.axis(1, other - 1));
        call.give(0, result);
    }

    /** A dimension along which products are taken one by one, counted from the end. */
    private static Axis outer(Call call, int fromEnd, long extent) {
        List<Axis> full = new ArrayList<>();
        for (int place = 0; place < 2; place++) {
            int own = call.rank(place) + fromEnd;
            if (own >= 0 && call.extent(place, own) == extent) {
                full.add(call.axis(place, own));
            } else if (own >= 0) {
                call.pin(call.axis(place, own));
            }
        }
        full.forEach(axis -> call.unite(full.getFirst(), axis));
        return full.getFirst();
    }

    private static void general(Call call) {
        int a = call.node.integer("transA", 0) == 0 ? 1 : 0;
        int b = call.node.integer("transB", 0) == 0 ? 0 : 1;
        call.unite(call.axis(0, a), call.axis(1, b));
        call.ends(End.of(call.node, 0, a, 1, b));
        List<Axis> result = List.of(call.axis(0, 1 - a), call.axis(1, 1 - b));
        if (call.has(2)) {
            long[] extents = call.resultExtents(0);
            List<Axis> summed = ElementwiseRules.united(call, List.of(2), extents);
            for (int d = 0; d < 2; d++) {
                int own = d - 2 + call.rank(2);
                if (own >= 0 && call.extent(2, own) == extents[d]) {
                    call.unite(result.get(d), summed.get(d));
                }
            }
        }
        call.give(0, result);
    }

    private static void einsum(Call call) {
        String equation = call.node.text("equation", "").replace(" ", "");
        int arrow = equation.indexOf("->");
        if (arrow < 0 || equation.contains(".")) {
            throw new NotUnderstood("its equation is not spelled out");
        }
        String result = equation.substring(arrow + 2);
        String[] terms = equation.substring(0, arrow).split(",", -1);
        Map<Character, Axis> axes = new HashMap<>();
        Map<Character, Long> extents = new HashMap<>();
        for (int place = 0; place < terms.length; place++) {
            for (int d = 0; d < terms[place].length(); d++) {
                char label = terms[place].charAt(d);
                Axis axis = call.axis(place, d);
                if (extents.merge(label, call.extent(place, d), Math::max)
                        != call.extent(place, d)) {
                    throw new NotUnderstood("extents are stretched");
                }
                axes.putIfAbsent(label, axis);
                call.unite(axis, axes.getOrDefault(label, axis));
                if (result.indexOf(label) < 0) {
                    call.ends(End.of(call.node, place, d));
                }
            }
        }
        call.give(
                0, result.chars().mapToObj(c -> axes.getOrDefault((char) c, Axis.PLAIN)).toList());
    }
}

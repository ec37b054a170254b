package io.espalier.onnx.shape;

import java.util.ArrayList;
import java.util.List;
import java.util.SortedMap;

/** How extents are written. */
final class ExtentText {
    private ExtentText() {}

    static String of(SortedMap<Product, Long> terms) {
        if (terms.isEmpty()) {
            return "0";
        }
        var text = new StringBuilder();
        terms.forEach((product, count) -> {
            boolean negative = count < 0;
            text.append(text.isEmpty() ? (negative ? "-" : "") : negative ? " - " : " + ");
            text.append(term(product, Math.abs(count)));
        });
        return text.toString();
    }

    private static String term(Product product, long count) {
        List<String> parts = new ArrayList<>();
        if (count != 1 || product.factors().isEmpty()) {
            parts.add(Long.toString(count));
        }
        boolean alone = parts.isEmpty() && product.factors().size() == 1;
        for (Factor factor : product.factors()) {
            parts.add(
                    factor instanceof Factor.Quotient && !alone
                            ? "(" + factor + ")"
                            : factor.toString());
        }
        return String.join(" * ", parts);
    }

    /** An extent as it stands in a product or a quotient. */
    static String asFactor(Extent extent) {
        return isPlain(extent) ? extent.toString() : "(" + extent + ")";
    }

    private static boolean isPlain(Extent extent) {
        SortedMap<Product, Long> terms = extent.terms();
        if (terms.size() != 1) {
            return terms.isEmpty();
        }
        List<Factor> factors = terms.firstKey().factors();
        long count = extent.count(terms.firstKey());
        return factors.isEmpty()
                ? count >= 0
                : count == 1
                        && factors.size() == 1
                        && !(factors.getFirst() instanceof Factor.Quotient);
    }
}

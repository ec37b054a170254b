package io.espalier.onnx.shape;

import org.jspecify.annotations.Nullable;

import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;

/** Quotients of extents, rounded down and written in one way. */
final class Division {
    private static final int MOST_STEPS = 50;

    private Division() {}

    static Extent quotient(Extent over, Extent by) {
        if (by.terms().isEmpty()) {
            throw new ArithmeticException("Division by zero.");
        }
        Extent exact = exact(over, by);
        if (exact != null) {
            return exact;
        }
        if (!by.isKnown()) {
            return Extent.of(new Factor.Quotient(over, by));
        }
        return by.value() < 0
                ? byNumber(over.times(-1), Math.negateExact(by.value()))
                : byNumber(over, by.value());
    }

    /** The polynomial that, multiplied by the other, gives this one; null if there is none. */
    private static @Nullable Extent exact(Extent over, Extent by) {
        Extent quotient = Extent.ZERO;
        Extent rest = over;
        Product leading = by.terms().firstKey();
        long count = by.count(leading);
        for (int step = 0; !rest.terms().isEmpty(); step++) {
            Product first = rest.terms().firstKey();
            Product product = first.without(leading);
            long coefficient = rest.count(first);
            if (product == null || coefficient % count != 0 || step == MOST_STEPS) {
                return null;
            }
            var part = new Extent(new TreeMap<>(Map.of(product, coefficient / count)));
            quotient = quotient.plus(part);
            rest = rest.minus(part.times(by));
        }
        return quotient;
    }

    /** What divides without a rest is taken out of the quotient, and quotients within joined. */
    private static Extent byNumber(Extent over, long number) {
        var whole = new TreeMap<Product, Long>();
        var rest = new TreeMap<Product, Long>();
        over.terms()
                .forEach((product, count) -> {
                    Extent.add(whole, product, Math.floorDiv(count, number));
                    Extent.add(rest, product, Math.floorMod(count, number));
                });
        Extent quotient = new Extent(whole);
        Extent remainder = new Extent(rest);
        if (remainder.least() >= 0 && remainder.most() < number) {
            return quotient;
        }
        Extent joined = joined(remainder, number);
        return quotient.plus(joined == null ? reduced(remainder.terms(), number) : joined);
    }

    /** ⌊(⌊a/b⌋ + k)/c⌋ is ⌊(a + b·k)/(b·c)⌋. */
    private static @Nullable Extent joined(Extent over, long number) {
        long constant = over.count(Product.EMPTY);
        Product first = over.terms().firstKey();
        if (over.terms().size() == (constant == 0 ? 1 : 2)
                && over.count(first) == 1
                && first.factors().size() == 1
                && first.factors().getFirst() instanceof Factor.Quotient(var a, var b)
                && b.isKnown()
                && b.value() > 0) {
            return a.plus(b.times(constant)).over(b.times(number));
        }
        return null;
    }

    /** What all terms but the constant have in common with the divisor is left out. */
    private static Extent reduced(SortedMap<Product, Long> over, long number) {
        long common = number;
        for (Map.Entry<Product, Long> term : over.entrySet()) {
            if (!term.getKey().factors().isEmpty()) {
                common = gcd(common, term.getValue());
            }
        }
        var reduced = new TreeMap<Product, Long>();
        for (Map.Entry<Product, Long> term : over.entrySet()) {
            Extent.add(reduced, term.getKey(), Math.floorDiv(term.getValue(), common));
        }
        return Extent.of(new Factor.Quotient(new Extent(reduced), Extent.of(number / common)));
    }

    private static long gcd(long a, long b) {
        return b == 0 ? Math.abs(a) : gcd(b, a % b);
    }
}

package io.espalier.onnx.shape;

import io.espalier.graph.Size;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.function.Function;

/**
 * Factors multiplied, in the order of their text. Products of more factors come first, then those
 * of earlier ones: an order that multiplication keeps, by which polynomials can be divided.
 */
record Product(List<Factor> factors) implements Comparable<Product> {
    static final Product EMPTY = new Product(List.of());

    private static final Comparator<Factor> BY_TEXT =
            Comparator.comparing(Factor::toString).thenComparing(f -> f.getClass().getName());

    Product times(Product other) {
        if (factors.isEmpty() || other.factors.isEmpty()) {
            return factors.isEmpty() ? other : this;
        }
        var all = new ArrayList<>(factors);
        all.addAll(other.factors);
        all.sort(BY_TEXT);
        return new Product(List.copyOf(all));
    }

    /** What is left after division; null if the other doesn't divide it. */
    @Nullable Product without(Product other) {
        var rest = new ArrayList<>(factors);
        for (Factor factor : other.factors) {
            if (!rest.remove(factor)) {
                return null;
            }
        }
        return new Product(List.copyOf(rest));
    }

    long least() {
        return bounds(true);
    }

    long most() {
        return bounds(false);
    }

    private long bounds(boolean low) {
        if (factors.size() == 1) {
            return low ? factors.getFirst().least() : factors.getFirst().most();
        }
        long bound = 1;
        for (Factor factor : factors) {
            if (factor.least() < 0) {
                return low ? Long.MIN_VALUE : Factor.UNBOUNDED;
            }
            long of = low ? factor.least() : factor.most();
            if (of == Factor.UNBOUNDED) {
                return of;
            }
            bound = Math.multiplyExact(bound, of);
        }
        return bound;
    }

    @Override
    public int compareTo(Product other) {
        if (factors.size() != other.factors.size()) {
            return Integer.compare(other.factors.size(), factors.size());
        }
        for (int i = 0; i < factors.size(); i++) {
            int order = BY_TEXT.compare(factors.get(i), other.factors.get(i));
            if (order != 0) {
                return order;
            }
        }
        return 0;
    }

    /** So many times this product in core's graphs. */
    @Nullable Size toSize(Function<String, @Nullable Size> named, long count) {
        Size product = count == 1 ? null : new Size.Fixed(count);
        for (Factor factor : factors) {
            Size size = factor.toSize(named);
            if (size == null) {
                return null;
            }
            product = product == null ? size : new Size.Times(product, size);
        }
        return product;
    }
}

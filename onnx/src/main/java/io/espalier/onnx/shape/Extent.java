package io.espalier.onnx.shape;

import io.espalier.graph.Size;
import io.espalier.tensor.EspalierException;

import org.jspecify.annotations.Nullable;

import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Function;

/**
 * A whole number that may depend on what a run decides, such as {@code 4 * N + 1}: how long a value
 * is along a dimension, or an element of a small tensor that shapes are computed with.
 *
 * <p>It is a polynomial over the names of free dimensions, quotients, larger and smaller ones,
 * written in one way only, so that two are equal if they are the same in each run as far as that
 * can be told. A name that begins with {@code ?} stands for a number of which nothing is known but
 * that it is the same wherever it is named. Free dimensions of inputs are taken to be 1 or more.
 */
public final class Extent {
    /** What is longer helps nobody, and what grows without end has to end. */
    private static final int LONGEST_TEXT = 400;

    static final Extent ZERO = of(0);
    static final Extent ONE = of(1);

    private final SortedMap<Product, Long> terms;
    private final String text;

    Extent(SortedMap<Product, Long> terms) {
        this.terms = terms;
        this.text = ExtentText.of(terms);
        if (text.length() > LONGEST_TEXT) {
            throw new ArithmeticException("An extent that is too long to be of use.");
        }
    }

    /** This number in each run. */
    public static Extent of(long value) {
        var terms = new TreeMap<Product, Long>();
        if (value != 0) {
            terms.put(Product.EMPTY, value);
        }
        return new Extent(terms);
    }

    /** The free dimension of this name, 1 or more. */
    public static Extent named(String name) {
        return of(new Factor.Symbol(name, 1));
    }

    static Extent of(Factor factor) {
        return new Extent(new TreeMap<>(Map.of(new Product(List.of(factor)), 1L)));
    }

    /** Products and how many of each; none that is there no times. */
    SortedMap<Product, Long> terms() {
        return terms;
    }

    /** How many of a product it has. */
    long count(Product product) {
        return terms.getOrDefault(product, 0L);
    }

    /** Whether it is the same in each run. */
    public boolean isKnown() {
        return terms.isEmpty() || (terms.size() == 1 && terms.firstKey().factors().isEmpty());
    }

    /**
     * The number.
     *
     * @throws EspalierException if it is not the same in each run
     */
    public long value() {
        if (!isKnown()) {
            throw new EspalierException(
                    "The extent "
                            + this
                            + " depends on "
                            + names()
                            + ", of which no size is given.");
        }
        return count(Product.EMPTY);
    }

    boolean is(long value) {
        return isKnown() && value() == value;
    }

    /** The names that it depends on, in alphabetical order. */
    public Set<String> names() {
        var names = new TreeSet<String>();
        collect(names);
        return Collections.unmodifiableSet(names);
    }

    void collect(Set<String> names) {
        terms.keySet().forEach(product -> product.factors().forEach(f -> f.collect(names)));
    }

    /**
     * The same where these names have these sizes.
     *
     * @throws ArithmeticException if it exceeds a {@code long} there, or divides by zero
     */
    public Extent with(Map<String, Long> sizes) {
        Extent sum = ZERO;
        for (Map.Entry<Product, Long> term : terms.entrySet()) {
            Extent product = of(term.getValue());
            for (Factor factor : term.getKey().factors()) {
                product = product.times(factor.with(sizes));
            }
            sum = sum.plus(product);
        }
        return sum;
    }

    Extent plus(Extent other) {
        var sum = new TreeMap<>(terms);
        other.terms.forEach((product, count) -> add(sum, product, count));
        return new Extent(sum);
    }

    /** Adds so many of a product to a sum. */
    static void add(SortedMap<Product, Long> sum, Product product, long count) {
        long total = Math.addExact(sum.getOrDefault(product, 0L), count);
        if (total == 0) {
            sum.remove(product);
        } else {
            sum.put(product, total);
        }
    }

    Extent plus(long number) {
        return plus(of(number));
    }

    Extent minus(Extent other) {
        return plus(other.times(-1));
    }

    Extent times(long number) {
        return times(of(number));
    }

    Extent times(Extent other) {
        var sum = new TreeMap<Product, Long>();
        terms.forEach((a, countA) ->
                other.terms.forEach(
                        (b, countB) -> add(sum, a.times(b), Math.multiplyExact(countA, countB))));
        return new Extent(sum);
    }

    Extent over(long number) {
        return over(of(number));
    }

    /**
     * The quotient rounded down.
     *
     * @throws ArithmeticException if the other is zero in each run
     */
    Extent over(Extent other) {
        return Division.quotient(this, other);
    }

    Extent max(Extent other) {
        if (other.isAtMost(this)) {
            return this;
        }
        if (isAtMost(other)) {
            return other;
        }
        return of(
                isBefore(other) ? new Factor.Larger(this, other) : new Factor.Larger(other, this));
    }

    Extent min(Extent other) {
        if (other.isAtMost(this)) {
            return other;
        }
        if (isAtMost(other)) {
            return this;
        }
        return of(
                isBefore(other)
                        ? new Factor.Smaller(this, other)
                        : new Factor.Smaller(other, this));
    }

    /** Whether it is seen to be no more than the other in each run. */
    private boolean isAtMost(Extent other) {
        if (minus(other).most() <= 0) {
            return true;
        }
        return (single() instanceof Factor.Smaller(var a, var b)
                        && (a.minus(other).most() <= 0 || b.minus(other).most() <= 0))
                || (other.single() instanceof Factor.Larger(var c, var d)
                        && (minus(c).most() <= 0 || minus(d).most() <= 0));
    }

    /** The factor that it is; null if it is anything else. */
    private @Nullable Factor single() {
        Product first = terms.isEmpty() ? Product.EMPTY : terms.firstKey();
        return terms.size() == 1 && first.factors().size() == 1 && count(first) == 1
                ? first.factors().getFirst()
                : null;
    }

    private boolean isBefore(Extent other) {
        return text.compareTo(other.text) < 0;
    }

    /** It is never less; {@code Long.MIN_VALUE} if nothing is known. */
    long least() {
        return bound(true);
    }

    /** It is never more; {@code Long.MAX_VALUE} if nothing is known. */
    long most() {
        return bound(false);
    }

    private long bound(boolean least) {
        long none = least ? Long.MIN_VALUE : Factor.UNBOUNDED;
        long bound = 0;
        try {
            for (Map.Entry<Product, Long> term : terms.entrySet()) {
                boolean low = term.getValue() > 0 == least;
                long of = low ? term.getKey().least() : term.getKey().most();
                if (of == Long.MIN_VALUE || of == Factor.UNBOUNDED) {
                    return none;
                }
                bound = Math.addExact(bound, Math.multiplyExact(term.getValue(), of));
            }
        } catch (ArithmeticException _) {
            return none;
        }
        return bound;
    }

    @Override
    public boolean equals(@Nullable Object other) {
        return other instanceof Extent extent && terms.equals(extent.terms);
    }

    @Override
    public int hashCode() {
        return text.hashCode();
    }

    /** As it is computed: {@code (H + 1) / 2 * C}. */
    @Override
    public String toString() {
        return text;
    }

    /**
     * The same as an expression in core's graphs; null if it depends on a name that has none there.
     *
     * @param named what stands for a name there, or null
     */
    public @Nullable Size toSize(Function<String, @Nullable Size> named) {
        Size plus = null;
        Size minus = null;
        long constant = 0;
        for (Map.Entry<Product, Long> term : terms.entrySet()) {
            long count = term.getValue();
            if (term.getKey().factors().isEmpty()) {
                constant = count;
                continue;
            }
            Size product = term.getKey().toSize(named, Math.abs(count));
            if (product == null) {
                return null;
            }
            if (count > 0) {
                plus = plus == null ? product : new Size.Joined(Size.Join.SUM, plus, product);
            } else {
                minus = minus == null ? product : new Size.Joined(Size.Join.SUM, minus, product);
            }
        }
        Size sum = plus == null ? new Size.Fixed(constant) : plus;
        if (plus != null && constant != 0) {
            sum = new Size.Plus(sum, constant);
        }
        return minus == null ? sum : new Size.Joined(Size.Join.DIFFERENCE, sum, minus);
    }
}

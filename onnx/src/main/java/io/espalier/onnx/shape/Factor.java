package io.espalier.onnx.shape;

import io.espalier.graph.Size;

import org.jspecify.annotations.Nullable;

import java.util.Map;
import java.util.Set;
import java.util.function.Function;

/** What an {@link Extent} multiplies and adds. */
sealed interface Factor {
    /** No bound above. */
    long UNBOUNDED = Long.MAX_VALUE;

    /** It is never less. */
    long least();

    /** It is never more. */
    long most();

    /** The same where these symbols have these sizes. */
    Extent with(Map<String, Long> sizes);

    /** Adds the symbols that it depends on. */
    void collect(Set<String> names);

    /** The same in core's graphs; null if it depends on a name that has none there. */
    @Nullable Size toSize(Function<String, @Nullable Size> named);

    /** Two extents joined in core's graphs. */
    private static @Nullable Size joined(
            Size.Join join, Extent a, Extent b, Function<String, @Nullable Size> named) {
        Size first = a.toSize(named);
        Size second = b.toSize(named);
        return first == null || second == null ? null : new Size.Joined(join, first, second);
    }

    /** A number that a run decides. */
    record Symbol(String name, long least) implements Factor {
        @Override
        public long most() {
            return UNBOUNDED;
        }

        @Override
        public Extent with(Map<String, Long> sizes) {
            Long size = sizes.get(name);
            return size == null ? Extent.of(this) : Extent.of(size);
        }

        @Override
        public void collect(Set<String> names) {
            names.add(name);
        }

        @Override
        public @Nullable Size toSize(Function<String, @Nullable Size> named) {
            return named.apply(name);
        }

        @Override
        public String toString() {
            return name;
        }
    }

    /** A quotient, rounded down. */
    record Quotient(Extent over, Extent by) implements Factor {
        @Override
        public long least() {
            if (by.isKnown() && over.least() != Long.MIN_VALUE) {
                return Math.floorDiv(over.least(), by.value());
            }
            return over.least() >= 0 && by.least() >= 1 ? 0 : Long.MIN_VALUE;
        }

        @Override
        public long most() {
            if (over.most() == UNBOUNDED) {
                return UNBOUNDED;
            }
            if (by.isKnown()) {
                return Math.floorDiv(over.most(), by.value());
            }
            return over.least() >= 0 && by.least() >= 1 ? over.most() : UNBOUNDED;
        }

        @Override
        public Extent with(Map<String, Long> sizes) {
            return over.with(sizes).over(by.with(sizes));
        }

        @Override
        public void collect(Set<String> names) {
            over.collect(names);
            by.collect(names);
        }

        @Override
        public @Nullable Size toSize(Function<String, @Nullable Size> named) {
            Size size = over.toSize(named);
            return size != null && by.isKnown() && by.value() > 0
                    ? new Size.Over(size, by.value())
                    : joined(Size.Join.QUOTIENT, over, by, named);
        }

        @Override
        public String toString() {
            return ExtentText.asFactor(over) + " / " + ExtentText.asFactor(by);
        }
    }

    /** The larger of two. */
    record Larger(Extent a, Extent b) implements Factor {
        @Override
        public long least() {
            return Math.max(a.least(), b.least());
        }

        @Override
        public long most() {
            return Math.max(a.most(), b.most());
        }

        @Override
        public Extent with(Map<String, Long> sizes) {
            return a.with(sizes).max(b.with(sizes));
        }

        @Override
        public void collect(Set<String> names) {
            a.collect(names);
            b.collect(names);
        }

        @Override
        public @Nullable Size toSize(Function<String, @Nullable Size> named) {
            return joined(Size.Join.MAX, a, b, named);
        }

        @Override
        public String toString() {
            return "max(" + a + ", " + b + ")";
        }
    }

    /** The smaller of two. */
    record Smaller(Extent a, Extent b) implements Factor {
        @Override
        public long least() {
            return Math.min(a.least(), b.least());
        }

        @Override
        public long most() {
            return Math.min(a.most(), b.most());
        }

        @Override
        public Extent with(Map<String, Long> sizes) {
            return a.with(sizes).min(b.with(sizes));
        }

        @Override
        public void collect(Set<String> names) {
            a.collect(names);
            b.collect(names);
        }

        @Override
        public @Nullable Size toSize(Function<String, @Nullable Size> named) {
            return joined(Size.Join.MIN, a, b, named);
        }

        @Override
        public String toString() {
            return "min(" + a + ", " + b + ")";
        }
    }
}

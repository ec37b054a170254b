package io.espalier.graph;

import io.espalier.tensor.EspalierException;

import java.util.Locale;
import java.util.function.IntToLongFunction;
import java.util.function.ToLongFunction;

/**
 * A number in a graph that may depend on the sizes of its inputs, such as {@code batch · 4}. All
 * arithmetic is that of whole numbers; quotients are rounded down.
 */
public sealed interface Size {
    /** The same in each call. */
    record Fixed(long value) implements Size {
        @Override
        public String toString() {
            return Long.toString(value);
        }
    }

    /** A dimension of the graph's inputs, by its name. */
    record Free(String name) implements Size {
        /**
         * Checks the name.
         *
         * @throws EspalierException if it is not letters, digits and underscores
         */
        public Free {
            if (!name.matches("[A-Za-z_]\\w*") || name.equals("size")) {
                throw new EspalierException(
                        "A free dimension is named by letters, digits and underscores, and not"
                                + " 'size'; asked for '"
                                + name
                                + "'.");
            }
        }

        @Override
        public String toString() {
            return name;
        }
    }

    /** The length of an operator's first operand along a dimension. */
    record OfOperand(int dim) implements Size {
        @Override
        public String toString() {
            return "size(" + dim + ")";
        }
    }

    /** A sum. */
    record Plus(Size size, long number) implements Size {
        @Override
        public String toString() {
            return size + (number < 0 ? " - " + -number : " + " + number);
        }
    }

    /** A product. */
    record Times(Size a, Size b) implements Size {
        @Override
        public String toString() {
            return factor(a) + " * " + factor(b);
        }
    }

    /** A quotient, rounded down. */
    record Over(Size size, long number) implements Size {
        @Override
        public String toString() {
            return factor(size) + " / " + number;
        }
    }

    /**
     * Two sizes joined.
     *
     * @param by how
     */
    record Joined(Join by, Size a, Size b) implements Size {
        @Override
        public String toString() {
            return by + "(" + a + ", " + b + ")";
        }
    }

    /** How two sizes make a third. */
    enum Join {
        /** a + b. */
        SUM,
        /** a − b. */
        DIFFERENCE,
        /** a / b, rounded down. */
        QUOTIENT,
        /** The larger. */
        MAX,
        /** The smaller. */
        MIN;

        private long of(long a, long b) {
            return switch (this) {
                case SUM -> a + b;
                case DIFFERENCE -> a - b;
                case MAX -> Math.max(a, b);
                case MIN -> Math.min(a, b);
                case QUOTIENT -> {
                    if (b == 0) {
                        throw new EspalierException("A size can't be divided by a size of 0.");
                    }
                    yield Math.floorDiv(a, b);
                }
            };
        }

        /** As it is written before its two sizes. */
        @Override
        public String toString() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /** It follows from the sizes of the inputs in no simple way. */
    record Unknown() implements Size {
        @Override
        public String toString() {
            return "?";
        }
    }

    private static String factor(Size size) {
        return size instanceof Plus || size instanceof Over ? "(" + size + ")" : size.toString();
    }

    /**
     * The number.
     *
     * @param free the sizes of the free dimensions
     * @param operand the lengths of the operator's first operand
     */
    default long resolve(ToLongFunction<String> free, IntToLongFunction operand) {
        return switch (this) {
            case Fixed(long value) -> value;
            case Free(String name) -> free.applyAsLong(name);
            case OfOperand(int dim) -> operand.applyAsLong(dim);
            case Plus(Size size, long number) -> size.resolve(free, operand) + number;
            case Times(Size a, Size b) -> a.resolve(free, operand) * b.resolve(free, operand);
            case Joined(Join by, Size a, Size b) ->
                    by.of(a.resolve(free, operand), b.resolve(free, operand));
            case Unknown unknown ->
                    throw new EspalierException("A size that is not known can't be computed.");
            case Over(Size size, long number) -> Math.floorDiv(size.resolve(free, operand), number);
        };
    }

    /**
     * What a size prints as.
     *
     * @throws EspalierException if it is something else
     */
    static Size parse(String text) {
        return new SizeParser(text).parse();
    }
}

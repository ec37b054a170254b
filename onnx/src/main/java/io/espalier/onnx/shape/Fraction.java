package io.espalier.onnx.shape;

/**
 * An element of a small tensor: a whole number, or, where shapes are computed with real ones, a
 * quotient.
 *
 * @param denominator 1 or more
 */
record Fraction(Extent numerator, long denominator) {
    static final Fraction ZERO = of(0);
    static final Fraction ONE = of(1);

    /** Beyond these, the runtime's rounding is not foreseen where extents are free. */
    private static final long MOST_DENOMINATOR = 1 << 10;

    private static final int SMALLEST_EXPONENT = -40;
    private static final double LARGEST = 1L << 52;

    Fraction {
        if (denominator > 1 && numerator.isKnown()) {
            long common = gcd(numerator.value(), denominator);
            numerator = Extent.of(numerator.value() / common);
            denominator /= common;
        }
    }

    private static long gcd(long a, long b) {
        return b == 0 ? Math.max(Math.abs(a), 1) : gcd(b, a % b);
    }

    static Fraction of(long number) {
        return new Fraction(Extent.of(number), 1);
    }

    static Fraction of(Extent extent) {
        return new Fraction(extent, 1);
    }

    static Fraction of(boolean flag) {
        return flag ? ONE : ZERO;
    }

    /** A real number, exactly. */
    static Fraction of(double number) {
        double size = Math.abs(number);
        if (!(size <= LARGEST) || (size != 0 && Math.getExponent(size) < SMALLEST_EXPONENT / 2)) {
            throw new Undecided();
        }
        long denominator = 1;
        double numerator = number;
        while (numerator != Math.rint(numerator)) {
            numerator *= 2;
            denominator *= 2;
            if (denominator > 1L << -SMALLEST_EXPONENT) {
                throw new Undecided();
            }
        }
        return new Fraction(Extent.of((long) numerator), denominator);
    }

    boolean isKnown() {
        return numerator.isKnown();
    }

    /** The whole number. */
    Extent whole() {
        if (denominator != 1) {
            throw new Undecided();
        }
        return numerator;
    }

    double value() {
        return (double) numerator.value() / denominator;
    }

    Fraction plus(Fraction other) {
        if (isReal() || other.isReal()) {
            if (isKnown() && other.isKnown()) {
                return of((double) (float) (value() + other.value()));
            }
        }
        return fraction(
                numerator.times(other.denominator).plus(other.numerator.times(denominator)),
                Math.multiplyExact(denominator, other.denominator));
    }

    Fraction negated() {
        return new Fraction(numerator.times(-1), denominator);
    }

    Fraction times(Fraction other) {
        if ((isReal() || other.isReal()) && isKnown() && other.isKnown()) {
            return of((float) value() * (float) other.value());
        }
        return fraction(
                numerator.times(other.numerator),
                Math.multiplyExact(denominator, other.denominator));
    }

    /** The quotient as real numbers have it. */
    Fraction dividedBy(Fraction other) {
        if (!other.isKnown()) {
            Extent exact = numerator.times(other.denominator).over(other.numerator);
            if (denominator == 1
                    && exact.times(other.numerator).equals(numerator.times(other.denominator))) {
                return of(exact);
            }
            throw new Undecided();
        }
        if (isKnown()) {
            return of((double) ((float) value() / (float) other.value()));
        }
        long by = other.numerator.value();
        if (by == 0) {
            throw new Undecided();
        }
        return fraction(
                numerator.times(other.denominator).times(Long.signum(by)),
                Math.multiplyExact(denominator, Math.absExact(by)));
    }

    private boolean isReal() {
        return denominator != 1;
    }

    private static Fraction fraction(Extent numerator, long denominator) {
        if (!numerator.isKnown() && denominator > MOST_DENOMINATOR) {
            throw new Undecided();
        }
        return new Fraction(numerator, denominator);
    }

    Extent floor() {
        return numerator.over(denominator);
    }

    Extent ceil() {
        return numerator.plus(denominator - 1).over(denominator);
    }

    /** Cut towards zero. */
    Extent cut() {
        if (numerator.least() >= 0) {
            return floor();
        }
        if (numerator.most() <= 0) {
            return ceil();
        }
        if (denominator == 1) {
            return numerator;
        }
        throw new Undecided();
    }
}

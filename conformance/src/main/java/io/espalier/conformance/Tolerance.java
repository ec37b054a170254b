package io.espalier.conformance;

/**
 * How far a number may lie from the expected one: {@code |came − expected| ≤ absolute + relative ·
 * |expected|}, for all but a share of the elements.
 *
 * @param share the part of the elements, 0…1, that may lie farther away
 */
record Tolerance(double absolute, double relative, double share) {
    static final Tolerance EXACT = new Tolerance(0, 0, 0);

    static Tolerance relative(double relative) {
        return new Tolerance(0, relative, 0);
    }

    /**
     * Relative to the expected number, and to 1 where that is smaller: float's own rule of thumb.
     */
    static Tolerance within(double tolerance) {
        return new Tolerance(tolerance, tolerance, 0);
    }

    static Tolerance absolute(double absolute) {
        return new Tolerance(absolute, 0, 0);
    }

    Tolerance except(double share) {
        return new Tolerance(absolute, relative, share);
    }

    boolean allows(double expected, double came) {
        return expected == came
                || (Double.isNaN(expected) && Double.isNaN(came))
                || Math.abs(came - expected) <= absolute + relative * Math.abs(expected);
    }
}

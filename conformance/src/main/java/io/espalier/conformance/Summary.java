package io.espalier.conformance;

/**
 * How many cases went which way.
 *
 * @param passed met what PyTorch answered
 * @param failed did not, or could not be run
 * @param skipped belong to groups that are not supported
 */
public record Summary(int passed, int failed, int skipped) {
    static final Summary NONE = new Summary(0, 0, 0);
    static final Summary PASS = new Summary(1, 0, 0);
    static final Summary FAILURE = new Summary(0, 1, 0);

    static Summary skipped(int count) {
        return new Summary(0, 0, count);
    }

    Summary plus(Summary other) {
        return new Summary(passed + other.passed, failed + other.failed, skipped + other.skipped);
    }

    /** {@code 241 passed, 0 failed}, and {@code , 267 skipped} where any were. */
    @Override
    public String toString() {
        return passed
                + " passed, "
                + failed
                + " failed"
                + (skipped == 0 ? "" : ", " + skipped + " skipped");
    }
}

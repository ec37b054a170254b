package io.espalier.train;

import io.espalier.tensor.EspalierException;

/** What all settings check. */
final class Settings {
    private Settings() {}

    static void requireNotNegative(String what, double value) {
        if (!(value >= 0)) {
            throw new EspalierException(what + " must be 0 or more; asked for " + value + ".");
        }
    }

    static void requireNotNegative(String what, long value) {
        if (value < 0) {
            throw new EspalierException(what + " must be 0 or more; asked for " + value + ".");
        }
    }

    static void requirePositive(String what, long value) {
        if (value < 1) {
            throw new EspalierException(what + " must be 1 or more; asked for " + value + ".");
        }
    }

    static void requirePositive(String what, double value) {
        if (!(value > 0)) {
            throw new EspalierException(what + " must be above 0; asked for " + value + ".");
        }
    }

    static void requireShare(String what, double value) {
        if (!(value >= 0 && value <= 1)) {
            throw new EspalierException(what + " must be from 0 to 1; asked for " + value + ".");
        }
    }

    static void requireBelowOne(String what, double value) {
        if (!(value >= 0 && value < 1)) {
            throw new EspalierException(
                    what + " must be 0 or more and below 1; asked for " + value + ".");
        }
    }
}

package io.espalier.onnx.quant.conv;

import java.util.function.ToDoubleFunction;

/** Some of the numbers that a value took, evenly spread, and its extremes. */
final class Sample {
    private final float[] values;
    private final float min;
    private final float max;

    Sample(float[] values, float min, float max) {
        this.values = values;
        this.min = values.length == 0 ? 0 : min;
        this.max = values.length == 0 ? 0 : max;
    }

    double min() {
        return min;
    }

    double max() {
        return max;
    }

    /** Codes for the whole range or a part of it, whichever rounds and clips with least error. */
    AffineScale leastError() {
        return best(share -> AffineScale.of(min * share, max * share), this::squaredError);
    }

    /** The same where what is below 0 becomes 0, and what is above a limit the limit. */
    AffineScale leastErrorAboveZero(double limit) {
        double top = Math.max(Math.min(max, limit), 0);
        return best(
                share -> AffineScale.of(0, top * share),
                scale -> error(scale::rounded, value -> (float) Math.clamp(value, 0, top)));
    }

    /** Which of the candidates, each of a part of the range, has the least error. */
    static AffineScale best(Candidate candidate, ToDoubleFunction<AffineScale> error) {
        AffineScale best = candidate.of(1);
        double least = error.applyAsDouble(best);
        for (int i = 19; i >= 6; i--) {
            AffineScale scale = candidate.of(i / 20.0);
            double found = error.applyAsDouble(scale);
            if (found < least) {
                least = found;
                best = scale;
            }
        }
        return best;
    }

    /** Codes for a part of a range. */
    interface Candidate {
        AffineScale of(double share);
    }

    private double squaredError(AffineScale scale) {
        return error(scale::rounded, value -> value);
    }

    /** The sum of squares of what one function gives less than another. */
    double error(Function found, Function expected) {
        double sum = 0;
        for (float value : values) {
            double difference = found.at(value) - expected.at(value);
            sum += difference * difference;
        }
        return sum;
    }

    /** A function of a number. */
    interface Function {
        float at(float value);
    }
}

package io.espalier.compress;

import io.espalier.state.CompressedWriter.Integers;
import io.espalier.tensor.EspalierException;

/**
 * Rounds floats to integers times a scale, one scale for each row, of least squared error among
 * some that leave the largest ones out.
 */
final class Rounding {
    /** Scales are tried down to half of what the largest value needs. */
    private static final int STEPS = 20;

    private final float[] values;
    private final int rows;
    private final int largest;

    /**
     * Of a weight.
     *
     * @param values row by row
     * @param rows how many there are
     * @param bits of the integers, which are symmetric about 0
     */
    Rounding(float[] values, int rows, int bits) {
        this.values = values;
        this.rows = rows;
        this.largest = (1 << (bits - 1)) - 1;
    }

    /**
     * The integers and scales.
     *
     * @param name what an error calls the weight
     */
    Integers integers(String name) {
        byte[] codes = new byte[values.length];
        float[] scales = new float[rows];
        int columns = rows == 0 ? 0 : values.length / rows;
        for (int row = 0; row < rows; row++) {
            int begin = row * columns;
            float most = 0;
            for (int i = begin; i < begin + columns; i++) {
                if (!Float.isFinite(values[i])) {
                    throw new EspalierException(
                            "'" + name + "' holds " + values[i] + ", which no integer stands for.");
                }
                most = Math.max(most, Math.abs(values[i]));
            }
            scales[row] = most == 0 ? 1 : best(begin, begin + columns, most / largest);
            for (int i = begin; i < begin + columns; i++) {
                codes[i] = (byte) code(values[i], scales[row]);
            }
        }
        return new Integers(codes, scales);
    }

    private float best(int begin, int end, float start) {
        float best = start;
        double least = Double.POSITIVE_INFINITY;
        for (int step = 0; step <= STEPS; step++) {
            float scale = start * (1 - 0.5f * step / STEPS);
            double error = 0;
            for (int i = begin; i < end && error < least; i++) {
                double off = (double) code(values[i], scale) * scale - values[i];
                error += off * off;
            }
            if (scale > 0 && error < least) {
                least = error;
                best = scale;
            }
        }
        return Math.max(best, Float.MIN_VALUE);
    }

    private int code(float value, float scale) {
        return Math.clamp(Math.round(value / scale), -largest, largest);
    }

    /** What integers and scales stand for. */
    static float[] floats(Integers integers) {
        float[] floats = new float[integers.codes().length];
        int rows = integers.scales().length;
        for (int i = 0; i < floats.length; i++) {
            floats[i] = integers.codes()[i] * integers.scales()[i / (floats.length / rows)];
        }
        return floats;
    }
}

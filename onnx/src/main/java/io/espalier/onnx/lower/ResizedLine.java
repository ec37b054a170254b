package io.espalier.onnx.lower;

/**
 * Where the elements of a resized line come from, as ONNX's {@code Resize} defines it.
 *
 * @param in the line's length
 * @param out the result's length
 * @param scale how many times longer that is
 * @param coordinates how a place in the result becomes one in the line
 * @param cubic the coefficient of cubic interpolation
 */
record ResizedLine(long in, long out, double scale, String coordinates, double cubic) {
    private double place(long x) {
        return switch (coordinates) {
            case "align_corners" -> out == 1 ? 0 : x * (in - 1.0) / (out - 1);
            case "asymmetric" -> x / scale;
            case "tf_half_pixel_for_nn" -> (x + 0.5) / scale;
            case "pytorch_half_pixel" -> out > 1 ? (x + 0.5) / scale - 0.5 : 0;
            case "half_pixel_symmetric" ->
                    in / 2.0 * (1 - out / (scale * in)) + (x + 0.5) / scale - 0.5;
            default -> (x + 0.5) / scale - 0.5;
        };
    }

    /** The nearest element for each place in the result. */
    long[] nearest(String rounding) {
        long[] places = new long[(int) out];
        for (int x = 0; x < out; x++) {
            double place = place(x);
            double rounded =
                    switch (rounding) {
                        case "floor" -> Math.floor(place);
                        case "ceil" -> Math.ceil(place);
                        case "round_prefer_ceil" -> Math.floor(place + 0.5);
                        default -> Math.ceil(place - 0.5);
                    };
            places[x] = inside((long) rounded);
        }
        return places;
    }

    private long inside(long place) {
        return Math.clamp(place, 0, in - 1);
    }

    /** The share of each element in each of the result's, as a matrix [in, out]. */
    float[] weights(boolean isCubic) {
        float[] matrix = new float[Math.toIntExact(in * out)];
        for (long x = 0; x < out; x++) {
            double place = place(x);
            long below = (long) Math.floor(place);
            double share = place - below;
            int reach = isCubic ? 2 : 1;
            for (long from = below - reach + 1; from <= below + reach; from++) {
                double distance = Math.abs(place - from);
                double weight = isCubic ? cubicAt(distance) : from == below ? 1 - share : share;
                matrix[(int) (inside(from) * out + x)] += (float) weight;
            }
        }
        return matrix;
    }

    private double cubicAt(double d) {
        return d <= 1
                ? ((cubic + 2) * d - (cubic + 3)) * d * d + 1
                : ((cubic * d - 5 * cubic) * d + 8 * cubic) * d - 4 * cubic;
    }
}

package io.espalier.conformance;

import io.espalier.conformance.PlainRounding.Step;

/**
 * Linear and recurrent layers as plain loops, whose products with a weight are taken in float, with
 * 16-bit weights, or in integers with the input quantized anew in each call.
 */
final class PlainDynamic {
    /** What products are taken in. */
    enum Arithmetic {
        FLOAT,
        FLOAT16,
        /** Weights −128 … 127 about zero, inputs in 7 bits. */
        INT8,
        /** The same with inputs in 8 bits. */
        WIDE_INT8
    }

    private final Arithmetic arithmetic;

    PlainDynamic(Arithmetic arithmetic) {
        this.arithmetic = arithmetic;
    }

    /** {@code x · weightᵀ + bias} for rows of {@code in} inputs. */
    double[] linear(float[] x, int in, float[] weight, float[] bias) {
        int out = bias.length;
        double[] y = new double[x.length / in * out];
        Step ofX = step(x);
        Step ofWeight = symmetric(weight);
        for (int row = 0; row < x.length / in; row++) {
            for (int o = 0; o < out; o++) {
                double sum = 0;
                for (int i = 0; i < in; i++) {
                    float w = weight[o * in + i];
                    float v = x[row * in + i];
                    sum +=
                            switch (arithmetic) {
                                case FLOAT -> (double) v * w;
                                case FLOAT16 ->
                                        (double) v * Float.float16ToFloat(Float.floatToFloat16(w));
                                default ->
                                        (double) (integer(v, ofX) - ofX.zeroPoint())
                                                * ofWeight.integer(w, -128, 127);
                            };
                }
                boolean real = arithmetic == Arithmetic.FLOAT || arithmetic == Arithmetic.FLOAT16;
                double unit = real ? 1 : ofX.scale() * ofWeight.scale();
                y[row * out + o] = sum * unit + bias[o];
            }
        }
        return y;
    }

    private Step step(float[] x) {
        float min = Float.POSITIVE_INFINITY;
        float max = Float.NEGATIVE_INFINITY;
        for (float value : x) {
            min = Math.min(min, value);
            max = Math.max(max, value);
        }
        int last = arithmetic == Arithmetic.WIDE_INT8 ? 255 : 127;
        return PlainRounding.chosen(min, max, 0, last, false);
    }

    /** Whether a value lies so near a tie that the last bit of its position decides. */
    boolean isUndecided(float[] x) {
        Step step = step(x);
        for (float value : x) {
            double position = (double) value / step.scale();
            if (Math.abs(position - Math.floor(position) - 0.5) < 2e-5) {
                return true;
            }
        }
        return false;
    }

    /** Here the zero point is added before rounding, which decides ties. */
    private static long integer(float x, Step step) {
        float position = step.zeroPoint() + x * (1 / step.scale());
        return (long) Math.clamp(Math.rint(position), 0, 255);
    }

    private static Step symmetric(float[] weight) {
        float largest = 0;
        for (float w : weight) {
            largest = Math.max(largest, Math.abs(w));
        }
        return new Step(Math.max(largest / 127.5f, Math.ulp(1f)), 0);
    }

    /** The weights of one recurrent layer, of the input and of the state. */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    record Recurrent(
            int in,
            int state,
            float[] ofInput,
            float[] ofState,
            float[] inputBias,
            float[] stateBias) {}

    /** All states of an LSTM that begins at zero, for [steps, rows, in]. */
    float[] lstm(float[] x, int rows, Recurrent layer) {
        int size = layer.state;
        float[] cell = new float[rows * size];
        return run(
                x,
                rows,
                layer,
                (gates, recurrent, hidden, row, i) -> {
                    double[] gate = new double[4];
                    for (int g = 0; g < 4; g++) {
                        int at = (row * 4 + g) * size + i;
                        gate[g] = gates[at] + recurrent[at];
                    }
                    int c = row * size + i;
                    cell[c] =
                            (float)
                                    (sigmoid(gate[1]) * cell[c]
                                            + sigmoid(gate[0]) * Math.tanh(gate[2]));
                    return sigmoid(gate[3]) * Math.tanh(cell[c]);
                });
    }

    /** All states of a GRU that begins at zero, for [steps, rows, in]. */
    float[] gru(float[] x, int rows, Recurrent layer) {
        int size = layer.state;
        return run(
                x,
                rows,
                layer,
                (gates, recurrent, hidden, row, i) -> {
                    int at = row * 3 * size + i;
                    double reset = sigmoid(gates[at] + recurrent[at]);
                    double update = sigmoid(gates[at + size] + recurrent[at + size]);
                    double fresh =
                            Math.tanh(gates[at + 2 * size] + reset * recurrent[at + 2 * size]);
                    return (hidden[row * size + i] - fresh) * update + fresh;
                });
    }

    private interface Cell {
        double next(double[] gates, double[] recurrent, float[] hidden, int row, int i);
    }

    private float[] run(float[] x, int rows, Recurrent layer, Cell cell) {
        int size = layer.state;
        int steps = x.length / (rows * layer.in);
        // The inputs of all steps are quantized together, the states step by step.
        double[] all = linear(x, layer.in, layer.ofInput, layer.inputBias);
        float[] hidden = new float[rows * size];
        float[] y = new float[steps * rows * size];
        for (int t = 0; t < steps; t++) {
            double[] gates = new double[all.length / steps];
            System.arraycopy(all, t * gates.length, gates, 0, gates.length);
            double[] recurrent = linear(hidden, size, layer.ofState, layer.stateBias);
            float[] next = new float[hidden.length];
            for (int row = 0; row < rows; row++) {
                for (int i = 0; i < size; i++) {
                    next[row * size + i] = (float) cell.next(gates, recurrent, hidden, row, i);
                }
            }
            hidden = next;
            System.arraycopy(hidden, 0, y, t * hidden.length, hidden.length);
        }
        return y;
    }

    private static double sigmoid(double x) {
        return 1 / (1 + Math.exp(-x));
    }

    static float[] floats(double[] values) {
        float[] floats = new float[values.length];
        for (int i = 0; i < floats.length; i++) {
            floats[i] = (float) values[i];
        }
        return floats;
    }
}

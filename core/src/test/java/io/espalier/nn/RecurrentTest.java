package io.espalier.nn;

import static io.espalier.Errors.messageOf;
import static io.espalier.TensorAssertions.assertClose;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import java.util.ArrayList;
import java.util.List;

class RecurrentTest {
    private static double sigmoid(double x) {
        return 1 / (1 + Math.exp(-x));
    }

    /** {@code W x + b} of one step. */
    private static double[] affine(Recurrent layer, String kind, String suffix, double[] x) {
        float[] weight = Tensors.floats(layer.value("weight_" + kind + suffix));
        double[] y = new double[weight.length / x.length];
        float[] bias =
                layer.hasParameter("bias_" + kind + suffix)
                        ? Tensors.floats(layer.value("bias_" + kind + suffix))
                        : new float[y.length];
        for (int row = 0; row < y.length; row++) {
            y[row] = bias[row];
            for (int i = 0; i < x.length; i++) {
                y[row] += weight[row * x.length + i] * x[i];
            }
        }
        return y;
    }

    private static void step(Recurrent layer, String suffix, double[] x, double[] h, double[] c) {
        double[] fromInput = affine(layer, "ih", suffix, x);
        double[] fromState = affine(layer, "hh", suffix, h);
        int n = h.length;
        for (int i = 0; i < n; i++) {
            if (layer instanceof LSTM) {
                double in = sigmoid(fromInput[i] + fromState[i]);
                double forget = sigmoid(fromInput[n + i] + fromState[n + i]);
                double cell = Math.tanh(fromInput[2 * n + i] + fromState[2 * n + i]);
                double out = sigmoid(fromInput[3 * n + i] + fromState[3 * n + i]);
                c[i] = forget * c[i] + in * cell;
                h[i] = out * Math.tanh(c[i]);
            } else {
                double reset = sigmoid(fromInput[i] + fromState[i]);
                double update = sigmoid(fromInput[n + i] + fromState[n + i]);
                double fresh = Math.tanh(fromInput[2 * n + i] + reset * fromState[2 * n + i]);
                h[i] = (1 - update) * fresh + update * h[i];
            }
        }
    }

    /** One sequence through all layers, from the given states; these become the last states. */
    private static double[][] run(Recurrent layer, double[][] x, double[][] h, double[][] c) {
        int directions = layer.options().bidirectional() ? 2 : 1;
        int n = h[0].length;
        double[][] fed = x;
        for (int l = 0; l < layer.options().layers(); l++) {
            double[][] outputs = new double[x.length][n * directions];
            for (int d = 0; d < directions; d++) {
                int state = l * directions + d;
                for (int t = 0; t < x.length; t++) {
                    int at = d == 0 ? t : x.length - 1 - t;
                    step(layer, "_l" + l + (d == 0 ? "" : "_reverse"), fed[at], h[state], c[state]);
                    System.arraycopy(h[state], 0, outputs[at], d * n, n);
                }
            }
            fed = outputs;
        }
        return fed;
    }

    private static double[][] rows(Tensor matrix) {
        long[] shape = Tensors.shape(matrix);
        float[] values = Tensors.floats(matrix);
        double[][] rows = new double[(int) shape[0]][(int) shape[1]];
        for (int i = 0; i < values.length; i++) {
            rows[i / rows[0].length][i % rows[0].length] = values[i];
        }
        return rows;
    }

    private static Tensor tensor(double[][] rows) {
        float[] values = new float[rows.length * rows[0].length];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) rows[i / rows[0].length][i % rows[0].length];
        }
        return Tensors.of(values, rows.length, rows[0].length);
    }

    private static Recurrent layer(boolean lstm, int layers, boolean both, boolean bias) {
        return lstm
                ? new LSTM(3, 4, o -> o.layers(layers).bidirectional(both).bias(bias))
                : new GRU(3, 4, o -> o.layers(layers).bidirectional(both).bias(bias));
    }

    @ParameterizedTest
    @DisplayName("computes its gates, layer by layer, in both directions, from the given state")
    @CsvSource({
        "true,1,false,true", "true,2,true,true", "true,2,false,false",
        "false,1,false,true", "false,2,true,true", "false,2,false,false"
    })
    void definition(boolean lstm, int layers, boolean both, boolean bias) {
        Recurrent layer = layer(lstm, layers, both, bias);
        int states = layers * (both ? 2 : 1);
        Tensor x = Tensors.randn(5, 2, 3);
        List<Tensor> inputs = new ArrayList<>(List.of(x, Tensors.randn(states, 2, 4)));
        if (lstm) {
            inputs.add(Tensors.randn(states, 2, 4));
        }
        List<Tensor> outputs = layer.callAll(inputs);
        assertEquals(lstm ? 3 : 2, outputs.size());
        for (int n = 0; n < 2; n++) {
            double[][] h = rows(inputs.get(1).select(1, n));
            double[][] c = rows(inputs.getLast().select(1, n));
            double[][] y = run(layer, rows(x.select(1, n)), h, c);
            assertClose(tensor(y), outputs.getFirst().select(1, n), 1e-5f);
            assertClose(tensor(h), outputs.get(1).select(1, n), 1e-5f);
            if (lstm) {
                assertClose(tensor(c), outputs.getLast().select(1, n), 1e-5f);
            }
        }
    }

    @Test
    @DisplayName(
            "starts from zeros where no state is given, with the batch first, and without a batch")
    void arrangements() {
        LSTM layer = new LSTM(3, 4, o -> o.bidirectional(true));
        LSTM batchFirst = new LSTM(3, 4, o -> o.bidirectional(true).batchFirst(true));
        batchFirst.loadStateDict(layer.stateDict());
        Tensor x = Tensors.randn(5, 2, 3);
        Tensor zeros = Tensors.zeros(2, 2, 4);
        List<Tensor> expected = layer.callAll(List.of(x, zeros, zeros));
        assertClose(expected.getFirst(), layer.call(x), 1e-6f);
        assertClose(expected.getFirst(), batchFirst.call(x.transpose(0, 1)).transpose(0, 1), 1e-6f);
        List<Tensor> single = layer.callAll(List.of(x.select(1, 0)));
        for (int i = 0; i < 3; i++) {
            assertClose(expected.get(i).select(1, 0), single.get(i), 1e-6f);
        }
        List<Tensor> singleFirst = batchFirst.callAll(List.of(x.select(1, 1)));
        assertClose(expected.getFirst().select(1, 1), singleFirst.getFirst(), 1e-6f);
    }

    @Test
    @DisplayName("has PyTorch's names in PyTorch's order")
    void names() {
        GRU layer = new GRU(3, 4, o -> o.layers(2).bidirectional(true));
        List<String> expected = new ArrayList<>();
        for (String suffix : List.of("_l0", "_l0_reverse", "_l1", "_l1_reverse")) {
            for (String kind : List.of("weight_ih", "weight_hh", "bias_ih", "bias_hh")) {
                expected.add(kind + suffix);
            }
        }
        assertEquals(expected, List.copyOf(layer.stateDict().keySet()));
    }

    @Test
    @DisplayName("outputs outlive the native result they came in")
    void outputsOutliveTuple() {
        LSTM layer = new LSTM(3, 4);
        List<Tensor> outputs = new ArrayList<>();
        for (int i = 0; i < 200; i++) {
            outputs.addAll(layer.callAll(List.of(Tensors.randn(5, 2, 3))));
        }
        System.gc();
        var vector = new TensorVector();
        outputs.forEach(output -> vector.push_back(output.flatten()));
        assertEquals(200L * (5 * 2 * 4 + 2 * 8), torch.cat(vector, 0).numel());
    }

    @Test
    @DisplayName("wrong numbers and wrong inputs are named")
    void wrongUse() {
        assertEquals(
                "dropout acts between two layers; LSTM has one. Ask for more layers or no dropout.",
                messageOf(() -> new LSTM(3, 4, o -> o.dropout(0.1))));
        assertEquals(
                "num_layers must be at least 1; asked for 0.",
                messageOf(() -> new GRU(3, 4, o -> o.layers(0))));
        assertEquals(
                "LSTM(3, 4) on shape [5, 2, 4]: 2 or 3 dimensions are needed, the last of size 3.",
                messageOf(() -> new LSTM(3, 4).call(Tensors.randn(5, 2, 4))));
        Tensor x = Tensors.randn(5, 2, 3);
        assertEquals(
                "LSTM takes a sequence, or a sequence and the states h and c; it was called with 2"
                        + " tensors.",
                messageOf(() -> new LSTM(3, 4).call(x, x)));
        assertEquals(
                "GRU(3, 4) on shape [5, 2, 3]: the state must be [1, 2, 4]; it is [1, 3, 4].",
                messageOf(() -> new GRU(3, 4).call(x, Tensors.zeros(1, 3, 4))));
    }
}

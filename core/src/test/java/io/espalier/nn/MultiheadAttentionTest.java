package io.espalier.nn;

import static io.espalier.Errors.messageOf;
import static io.espalier.TensorAssertions.assertClose;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.List;

class MultiheadAttentionTest {
    private static final int SIZE = 6;
    private static final int HEADS = 2;
    private static final int HEAD = SIZE / HEADS;

    /** Row {@code n·L + l} of the linear map number {@code part} of the first weight. */
    private static double[][] project(MultiheadAttention layer, int part, Tensor x) {
        float[] weight = Tensors.floats(layer.value("in_proj_weight"));
        float[] bias = Tensors.floats(layer.value("in_proj_bias"));
        return affine(Tensors.floats(x), weight, bias, part * SIZE);
    }

    private static double[][] affine(float[] x, float[] weight, float[] bias, int firstRow) {
        double[][] y = new double[x.length / SIZE][SIZE];
        for (int i = 0; i < y.length; i++) {
            for (int o = 0; o < SIZE; o++) {
                y[i][o] = bias[firstRow + o];
                for (int k = 0; k < SIZE; k++) {
                    y[i][o] += weight[(firstRow + o) * SIZE + k] * x[i * SIZE + k];
                }
            }
        }
        return y;
    }

    /**
     * The definition for one sequence: query [L, E], key and value [S, E], and what is added to the
     * scores [heads][L][S]; gives the output and the mean weights.
     */
    private static Tensor[] naive(
            MultiheadAttention layer, Tensor query, Tensor key, Tensor value, double[][][] mask) {
        double[][] q = project(layer, 0, query);
        double[][] k = project(layer, 1, key);
        double[][] v = project(layer, 2, value);
        float[] joined = new float[q.length * SIZE];
        float[] weights = new float[q.length * k.length];
        for (int head = 0; head < HEADS; head++) {
            for (int l = 0; l < q.length; l++) {
                double[] shares = new double[k.length];
                double sum = 0;
                for (int s = 0; s < k.length; s++) {
                    double score = mask[head][l][s];
                    for (int i = head * HEAD; i < (head + 1) * HEAD; i++) {
                        score += q[l][i] * k[s][i] / Math.sqrt(HEAD);
                    }
                    shares[s] = Math.exp(score);
                    sum += shares[s];
                }
                for (int s = 0; s < k.length; s++) {
                    weights[l * k.length + s] += (float) (shares[s] / sum / HEADS);
                    for (int i = head * HEAD; i < (head + 1) * HEAD; i++) {
                        joined[l * SIZE + i] += (float) (shares[s] / sum * v[s][i]);
                    }
                }
            }
        }
        double[][] out =
                affine(
                        joined,
                        Tensors.floats(layer.module("out_proj").value("weight")),
                        Tensors.floats(layer.module("out_proj").value("bias")),
                        0);
        float[] flat = new float[q.length * SIZE];
        for (int i = 0; i < flat.length; i++) {
            flat[i] = (float) out[i / SIZE][i % SIZE];
        }
        return new Tensor[] {
            Tensors.of(flat, q.length, SIZE), Tensors.of(weights, q.length, k.length)
        };
    }

    private static MultiheadAttention layer(boolean weights) {
        var layer = new MultiheadAttention(SIZE, HEADS, o -> o.needWeights(weights));
        layer.parameter("in_proj_bias").detach().copy_(Tensors.randn(3 * SIZE));
        layer.module("out_proj").parameter("bias").detach().copy_(Tensors.randn(SIZE));
        return layer;
    }

    private static MultiheadAttention withoutWeights(MultiheadAttention layer, boolean batchFirst) {
        var other =
                new MultiheadAttention(
                        SIZE, HEADS, o -> o.needWeights(false).batchFirst(batchFirst));
        other.loadStateDict(layer.stateDict());
        return other;
    }

    @Test
    @DisplayName("attends as defined, with and without its weights as second output")
    void definition() {
        MultiheadAttention layer = layer(true);
        Tensor query = Tensors.randn(4, 2, SIZE);
        Tensor key = Tensors.randn(3, 2, SIZE);
        Tensor value = Tensors.randn(3, 2, SIZE);
        List<Tensor> outputs = layer.callAll(List.of(query, key, value));
        Tensor fast = withoutWeights(layer, false).call(query, key, value);
        for (int n = 0; n < 2; n++) {
            Tensor[] expected =
                    naive(
                            layer,
                            query.select(1, n),
                            key.select(1, n),
                            value.select(1, n),
                            new double[HEADS][4][3]);
            assertClose(expected[0], outputs.getFirst().select(1, n), 1e-5f);
            assertClose(expected[1], outputs.getLast().select(0, n), 1e-5f);
            assertClose(expected[0], fast.select(1, n), 1e-5f);
        }
    }

    @Test
    @DisplayName("masks leave keys and pairs out, as booleans or added numbers")
    void masks() {
        MultiheadAttention layer = layer(true);
        MultiheadAttention fast = withoutWeights(layer, false);
        Tensor x = Tensors.randn(3, 2, SIZE);
        // The second sequence lacks its last key; nobody looks ahead.
        Tensor leftOut = Tensors.of(new float[] {0, 0, 0, 0, 0, 1}, 2, 3).to(ScalarType.Bool);
        Tensor ahead =
                Tensors.of(new float[] {0, 1, 1, 0, 0, 1, 0, 0, 0}, 3, 3).to(ScalarType.Bool);
        Tensor added = Tensors.zeros(3, 3).masked_fill(ahead, new Scalar(-1e9f));
        Tensor perHead = added.unsqueeze(0).repeat(2L * HEADS, 1, 1);
        for (Tensor attention : List.of(ahead, added, perHead)) {
            List<Tensor> outputs = layer.callAll(List.of(x, x, x, leftOut, attention));
            Tensor fastOutput = fast.call(x, x, x, leftOut, attention);
            for (int n = 0; n < 2; n++) {
                double[][][] mask = new double[HEADS][3][3];
                for (int head = 0; head < HEADS; head++) {
                    for (int l = 0; l < 3; l++) {
                        for (int s = 0; s < 3; s++) {
                            mask[head][l][s] =
                                    s > l || (n == 1 && s == 2) ? Double.NEGATIVE_INFINITY : 0;
                        }
                    }
                }
                Tensor one = x.select(1, n);
                Tensor[] expected = naive(layer, one, one, one, mask);
                assertClose(expected[0], outputs.getFirst().select(1, n), 1e-5f);
                assertClose(expected[1], outputs.getLast().select(0, n), 1e-5f);
                assertClose(expected[0], fastOutput.select(1, n), 1e-5f);
            }
        }
    }

    @Test
    @DisplayName("an undefined tensor stands for no mask")
    void noMask() {
        MultiheadAttention layer = layer(true);
        Tensor x = Tensors.randn(3, 2, SIZE);
        assertClose(layer.call(x), layer.call(x, x, x, new Tensor(), new Tensor()), 1e-6f);
        Tensor ahead = Tensors.ones(3, 3).triu(1).to(ScalarType.Bool);
        assertClose(
                layer.call(x, x, x, Tensors.zeros(2, 3), ahead),
                layer.call(x, x, x, new Tensor(), ahead),
                1e-6f);
    }

    @Test
    @DisplayName("takes one tensor for self-attention, the batch first, or no batch")
    void arrangements() {
        MultiheadAttention layer = layer(true);
        Tensor x = Tensors.randn(3, 2, SIZE);
        Tensor expected = layer.call(x, x, x);
        assertClose(expected, layer.call(x), 1e-6f);
        assertClose(
                expected,
                withoutWeights(layer, true).call(x.transpose(0, 1)).transpose(0, 1),
                1e-5f);
        List<Tensor> single = layer.callAll(List.of(x.select(1, 0)));
        assertClose(expected.select(1, 0), single.getFirst(), 1e-5f);
        assertEquals(2, single.getLast().dim());
    }

    @Test
    @DisplayName("has PyTorch's names and first values")
    void names() {
        MultiheadAttention layer = new MultiheadAttention(SIZE, HEADS);
        assertEquals(
                List.of("in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias"),
                List.copyOf(layer.stateDict().keySet()));
        assertClose(Tensors.zeros(SIZE), layer.module("out_proj").value("bias"), 0);
        assertEquals(
                List.of("in_proj_weight", "out_proj.weight"),
                List.copyOf(
                        new MultiheadAttention(SIZE, HEADS, o -> o.bias(false))
                                .stateDict()
                                .keySet()));
    }

    @Test
    @DisplayName("wrong numbers and wrong inputs are named")
    void wrongUse() {
        assertEquals(
                "embed_dim must be divisible by num_heads; asked for 6 and 4.",
                messageOf(() -> new MultiheadAttention(6, 4)));
        MultiheadAttention layer = layer(true);
        Tensor x = Tensors.randn(3, 2, SIZE);
        assertEquals(
                "MultiheadAttention takes one tensor, or query, key, value and up to two masks; it"
                        + " was called with 2 tensors.",
                messageOf(() -> layer.call(x, x)));
        assertEquals(
                "MultiheadAttention() on shape [3, 2, 5]: 2 or 3 dimensions are needed, the last"
                        + " of size 6.",
                messageOf(() -> layer.call(Tensors.randn(3, 2, 5))));
        assertEquals(
                "MultiheadAttention() on shape [3, 2]: the keys to leave out must be of shape [2,"
                        + " 3].",
                messageOf(() -> layer.call(x, x, x, Tensors.zeros(3, 2))));
        assertEquals(
                "MultiheadAttention() on shape [2, 3]: a mask is Bool or of floats; it is Long.",
                messageOf(() -> layer.call(x, x, x, Tensors.zeros(2, 3).to(ScalarType.Long))));
    }
}

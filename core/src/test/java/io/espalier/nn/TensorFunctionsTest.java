package io.espalier.nn;

import static io.espalier.Errors.messageOf;
import static io.espalier.TensorAssertions.assertClose;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.Arrays;
import java.util.List;
import java.util.function.DoubleBinaryOperator;
import java.util.function.DoubleUnaryOperator;
import java.util.function.UnaryOperator;

/** Functions of tensors against plain loops over a [3, 4] of numbers. */
class TensorFunctionsTest {
    private static final int ROWS = 3;
    private static final int COLUMNS = 4;
    private Tensor x;
    private float[] values;

    @BeforeEach
    void numbers() {
        Libtorch.seed(5);
        x = Tensors.randn(ROWS, COLUMNS);
        values = Tensors.floats(x);
    }

    private void assertEach(DoubleUnaryOperator expected, Tensor actual) {
        float[] wanted = new float[values.length];
        for (int i = 0; i < wanted.length; i++) {
            wanted[i] = (float) expected.applyAsDouble(values[i]);
        }
        assertArrayEquals(wanted, Tensors.floats(actual), 1e-5f);
    }

    /** What a fold gives for each row. */
    private float[] rows(double start, DoubleBinaryOperator fold) {
        float[] results = new float[ROWS];
        for (int row = 0; row < ROWS; row++) {
            double result = start;
            for (int column = 0; column < COLUMNS; column++) {
                result = fold.applyAsDouble(result, values[row * COLUMNS + column]);
            }
            results[row] = (float) result;
        }
        return results;
    }

    @Test
    @DisplayName("functions of one element compute their formula")
    void elements() {
        assertEach(v -> -v, Functional.neg(x));
        assertEach(Math::abs, Functional.abs(x));
        assertEach(Math::exp, Functional.exp(x));
        assertEach(Math::sin, Functional.sin(x));
        assertEach(Math::cos, Functional.cos(x));
        assertEach(Math::floor, Functional.floor(x));
        assertEach(Math::rint, Functional.round(x));
        assertEach(v -> v * v, Functional.pow(x, 2));
        assertEach(v -> v - 3, Functional.sub(x, 3));
        assertEach(v -> v / 4, Functional.div(x, 4));
        Tensor positive = Functional.exp(x);
        assertEach(v -> Math.sqrt(Math.exp(v)), Functional.sqrt(positive));
        assertEach(v -> 1 / Math.sqrt(Math.exp(v)), Functional.rsqrt(positive));
        assertEach(v -> Math.exp(-v), Functional.reciprocal(positive));
        assertEach(v -> v, Functional.log(positive));
        assertEach(v -> Math.exp(v * v), Functional.pow(positive, x));
        // erf(1) and erf(−0.5) from tables.
        assertArrayEquals(
                new float[] {0.8427008f, -0.5204999f},
                Tensors.floats(Functional.erf(Tensors.of(1, -0.5f))),
                1e-6f);
    }

    @Test
    @DisplayName("activations compute their formula")
    void activations() {
        assertEach(v -> Math.log1p(Math.exp(2 * v)) / 2, Functional.softplus(x, 2, 20));
        assertEach(v -> v * Math.tanh(Math.log1p(Math.exp(v))), Functional.mish(x));
        assertEach(v -> Math.clamp(v, -0.5, 0.7), Functional.hardtanh(x, -0.5, 0.7));
        assertEach(v -> -Math.log1p(Math.exp(-v)), Functional.logSigmoid(x));
        assertEach(
                v -> 1.0507009873554805 * (v > 0 ? v : 1.6732632423543772 * Math.expm1(v)),
                Functional.selu(x));
        Tensor gated = Functional.glu(Tensors.of(1, 2, 0, (float) Math.log(3)), 0);
        assertArrayEquals(new float[] {0.5f, 1.5f}, Tensors.floats(gated), 1e-6f);
    }

    @Test
    @DisplayName("functions of two elements and conditions choose by element")
    void choices() {
        Tensor half = Tensors.of(0.5f);
        assertEach(v -> Math.max(v, 0.5), Functional.maximum(x, half));
        assertEach(v -> Math.min(v, 0.5), Functional.minimum(x, half));
        Tensor above = Functional.gt(x, 0.5);
        assertEquals(ScalarType.Bool, Tensors.type(above));
        assertEach(v -> v > 0.5 ? v : 0.5, Functional.where(above, x, half));
        assertEach(v -> v > 0.5 ? -7 : v, Functional.maskedFill(x, above, -7));
        Tensor whole = Tensors.of(1, 2, 3);
        Tensor two = Tensors.of(2);
        assertFlags(
                List.of(false, true, false), Functional.eq(whole, 2), Functional.eq(whole, two));
        assertFlags(List.of(true, false, true), Functional.ne(whole, 2), Functional.ne(whole, two));
        assertFlags(
                List.of(true, false, false), Functional.lt(whole, 2), Functional.lt(whole, two));
        assertFlags(List.of(true, true, false), Functional.le(whole, 2), Functional.le(whole, two));
        assertFlags(
                List.of(false, false, true), Functional.gt(whole, 2), Functional.gt(whole, two));
        assertFlags(List.of(false, true, true), Functional.ge(whole, 2), Functional.ge(whole, two));
    }

    private static void assertFlags(List<Boolean> expected, Tensor... conditions) {
        for (Tensor condition : conditions) {
            float[] flags = Tensors.floats(Functional.cast(condition, ScalarType.Float));
            for (int i = 0; i < flags.length; i++) {
                assertEquals(expected.get(i) ? 1 : 0, flags[i]);
            }
        }
    }

    @Test
    @DisplayName("sums, means and norms run over the dimensions asked for, which stay or go")
    void reductions() {
        long[] columns = {1};
        float[] sums = rows(0, Double::sum);
        assertArrayEquals(sums, Tensors.floats(Functional.sum(x, columns, false)), 1e-5f);
        assertArrayEquals(new long[] {ROWS, 1}, Tensors.shape(Functional.sum(x, columns, true)));
        double total = sums[0] + sums[1] + sums[2];
        assertEquals(total, Functional.sum(x).item_float(), 1e-5);
        assertEquals(total / values.length, Functional.mean(x).item_float(), 1e-6);
        float[] squares = rows(0, (sum, v) -> sum + v * v);
        float[] norms = Tensors.floats(Functional.norm(x, 2, columns, false));
        float[] deviations = Tensors.floats(Functional.std(x, columns, 1, false));
        float[] variances = Tensors.floats(Functional.var(x, columns, 0, false));
        float[] logs = Tensors.floats(Functional.logSumExp(x, columns, false));
        float[] exponentials = rows(0, (sum, v) -> sum + Math.exp(v));
        for (int row = 0; row < ROWS; row++) {
            double mean = sums[row] / COLUMNS;
            double spread = squares[row] - COLUMNS * mean * mean;
            assertEquals(Math.sqrt(squares[row]), norms[row], 1e-5);
            assertEquals(spread / COLUMNS, variances[row], 1e-5);
            assertEquals(Math.sqrt(spread / (COLUMNS - 1)), deviations[row], 1e-5);
            assertEquals(Math.log(exponentials[row]), logs[row], 1e-5);
        }
        Tensor unit = Functional.normalize(x, 2, 1, 1e-12);
        assertClose(Tensors.ones(ROWS), Functional.norm(unit, 2, columns, false), 1e-6f);
        assertClose(Tensors.zeros(2), Functional.normalize(Tensors.zeros(2), 2, 0, 1e-12), 0);
        Tensor mean = Functional.rmsNorm(x, new long[] {COLUMNS}, Tensors.of(2, 2, 2, 2), 0);
        assertEquals(
                2 * values[1] / Math.sqrt(squares[0] / COLUMNS), Tensors.floats(mean)[1], 1e-5);
        float[] running = Tensors.floats(Functional.cumsum(x, 1));
        assertEquals(values[0] + values[1] + values[2], running[2], 1e-6);
    }

    @Test
    @DisplayName("extremes come with their places, in order where several are asked for")
    void extremes() {
        float[] largest = rows(Double.NEGATIVE_INFINITY, Math::max);
        float[] smallest = rows(Double.POSITIVE_INFINITY, Math::min);
        Ranked top = Functional.max(x, 1, false);
        assertArrayEquals(largest, Tensors.floats(top.values()));
        long[] places = Tensors.longs(top.indices());
        for (int row = 0; row < ROWS; row++) {
            assertEquals(largest[row], values[row * COLUMNS + (int) places[row]]);
        }
        assertArrayEquals(places, Tensors.longs(Functional.argmax(x, 1, false)));
        assertArrayEquals(smallest, Tensors.floats(Functional.min(x, 1, true).values()));
        assertArrayEquals(
                Tensors.longs(Functional.min(x, 1, true).indices()),
                Tensors.longs(Functional.argmin(x, 1, true)));
        assertArrayEquals(largest, Tensors.floats(Functional.amax(x, new long[] {1}, false)));
        assertArrayEquals(smallest, Tensors.floats(Functional.amin(x, new long[] {1}, true)));
        float[] sorted = values.clone();
        Arrays.sort(sorted);
        assertEquals(sorted[0], Functional.min(x).item_float());
        assertEquals(sorted[sorted.length - 1], Functional.max(x).item_float());
        Ranked order = Functional.sort(x.flatten(0, 1), 0, false);
        assertArrayEquals(sorted, Tensors.floats(order.values()));
        Ranked two = Functional.topk(x.flatten(0, 1), 2, 0, true);
        assertArrayEquals(
                new float[] {sorted[sorted.length - 1], sorted[sorted.length - 2]},
                Tensors.floats(two.values()));
        assertEquals(
                sorted[0], Functional.topk(x.flatten(0, 1), 1, 0, false).values().item_float());
    }

    @Test
    @DisplayName("parts of a tensor put together again are the tensor")
    void parts() {
        assertSizes(List.of(3L, 1L), 1, Functional.split(x, 3, 1));
        assertSizes(List.of(1L, 2L, 1L), 1, Functional.split(x, new long[] {1, 2, 1}, -1));
        assertSizes(List.of(2L, 1L), 0, Functional.chunk(x, 2, 0));
        assertClose(x, Functional.stack(Functional.unbind(x, 1), 1), 0);
        assertTrue(
                messageOf(() -> new Splitting().call(x))
                        .startsWith("Splitting() on shape [3, 4]: "));
    }

    private static final class Splitting extends Module {
        @Override
        protected Tensor forward(Tensor input) {
            return Functional.split(input, new long[] {1, 1}, 1).getFirst();
        }
    }

    private void assertSizes(List<Long> sizes, long dim, List<Tensor> parts) {
        assertEquals(sizes, parts.stream().map(part -> part.size(dim)).toList());
        assertClose(x, Functional.cat(parts, dim), 0);
    }

    @Test
    @DisplayName("functions that move elements put each where it belongs")
    void places() {
        Tensor counted = Tensors.of(new float[] {0, 1, 2, 3, 4, 5}, 2, 3);
        assertMoved(new float[] {0, 2, 3, 5}, counted, t -> Functional.slice(t, 1, 0, 9, 2));
        assertMoved(new float[] {2, 5}, counted, t -> Functional.select(t, 1, -1));
        assertMoved(
                new float[] {2, 0, 5, 3},
                counted,
                t -> Functional.indexSelect(t, 1, Tensors.of(new long[] {2, 0}, 2)));
        assertMoved(
                new float[] {1, 3},
                counted,
                t -> Functional.gather(t, 1, Tensors.of(new long[] {1, 0}, 2, 1)));
        assertMoved(new float[] {5, 4, 3, 2, 1, 0}, counted, t -> Functional.flip(t, 0, 1));
        assertMoved(
                new float[] {2, 0, 1, 5, 3, 4},
                counted,
                t -> Functional.roll(t, new long[] {1}, new long[] {1}));
        assertMoved(new float[] {0, 0, 0, 3, 4, 0}, counted, t -> Functional.tril(t, 0));
        assertMoved(new float[] {0, 1, 2, 0, 4, 5}, counted, t -> Functional.triu(t, 0));
        assertMoved(
                new float[] {0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5},
                counted,
                t -> Functional.repeat(t, 1, 2));
        assertMoved(
                new float[] {0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5},
                counted,
                t -> Functional.expand(t, 2, -1, -1));
        assertMoved(
                new float[] {9, 0, 1, 2, 9, 9, 9, 3, 4, 5, 9, 9},
                counted,
                t -> Functional.pad(t, new long[] {1, 2}, 9));
        Tensor shuffled =
                Functional.pixelShuffle(Tensors.of(new float[] {1, 2, 3, 4}, 1, 4, 1, 1), 2);
        assertClose(Tensors.of(new float[] {1, 2, 3, 4}, 1, 1, 2, 2), shuffled, 0);
        assertArrayEquals(
                new long[] {2, 3, 1}, Tensors.shape(Functional.unflatten(counted, 1, -1, 1)));
        Tensor turned = Functional.transpose(counted, 0, 1);
        assertTrue(Functional.contiguous(turned).is_contiguous() && !turned.is_contiguous());
        Tensor picture = counted.view(1, 1, 2, 3);
        assertMoved(new float[] {2, 5}, picture, t -> Functional.adaptiveMaxPool2d(t, 2, 1));
    }

    private static void assertMoved(float[] expected, Tensor from, UnaryOperator<Tensor> function) {
        assertArrayEquals(expected, Tensors.floats(function.apply(from)));
    }
}

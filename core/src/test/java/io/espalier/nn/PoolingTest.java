package io.espalier.nn;

import static io.espalier.Errors.messageOf;
import static io.espalier.TensorAssertions.assertClose;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.Random;

class PoolingTest {
    /** One window's values: how many lie inside, their sum, their maximum. */
    private record Window(int inside, int padded, double sum, double max) {}

    private static Window window(
            float[] x,
            int height,
            int width,
            int top,
            int left,
            int kernelH,
            int kernelW,
            int dilation,
            int after) {
        int inside = 0;
        int padded = 0;
        double sum = 0;
        double max = Double.NEGATIVE_INFINITY;
        for (int i = 0; i < kernelH; i++) {
            for (int j = 0; j < kernelW; j++) {
                int row = top + i * dilation;
                int column = left + j * dilation;
                if (row < height + after && column < width + after) {
                    padded++;
                }
                if (row >= 0 && row < height && column >= 0 && column < width) {
                    inside++;
                    sum += x[row * width + column];
                    max = Math.max(max, x[row * width + column]);
                }
            }
        }
        return new Window(inside, padded, sum, max);
    }

    private static int positions(
            int size, int kernel, int stride, int padding, int after, int dilation, boolean ceil) {
        int room = size + padding + after - dilation * (kernel - 1) - 1;
        int count = (ceil ? Math.ceilDiv(room, stride) : room / stride) + 1;
        return ceil && (count - 1) * stride >= size + padding ? count - 1 : count;
    }

    @Test
    @DisplayName("maximum and mean pooling compute their definition, whatever their numbers")
    void definition() {
        Random random = new Random(5);
        for (int round = 0; round < 120; round++) {
            int height = 5 + random.nextInt(5);
            int width = 5 + random.nextInt(5);
            int kernelH = 2 + random.nextInt(2);
            int kernelW = 2 + random.nextInt(2);
            int stride = 1 + random.nextInt(3);
            int padding = random.nextInt(2);
            int after = random.nextInt(2);
            long[] before = {padding};
            long[] behind = {after};
            boolean ceil = random.nextBoolean();
            boolean count = random.nextBoolean();
            boolean max = round % 2 == 0;
            int dilation = max ? 1 + random.nextInt(2) : 1;
            long[] kernel = {kernelH, kernelW};
            Module layer =
                    max
                            ? new MaxPool2d(
                                    kernel,
                                    o ->
                                            o.stride(stride)
                                                    .padding(before, behind)
                                                    .dilation(dilation)
                                                    .ceilMode(ceil))
                            : new AvgPool2d(
                                    kernel,
                                    o ->
                                            o.stride(stride)
                                                    .padding(before, behind)
                                                    .ceilMode(ceil)
                                                    .countIncludePad(count));
            Tensor x = Tensors.randn(1, 1, height, width);
            float[] values = Tensors.floats(x);
            int rows = positions(height, kernelH, stride, padding, after, dilation, ceil);
            int columns = positions(width, kernelW, stride, padding, after, dilation, ceil);
            float[] expected = new float[rows * columns];
            for (int i = 0; i < expected.length; i++) {
                Window window =
                        window(
                                values,
                                height,
                                width,
                                i / columns * stride - padding,
                                i % columns * stride - padding,
                                kernelH,
                                kernelW,
                                dilation,
                                after);
                expected[i] =
                        (float)
                                (max
                                        ? window.max
                                        : window.sum / (count ? window.padded : window.inside));
            }
            assertClose(Tensors.of(expected, 1, 1, rows, columns), layer.call(x), 1e-5f);
        }
    }

    @Test
    @DisplayName("one dimensional pooling is the two dimensional one on a single row")
    void oneDimension() {
        Tensor x = Tensors.randn(2, 3, 9);
        assertClose(
                new MaxPool2d(new long[] {1, 3}, o -> o.stride(1, 2).padding(0, 1))
                        .call(x.unsqueeze(2))
                        .squeeze(2),
                new MaxPool1d(3, o -> o.stride(2).padding(1)).call(x),
                0);
        assertClose(
                new AvgPool2d(new long[] {1, 3}).call(x.unsqueeze(2)).squeeze(2),
                new AvgPool1d(3).call(x),
                1e-6f);
        assertClose(
                new AdaptiveAvgPool2d(1, 4).call(x.unsqueeze(2)).squeeze(2),
                new AdaptiveAvgPool1d(4).call(x),
                1e-6f);
    }

    @Test
    @DisplayName("adaptive pooling averages windows that share the input among the output")
    void adaptive() {
        Tensor x = Tensors.of(new float[] {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 1, 1, 2, 5);
        Tensor y = new AdaptiveAvgPool2d(1, 3).call(x);
        // Columns 0–1, 1–3 and 3–4 of both rows.
        assertArrayEquals(new float[] {4, 5.5f, 7}, Tensors.floats(y), 1e-6f);
        assertArrayEquals(
                new float[] {5.5f}, Tensors.floats(new AdaptiveAvgPool2d(1).call(x)), 1e-6f);
    }

    @Test
    @DisplayName("upsampling repeats the nearest element or draws the line between two")
    void upsample() {
        Tensor x = Tensors.of(new float[] {1, 2, 3, 4}, 1, 1, 2, 2);
        assertArrayEquals(
                new float[] {1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4},
                Tensors.floats(Upsample.byFactor(2).call(x)));
        assertArrayEquals(new float[] {1, 2, 3, 4}, Tensors.floats(Upsample.toSize(2, 2).call(x)));
        Tensor line = Tensors.of(new float[] {1, 3}, 1, 1, 2);
        assertArrayEquals(
                new float[] {1, 1.5f, 2.5f, 3},
                Tensors.floats(
                        Upsample.byFactor(new double[] {2}, o -> o.mode(Upsample.Mode.LINEAR))
                                .call(line)),
                1e-6f);
        assertArrayEquals(
                new float[] {1, 2, 3},
                Tensors.floats(
                        Upsample.toSize(
                                        new long[] {3},
                                        o -> o.mode(Upsample.Mode.LINEAR).alignCorners(true))
                                .call(line)),
                1e-6f);
        assertArrayEquals(
                new float[] {
                    1, 1.25f, 1.75f, 2, 1.5f, 1.75f, 2.25f, 2.5f, 2.5f, 2.75f, 3.25f, 3.5f, 3,
                    3.25f, 3.75f, 4
                },
                Tensors.floats(
                        Upsample.byFactor(new double[] {2, 2}, o -> o.mode(Upsample.Mode.BILINEAR))
                                .call(x)),
                1e-6f);
        assertArrayEquals(
                new long[] {1, 1, 3, 4},
                Tensors.shape(
                        Upsample.byFactor(new double[] {1.5, 2}, o -> o.mode(Upsample.Mode.BICUBIC))
                                .call(x)));
    }

    @Test
    @DisplayName("flatten makes one dimension of several")
    void flatten() {
        Tensor x = Tensors.randn(2, 3, 4, 5);
        assertArrayEquals(new long[] {2, 60}, Tensors.shape(new Flatten().call(x)));
        assertArrayEquals(new long[] {2, 12, 5}, Tensors.shape(new Flatten(1, 2).call(x)));
    }

    @Test
    @DisplayName("wrong numbers and wrong inputs are named")
    void wrongUse() {
        assertEquals(
                "padding must be at most half of kernel_size (2, 2); asked for (2, 2).",
                messageOf(() -> new MaxPool2d(2, o -> o.padding(2))));
        assertEquals(
                "padding must be below kernel_size (2, 2); asked for (2, 2).",
                messageOf(() -> new AvgPool2d(2, o -> o.padding(new long[] {0}, new long[] {2}))));
        assertEquals(
                "MaxPool2d(kernel_size=3, stride=3, padding=((0, 1), (0, 1)), dilation=1,"
                        + " ceil_mode=False)",
                new MaxPool2d(3, o -> o.padding(new long[] {0}, new long[] {1})).toString());
        assertEquals(
                "output_size takes 1 or 2 numbers; 3 were given: [1, 2, 3].",
                messageOf(() -> new AdaptiveAvgPool2d(1, 2, 3)));
        assertEquals(
                "scale_factor must be positive; asked for -1.0.",
                messageOf(() -> Upsample.byFactor(-1)));
        assertEquals(
                "align_corners has no meaning for the nearest element; set another mode.",
                messageOf(() -> Upsample.toSize(new long[] {2}, o -> o.alignCorners(true))));
        assertEquals(
                "Upsample(size=2, mode='linear') on shape [1, 1, 2, 2]: [N, C, L] is needed, and"
                        + " one number, or one for each dimension.",
                messageOf(() ->
                        Upsample.toSize(new long[] {2}, o -> o.mode(Upsample.Mode.LINEAR))
                                .call(Tensors.randn(1, 1, 2, 2))));
    }
}

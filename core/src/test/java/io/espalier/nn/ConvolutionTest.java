package io.espalier.nn;

import static io.espalier.Errors.messageOf;
import static io.espalier.TensorAssertions.assertClose;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.UnaryOperator;

class ConvolutionTest {
    /** A tensor's values with its shape, indexed by coordinates. */
    @SuppressWarnings("ArrayRecordComponent") // compared by elements, never as a whole
    private record Grid(long[] shape, float[] values) {
        static Grid of(Tensor tensor) {
            return new Grid(Tensors.shape(tensor), Tensors.floats(tensor));
        }

        static Grid zeros(long... shape) {
            int count = (int) Arrays.stream(shape).reduce(1, (a, b) -> a * b);
            return new Grid(shape, new float[count]);
        }

        int at(long... index) {
            long flat = 0;
            for (int d = 0; d < shape.length; d++) {
                flat = flat * shape[d] + index[d];
            }
            return (int) flat;
        }

        Tensor tensor() {
            return Tensors.of(values, shape);
        }
    }

    private interface Visitor {
        void visit(long[] index);
    }

    private static void visit(long[] sizes, Visitor visitor) {
        long count = Arrays.stream(sizes).reduce(1, (a, b) -> a * b);
        long[] index = new long[sizes.length];
        for (long flat = 0; flat < count; flat++) {
            long rest = flat;
            for (int d = sizes.length - 1; d >= 0; d--) {
                index[d] = rest % sizes[d];
                rest /= sizes[d];
            }
            visitor.visit(index);
        }
    }

    private static long[] index(long a, long b, long[] rest) {
        long[] index = new long[rest.length + 2];
        index[0] = a;
        index[1] = b;
        System.arraycopy(rest, 0, index, 2, rest.length);
        return index;
    }

    /**
     * Each input position that a kernel element meets adds to the output: the definition. For a
     * transposed convolution input and output change places.
     */
    private static Tensor naive(Convolution layer, Tensor input) {
        Grid x = Grid.of(input);
        Grid w = Grid.of(layer.weight());
        float[] bias =
                layer.bias() == null
                        ? new float[(int) layer.outChannels()]
                        : Tensors.floats(layer.bias());
        int rank = layer.kernelSize().length;
        long[] outSize = new long[rank];
        long[] inSize = Arrays.copyOfRange(x.shape, 2, 2 + rank);
        for (int d = 0; d < rank; d++) {
            long reach = layer.dilation()[d] * (layer.kernelSize()[d] - 1);
            outSize[d] =
                    layer.isTransposed()
                            ? (inSize[d] - 1) * layer.stride()[d]
                                    - 2 * layer.padding()[d]
                                    + reach
                                    + layer.outputPadding()[d]
                                    + 1
                            : (inSize[d]
                                                    + layer.paddingBefore()[d]
                                                    + layer.paddingAfter()[d]
                                                    - reach
                                                    - 1)
                                            / layer.stride()[d]
                                    + 1;
        }
        Grid y = Grid.zeros(index(x.shape[0], layer.outChannels(), outSize));
        visit(y.shape, i -> y.values[y.at(i)] = bias[(int) i[1]]);
        long[] coarseSize = layer.isTransposed() ? inSize : outSize;
        long[] fineSize = layer.isTransposed() ? outSize : inSize;
        long inGroup = layer.inChannels() / layer.groups();
        long outGroup = layer.outChannels() / layer.groups();
        for (long n = 0; n < x.shape[0]; n++) {
            for (long o = 0; o < layer.outChannels(); o++) {
                for (long i = 0; i < inGroup; i++) {
                    long batch = n;
                    long out = o;
                    long in = o / outGroup * inGroup + i;
                    long first = layer.isTransposed() ? in : out;
                    long second = layer.isTransposed() ? out % outGroup : i;
                    visit(
                            layer.kernelSize(),
                            k -> {
                                float weight = w.values[w.at(index(first, second, k))];
                                visit(
                                        coarseSize,
                                        coarse -> {
                                            long[] fine = meet(layer, coarse, k);
                                            if (!inside(layer, fine, fineSize)) {
                                                return;
                                            }
                                            long[] from = layer.isTransposed() ? coarse : fine;
                                            long[] to = layer.isTransposed() ? fine : coarse;
                                            y.values[y.at(index(batch, out, to))] +=
                                                    weight * x.values[x.at(index(batch, in, from))];
                                        });
                            });
                }
            }
        }
        return y.tensor();
    }

    private static long[] meet(Convolution layer, long[] coarse, long[] k) {
        long[] fine = new long[k.length];
        for (int d = 0; d < k.length; d++) {
            fine[d] =
                    coarse[d] * layer.stride()[d]
                            - layer.paddingBefore()[d]
                            + k[d] * layer.dilation()[d];
        }
        return fine;
    }

    /** Folds a position beyond the edge back by the padding mode; false where zeros are seen. */
    private static boolean inside(Convolution layer, long[] fine, long[] size) {
        for (int d = 0; d < fine.length; d++) {
            long at = fine[d];
            long n = size[d];
            if (at >= 0 && at < n) {
                continue;
            }
            switch (layer.paddingMode()) {
                case ZEROS -> {
                    return false;
                }
                case REFLECT -> fine[d] = at < 0 ? -at : 2 * (n - 1) - at;
                case REPLICATE -> fine[d] = at < 0 ? 0 : n - 1;
                case CIRCULAR -> fine[d] = (at + n) % n;
            }
        }
        return true;
    }

    private static Convolution layer(
            int rank,
            boolean transposed,
            long in,
            long out,
            long kernel,
            UnaryOperator<Convolution.Options> with) {
        return switch (rank) {
            case 1 ->
                    transposed
                            ? new ConvTranspose1d(in, out, kernel, with)
                            : new Conv1d(in, out, kernel, with);
            case 2 ->
                    transposed
                            ? new ConvTranspose2d(in, out, new long[] {kernel, 2}, with)
                            : new Conv2d(in, out, new long[] {kernel, 2}, with);
            default ->
                    transposed
                            ? new ConvTranspose3d(in, out, new long[] {kernel, 1, 2}, with)
                            : new Conv3d(in, out, new long[] {kernel, 1, 2}, with);
        };
    }

    @Test
    @DisplayName("every convolution computes its definition, whatever its numbers")
    void definition() {
        Random random = new Random(3);
        for (int round = 0; round < 60; round++) {
            int rank = 1 + round % 3;
            boolean transposed = round % 2 == 1;
            long groups = 1L + random.nextInt(2);
            long stride = 1L + random.nextInt(2);
            boolean bias = random.nextBoolean();
            long padding = random.nextInt(2);
            long dilation = 1L + random.nextInt(2);
            PaddingMode mode =
                    transposed
                            ? PaddingMode.ZEROS
                            : List.of(PaddingMode.values()).get(random.nextInt(4));
            Convolution layer =
                    layer(
                            rank,
                            transposed,
                            groups * 2,
                            groups * 3,
                            1 + random.nextInt(3),
                            o ->
                                    o.stride(stride)
                                            .padding(padding)
                                            .dilation(dilation)
                                            .groups(groups)
                                            .bias(bias)
                                            .outputPadding(transposed ? stride - 1 : 0)
                                            .paddingMode(mode));
            long[] shape = Arrays.copyOf(new long[] {2, groups * 2, 7, 6, 5}, 2 + rank);
            Tensor x = Tensors.randn(shape);
            assertClose(naive(layer, x), layer.call(x), 1e-4f);
        }
    }

    @Test
    @DisplayName("an input without a batch gives an output without one")
    void unbatched() {
        Conv2d layer = new Conv2d(2, 3, 3);
        Tensor x = Tensors.randn(1, 2, 5, 5);
        assertClose(layer.call(x).squeeze(0), layer.call(x.squeeze(0)), 1e-6f);
    }

    @Test
    @DisplayName("says its numbers, one for each dimension")
    void accessors() {
        Conv2d layer =
                new Conv2d(4, 8, new long[] {3, 5}, o -> o.stride(2).padding(1, 2).groups(2));
        assertArrayEquals(new long[] {3, 5}, layer.kernelSize());
        assertArrayEquals(new long[] {2, 2}, layer.stride());
        assertArrayEquals(new long[] {1, 2}, layer.padding());
        assertArrayEquals(new long[] {1, 1}, layer.dilation());
        assertEquals(2, layer.groups());
        assertEquals(4, layer.inChannels());
        assertEquals(8, layer.outChannels());
        assertArrayEquals(new long[] {8, 2, 3, 5}, Tensors.shape(layer.weight()));
        assertArrayEquals(
                new long[] {2, 2}, new Conv2d(1, 1, 1, o -> layer.options().groups(1)).stride());
    }

    @Test
    @DisplayName("wrong numbers and wrong inputs are named")
    void wrongUse() {
        assertEquals(
                "stride must be at least 1; asked for 0.",
                messageOf(() -> new Conv2d(1, 1, 1, o -> o.stride(0))));
        assertEquals(
                "padding takes 1 or 2 numbers; 3 were given: [1, 2, 3].",
                messageOf(() -> new Conv2d(1, 1, 1, o -> o.padding(1, 2, 3))));
        assertEquals(
                "Conv2d with 4 input and 6 output channels can't have 4 groups; the number of"
                        + " groups must divide both.",
                messageOf(() -> new Conv2d(4, 6, 1, o -> o.groups(4))));
        assertEquals(
                "Conv1d has no output padding; only transposed convolutions have, such as"
                        + " ConvTranspose2d.",
                messageOf(() -> new Conv1d(1, 1, 1, o -> o.outputPadding(1))));
        assertEquals(
                "ConvTranspose2d pads with zeros only; asked for reflect.",
                messageOf(() ->
                        new ConvTranspose2d(1, 1, 1, o -> o.paddingMode(PaddingMode.REFLECT))));
        assertEquals(
                "in_channels must be at least 1; asked for 0.",
                messageOf(() -> new Conv2d(0, 1, 1)));
        assertEquals(
                "Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1)) on shape [1, 4, 5, 5]: the input"
                        + " must have 3 channels.",
                messageOf(() -> new Conv2d(3, 8, 3).call(Tensors.randn(1, 4, 5, 5))));
        assertEquals(
                "Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1)) on shape [3, 5]: a tensor of 3 or"
                        + " 4 dimensions is needed.",
                messageOf(() -> new Conv2d(3, 8, 3).call(Tensors.randn(3, 5))));
    }

    @Test
    @DisplayName("a convolution pads differently before and after its input, zeros or its edge")
    void unevenPadding() {
        Libtorch.seed(9);
        long[] before = {0, 2};
        long[] after = {1, 0};
        UnaryOperator<Convolution.Options> options = o -> o.padding(before, after).stride(2);
        Conv2d layer = new Conv2d(2, 3, 3, options);
        Tensor x = Tensors.randn(2, 2, 5, 6);
        assertClose(naive(layer, x), layer.call(x), 1e-5f);
        Conv1d flat = new Conv1d(2, 2, 2, o -> o.padding(new long[] {1}, new long[] {0}));
        Tensor series = Tensors.randn(1, 2, 4);
        assertClose(naive(flat, series), flat.call(series), 1e-5f);
        Conv3d deep = new Conv3d(1, 1, 2, o -> o.padding(new long[] {0}, new long[] {1}));
        Tensor volume = Tensors.randn(1, 1, 3, 3, 3);
        assertClose(naive(deep, volume), deep.call(volume), 1e-5f);
        Conv2d mirrored =
                Conv2d.of(
                        layer.weight(),
                        layer.bias(),
                        o -> options.apply(o).paddingMode(PaddingMode.REPLICATE));
        Conv2d bare = Conv2d.of(layer.weight(), layer.bias(), o -> o.stride(2));
        Tensor padded = Functional.pad(x, new long[] {2, 0, 0, 1}, PaddingMode.REPLICATE);
        assertClose(bare.call(padded), mirrored.call(x), 1e-6f);
        assertEquals(
                "Conv2d(2, 3, kernel_size=(3, 3), stride=(2, 2), padding=((0, 1), (2, 0)))",
                layer.toString());
        assertEquals(
                "Conv1d(2, 2, kernel_size=(2,), stride=(1,), padding=((1, 0),))", flat.toString());
        assertEquals(
                "The padding of "
                        + layer
                        + " differs before and after the input; ask for paddingBefore() and"
                        + " paddingAfter().",
                messageOf(layer::padding));
        assertEquals(
                "ConvTranspose2d takes the same off both sides of its output; pad less, and cut"
                        + " the output by Functional.narrow.",
                messageOf(() -> new ConvTranspose2d(2, 3, 3, options)));
        assertEquals(
                new Conv2d(2, 3, 3, o -> o.padding(1)).toString(),
                new Conv2d(2, 3, 3, o -> o.padding(new long[] {1}, new long[] {1})).toString());
    }

    @Test
    @DisplayName("Numbers with which sizes overflow are refused")
    void absurdNumbers() {
        assertEquals(
                "dilation must be below 2^31; asked for 9223372036854775807.",
                messageOf(() -> new Conv2d(1, 1, 2, o -> o.dilation(Long.MAX_VALUE))));
        assertTrue(
                messageOf(() -> new Linear(1L << 40, 1L << 40))
                        .contains("in_features must be below 2^31"));
        assertTrue(
                messageOf(() -> Tensors.randn(2, -1))
                        .startsWith("Can't make a tensor of shape [2, -1]: "));
    }

    @Test
    @DisplayName(
            "Depthwise kernels of 5 by 5 give what each channel alone gives, with its gradients")
    void wideDepthwise() {
        Libtorch.seed(11);
        Tensor x = Tensors.randn(2, 3, 7, 9);
        Tensor weight = Tensors.randn(3, 1, 5, 5);
        x.set_requires_grad(true);
        weight.set_requires_grad(true);
        long[] stride = {2, 1};
        long[] padding = {2, 1};
        long[] one = {1};

        Tensor y = Functional.conv2d(x, weight, null, stride, padding, one, 3);
        Tensor steep = Tensors.randn(Tensors.shape(y));
        y.mul(steep).sum().backward();
        Tensor ofX = x.grad().clone();
        Tensor ofWeight = weight.grad().clone();
        x.mutable_grad().zero_();
        weight.mutable_grad().zero_();
        for (int c = 0; c < 3; c++) {
            Tensor alone =
                    Functional.conv2d(
                            x.narrow(1, c, 1),
                            weight.narrow(0, c, 1),
                            null,
                            stride,
                            padding,
                            one,
                            1);
            assertClose(alone, y.narrow(1, c, 1).contiguous(), 1e-5f);
            alone.mul(steep.narrow(1, c, 1)).sum().backward();
        }

        assertTrue(y.is_contiguous());
        assertClose(x.grad(), ofX, 1e-4f);
        assertClose(weight.grad(), ofWeight, 1e-4f);
    }
}

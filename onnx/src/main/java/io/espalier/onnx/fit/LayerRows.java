package io.espalier.onnx.fit;

import io.espalier.onnx.model.OnnxNode;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * A layer as a product of matrices: what a convolution or a product of a node's input with a
 * constant is given and gives, as rows, and its weight as a matrix.
 */
public sealed interface LayerRows {
    /** Rows of a batch beyond these are thinned out. */
    long MOST_ROWS = 1 << 14;

    /** What the layer is given and gives for a batch, added to the sums. */
    void addTo(NormalEquations sums, Tensor input, Tensor output);

    /** The weight that the node reads as [groups, outputs, inputs]. */
    Tensor matrix(Tensor weight);

    /** The weight that the node reads, of such a matrix. */
    Tensor weight(Tensor matrix);

    /**
     * The layer of a node whose second input is a weight of this shape; empty if it is none that
     * this is known of.
     */
    static Optional<LayerRows> of(OnnxNode node, List<Long> shape) {
        if (node.is("Conv") && shape.size() >= 3 && shape.size() <= 4) {
            return convolution(node, shape);
        }
        if (node.is("MatMul") && shape.size() == 2) {
            return Optional.of(new Product(false, 1));
        }
        if (node.is("Gemm") && shape.size() == 2 && node.integer("transA", 0) == 0) {
            return Optional.of(
                    new Product(node.integer("transB", 0) != 0, node.number("alpha", 1)));
        }
        return Optional.empty();
    }

    private static Optional<LayerRows> convolution(OnnxNode node, List<Long> shape) {
        String padding = node.text("auto_pad", "NOTSET");
        if (!padding.equals("NOTSET") && !padding.equals("VALID")) {
            return Optional.empty();
        }
        int dims = shape.size() - 2;
        List<Long> pads = orElse(node.integers("pads"), 2 * dims, 0);
        if (padding.equals("VALID")) {
            pads = orElse(List.of(), 2 * dims, 0);
        }
        return Optional.of(
                new Convolution(
                        shape,
                        node.integer("group", 1),
                        orElse(node.integers("strides"), dims, 1),
                        orElse(node.integers("dilations"), dims, 1),
                        pads));
    }

    private static List<Long> orElse(List<Long> given, int count, long value) {
        return given.isEmpty() ? java.util.Collections.nCopies(count, value) : given;
    }

    /**
     * A convolution over lines or planes.
     *
     * @param shape its weight's, [outputs, inputs / groups, …]
     * @param pads first all before, then all after
     */
    record Convolution(
            List<Long> shape,
            long groups,
            List<Long> strides,
            List<Long> dilations,
            List<Long> pads)
            implements LayerRows {
        /** Copies the lists. */
        public Convolution {
            shape = List.copyOf(shape);
            strides = List.copyOf(strides);
            dilations = List.copyOf(dilations);
            pads = List.copyOf(pads);
        }

        @Override
        public void addTo(NormalEquations sums, Tensor input, Tensor output) {
            for (long example = 0; example < input.size(0); example++) {
                try (var scope = new PointerScope()) {
                    add(
                            sums,
                            input.narrow(0, example, 1),
                            output.narrow(0, example, 1),
                            input.size(0));
                }
            }
        }

        private void add(NormalEquations sums, Tensor input, Tensor output, long examples) {
            boolean line = shape.size() == 3;
            Tensor plane = line ? input.unsqueeze(2) : input;
            Tensor columns =
                    torch.im2col(
                            torch.constant_pad_nd(plane, padding()),
                            plane(shape.subList(2, shape.size()), 1),
                            plane(dilations, 1),
                            new long[] {0, 0},
                            plane(strides, 1));
            long positions = columns.size(2);
            Tensor x = columns.reshape(groups, -1, positions);
            Tensor y = output.reshape(groups, -1, positions);
            long step = Math.ceilDiv(positions * examples, MOST_ROWS);
            if (step > 1) {
                x = x.slice(2, optional(0), optional(positions), step);
                y = y.slice(2, optional(0), optional(positions), step);
            }
            sums.add(x.transpose(1, 2), y.transpose(1, 2));
        }

        private static org.bytedeco.pytorch.LongOptional optional(long value) {
            return new org.bytedeco.pytorch.LongOptional(value);
        }

        /** Numbers of the last dimension first, before and after it. */
        private long[] padding() {
            int dims = shape.size() - 2;
            long[] padding = new long[2 * dims];
            for (int d = 0; d < dims; d++) {
                padding[2 * (dims - 1 - d)] = pads.get(d);
                padding[2 * (dims - 1 - d) + 1] = pads.get(dims + d);
            }
            return padding;
        }

        /** Two numbers, where a line has one. */
        private static long[] plane(List<Long> numbers, long ofLine) {
            List<Long> both = new ArrayList<>(numbers);
            if (both.size() == 1) {
                both.addFirst(ofLine);
            }
            return both.stream().mapToLong(Long::longValue).toArray();
        }

        @Override
        public Tensor matrix(Tensor weight) {
            return weight.reshape(groups, weight.size(0) / groups, -1);
        }

        @Override
        public Tensor weight(Tensor matrix) {
            return matrix.reshape(shape.stream().mapToLong(Long::longValue).toArray());
        }
    }

    /**
     * A product with a matrix.
     *
     * @param transposed whether the matrix is [outputs, inputs]
     * @param factor what the product is multiplied by
     */
    record Product(boolean transposed, float factor) implements LayerRows {
        @Override
        public void addTo(NormalEquations sums, Tensor input, Tensor output) {
            Tensor x = input.reshape(1, -1, input.size(-1));
            Tensor y = output.reshape(1, -1, output.size(-1));
            long step = Math.ceilDiv(x.size(1), MOST_ROWS);
            if (step > 1) {
                var all = new org.bytedeco.pytorch.LongOptional(x.size(1));
                var none = new org.bytedeco.pytorch.LongOptional(0);
                x = x.slice(1, none, all, step);
                y = y.slice(1, none, all, step);
            }
            sums.add(x, y);
        }

        @Override
        public Tensor matrix(Tensor weight) {
            Tensor rows = transposed ? weight : weight.t();
            return rows.mul(new org.bytedeco.pytorch.Scalar(factor)).unsqueeze(0);
        }

        @Override
        public Tensor weight(Tensor matrix) {
            Tensor rows = matrix.squeeze(0).div(new org.bytedeco.pytorch.Scalar(factor));
            return (transposed ? rows : rows.t()).contiguous();
        }
    }

    /** Whether a tensor has as many elements as another. */
    static boolean isLike(Tensor a, Tensor b) {
        return java.util.Arrays.equals(Tensors.shape(a), Tensors.shape(b));
    }
}

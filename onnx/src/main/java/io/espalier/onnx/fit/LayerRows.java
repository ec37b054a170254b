package io.espalier.onnx.fit;

import io.espalier.onnx.model.OnnxNode;
import io.espalier.slim.LayerSums;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;

/**
 * A layer as a product of matrices: what a convolution or a product of a node's input with a
 * constant is given and gives, as rows, and its weight as a matrix.
 */
public sealed interface LayerRows {
    /** Rows of a batch beyond these, and beyond so many for each input, are thinned out. */
    long MOST_ROWS = 1 << 9;

    long ROWS_FOR_AN_INPUT = 2;

    /** Columns of convolutions are made for as many examples as have so many numbers. */
    long MOST_NUMBERS = 1 << 24;

    /** What the layer is given and gives for some examples, added to one half of the sums. */
    void addTo(NormalEquations sums, Tensor input, Tensor output, int half);

    /**
     * What the layer is given and gives for a batch, added to the sums: the first examples to one
     * half, the others to the other.
     */
    default void addTo(NormalEquations sums, Tensor input, Tensor output) {
        long examples = output.dim() == 0 ? 0 : output.size(0);
        if (examples < 2 || input.size(0) != examples) {
            addTo(sums, input, output, 0);
            return;
        }
        long part = examples / 2;
        addTo(sums, input.narrow(0, 0, part), output.narrow(0, 0, part), 0);
        addTo(
                sums,
                input.narrow(0, part, examples - part),
                output.narrow(0, part, examples - part),
                1);
    }

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
        return given.isEmpty() ? Collections.nCopies(count, value) : given;
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
        public void addTo(NormalEquations sums, Tensor input, Tensor output, int half) {
            long examples = input.size(0);
            Steps steps = steps(output);
            long numbers = examples * groups * inputs() * steps.positions();
            long parts = Math.clamp(Math.ceilDiv(numbers, MOST_NUMBERS), 1, Math.max(1, examples));
            long together = Math.ceilDiv(examples, parts);
            long before = sums.counted(examples);
            for (long from = 0; from < examples; from += together) {
                try (var scope = new PointerScope()) {
                    long count = Math.min(together, examples - from);
                    add(
                            sums,
                            planes(input).narrow(0, from, count),
                            planes(output).narrow(0, from, count),
                            steps,
                            before + from,
                            half);
                }
            }
        }

        /** What a group's output is made of. */
        private long inputs() {
            return shape.subList(1, shape.size()).stream().reduce(1L, (a, b) -> a * b);
        }

        /** Lines as planes of one row. */
        private static Tensor planes(Tensor values) {
            return values.dim() == 3 ? values.unsqueeze(2) : values;
        }

        /**
         * Which positions of a plane are taken: each so many-th of either dimension, from another
         * one on in each example, so that borders are among them as often as in the planes.
         */
        private record Steps(long down, long across, long positions) {
            /** Two irrationals whose multiples fill a square evenly: Roberts's. */
            private static final double DOWN = 0.7548776662466927;

            private static final double ACROSS = 0.5698402909980532;

            boolean takesAll() {
                return down == 1 && across == 1;
            }

            long firstDown(long example) {
                return first(DOWN * example, down);
            }

            long firstAcross(long example) {
                return first(ACROSS * example, across);
            }

            private static long first(double place, long step) {
                return (long) ((place - Math.floor(place)) * step);
            }
        }

        private Steps steps(Tensor output) {
            Tensor planes = planes(output);
            long height = Math.max(1, planes.size(2));
            long width = Math.max(1, planes.size(3));
            long step = Math.ceilDiv(planes.size(0) * height * width, mostRows(inputs()));
            long side = (long) Math.ceil(Math.sqrt(step));
            long down = Math.clamp(Math.max(side, Math.ceilDiv(step, width)), 1, height);
            long across = Math.clamp(Math.ceilDiv(step, down), 1, width);
            return new Steps(
                    down, across, Math.ceilDiv(height, down) * Math.ceilDiv(width, across));
        }

        private void add(
                NormalEquations sums,
                Tensor input,
                Tensor output,
                Steps steps,
                long before,
                int half) {
            Tensor given = torch.constant_pad_nd(input, padding());
            long examples = output.size(0);
            long each = steps.takesAll() ? Math.max(1, examples) : 1;
            List<Tensor> columns = new ArrayList<>();
            List<Tensor> outputs = new ArrayList<>();
            for (long i = 0; i < examples; i += each) {
                long down = steps.firstDown(before + i);
                long across = steps.firstAcross(before + i);
                long[] strides = plane(this.strides);
                Tensor seen = given.narrow(0, i, each);
                seen = from(seen, down * strides[0], across * strides[1]);
                columns.add(rows(windows(seen, steps)));
                Tensor made = from(output.narrow(0, i, each), down, across);
                outputs.add(rows(some(made, new long[] {steps.down(), steps.across()})));
            }
            if (!columns.isEmpty()) {
                sums.add(joined(columns), joined(outputs), half);
            }
        }

        private static Tensor joined(List<Tensor> rows) {
            return rows.size() == 1
                    ? rows.getFirst()
                    : torch.cat(new TensorVector(rows.toArray(Tensor[]::new)), 2);
        }

        /** Planes without their first rows and columns. */
        private static Tensor from(Tensor planes, long down, long across) {
            return planes.narrow(2, down, planes.size(2) - down)
                    .narrow(3, across, planes.size(3) - across);
        }

        private Tensor windows(Tensor given, Steps steps) {
            return inputs() == shape.get(1) // each output sees one position
                    ? some(given, strides(steps))
                    : torch.im2col(
                            given,
                            plane(shape.subList(2, shape.size())),
                            plane(dilations),
                            new long[] {0, 0},
                            strides(steps));
        }

        /** Each so many-th position of either dimension of planes, as [examples, channels, …]. */
        private static Tensor some(Tensor planes, long[] steps) {
            return LayerSums.every(LayerSums.every(planes, 2, steps[0]), 3, steps[1])
                    .flatten(2, -1);
        }

        private long[] strides(Steps steps) {
            long[] strides = plane(this.strides);
            return new long[] {strides[0] * steps.down(), strides[1] * steps.across()};
        }

        /** [examples, groups · channels, positions] as [groups, channels, examples · positions]. */
        private Tensor rows(Tensor channels) {
            return channels.reshape(channels.size(0), groups, -1, channels.size(2))
                    .permute(1, 2, 0, 3)
                    .flatten(2, 3);
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
        private static long[] plane(List<Long> numbers) {
            List<Long> both = new ArrayList<>(numbers);
            if (both.size() == 1) {
                both.addFirst(1L);
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
        public void addTo(NormalEquations sums, Tensor input, Tensor output, int half) {
            Tensor x = input.reshape(1, -1, input.size(-1));
            Tensor y = output.reshape(1, -1, output.size(-1));
            long most = mostRows(x.size(2));
            sums.add(columns(x, most), columns(y, most), half);
        }

        private static Tensor columns(Tensor rows, long most) {
            return LayerSums.some(rows, 1, most).transpose(1, 2);
        }

        @Override
        public Tensor matrix(Tensor weight) {
            Tensor rows = transposed ? weight : weight.t();
            return rows.mul(new Scalar(factor)).unsqueeze(0);
        }

        @Override
        public Tensor weight(Tensor matrix) {
            Tensor rows = matrix.squeeze(0).div(new Scalar(factor));
            return (transposed ? rows : rows.t()).contiguous();
        }
    }

    private static long mostRows(long inputs) {
        return Math.max(MOST_ROWS, ROWS_FOR_AN_INPUT * inputs);
    }
}

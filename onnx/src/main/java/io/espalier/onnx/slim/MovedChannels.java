package io.espalier.onnx.slim;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.slim.KnownNumbers;

import org.jspecify.annotations.Nullable;

import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.stream.IntStream;
import java.util.stream.LongStream;

/** What an operator that moves, chooses, reduces or repeats elements makes of known channels. */
final class MovedChannels {
    private final Analysis analysis;
    private final OnnxNode node;
    private final int place;
    private final long[] from;
    private final long[] to;

    /**
     * Prepares.
     *
     * @param place of the result; its extents and those of the first operand are known
     */
    MovedChannels(Analysis analysis, OnnxNode node, int place) {
        this.analysis = analysis;
        this.node = node;
        this.place = place;
        from = Objects.requireNonNull(analysis.extents(node.input(0)));
        to = Objects.requireNonNull(analysis.extents(node.output(place)));
    }

    /** Those of the result; null if none is known. */
    @Nullable KnownNumbers of(KnownNumbers in) {
        return switch (node.op()) {
            case "Transpose" -> transposed(in);
            case "Reshape", "Flatten", "Squeeze", "Unsqueeze" -> in.reshaped(from, to);
            case "GlobalAveragePool", "GlobalMaxPool", "MaxPool" -> in.dimension() == 1 ? in : null;
            case "AveragePool" -> in.dimension() != 1 ? null : isAverageWithin() ? in : in.only(0);
            case "LpPool", "GlobalLpPool" -> in.dimension() == 1 ? in.only(0) : null;
            case "ReduceMean", "ReduceMax", "ReduceMin" -> reduced(in);
            case "ReduceSum", "ReduceSumSquare", "ReduceL1", "ReduceL2", "ReduceProd" ->
                    reduced(in.only(0));
            case "Resize", "Upsample" -> resized(in);
            case "Pad" -> padded(in);
            case "Slice" -> sliced(in);
            case "Split" -> split(in);
            case "Gather" -> gathered(in);
            case "Expand" -> expanded(in);
            case "Tile" -> tiled(in);
            case "SpaceToDepth" -> in.dimension() == 1 ? in.blocksToChannels(blocks(), true) : null;
            case "DepthToSpace" ->
                    in.dimension() == 1
                            ? in.channelsToBlocks(blocks(), node.text("mode", "DCR").equals("DCR"))
                            : null;
            default -> null;
        };
    }

    private int blocks() {
        long block = node.integer("blocksize", 1);
        return Math.toIntExact(block * block);
    }

    private KnownNumbers transposed(KnownNumbers in) {
        List<Long> order = node.integers("perm");
        return in.along(
                order.isEmpty()
                        ? from.length - 1 - in.dimension()
                        : order.indexOf((long) in.dimension()));
    }

    private boolean isAverageWithin() {
        return node.integer("count_include_pad", 0) == 0
                || node.integers("pads").stream().allMatch(pad -> pad == 0);
    }

    private @Nullable KnownNumbers reduced(KnownNumbers in) {
        boolean all = !node.has("axes") && node.input(1).isEmpty();
        long[] axes = all ? new long[0] : longs("axes", 1);
        if (axes == null) {
            return null;
        }
        if (axes.length == 0) {
            return node.integer("noop_with_empty_axes", 0) == 0 ? null : in;
        }
        int before = 0;
        for (long axis : axes) {
            if (dimension(axis) == in.dimension()) {
                return null;
            }
            before += dimension(axis) < in.dimension() ? 1 : 0;
        }
        return node.integer("keepdims", 1) == 0 ? in.along(in.dimension() - before) : in;
    }

    /** Weights of neighbours add up to 1, but for places that lie outside. */
    private @Nullable KnownNumbers resized(KnownNumbers in) {
        String mode = node.text("coordinate_transformation_mode", "half_pixel");
        return staysAlong(in) && !mode.equals("tf_crop_and_resize") ? in : null;
    }

    private boolean staysAlong(KnownNumbers in) {
        return from.length == to.length && from[in.dimension()] == to[in.dimension()];
    }

    private @Nullable KnownNumbers padded(KnownNumbers in) {
        long[] pads = longs(node.has("paddings") ? "paddings" : "pads", 1);
        long[] axes = axes(3);
        if (pads == null || axes == null || axes.length * 2 != pads.length) {
            return null;
        }
        for (int i = 0; i < pads.length; i++) {
            if (pads[i] != 0 && dimension(axes[i % axes.length]) == in.dimension()) {
                return null;
            }
        }
        boolean pads0 = Arrays.stream(pads).allMatch(pad -> pad <= 0);
        if (pads0 || !node.text("mode", "constant").equals("constant")) {
            return in;
        }
        ConstantTensor value = analysis.graph().constant(node.input(2));
        return value == null && !node.input(2).isEmpty()
                ? null
                : in.only(value == null ? node.number("value", 0) : RealNumbers.of(value)[0]);
    }

    private @Nullable KnownNumbers sliced(KnownNumbers in) {
        long[] starts = longs("starts", 1);
        long[] axes = axes(3);
        if (axes == null) {
            return null;
        }
        int at =
                IntStream.range(0, axes.length)
                        .filter(i -> dimension(axes[i]) == in.dimension())
                        .findFirst()
                        .orElse(-1);
        if (at < 0 || (starts != null && at >= starts.length)) {
            return in;
        }
        long[] steps = node.input(4).isEmpty() ? null : longs("steps", 4);
        if (starts == null || (steps == null && !node.input(4).isEmpty())) {
            return null;
        }
        long step = steps == null ? 1 : steps[at];
        int count = in.numbers().length;
        long start = starts[at] < 0 ? starts[at] + count : starts[at];
        long first = Math.clamp(start, 0L, step < 0 ? count - 1L : count);
        return in.with(
                Math.toIntExact(to[in.dimension()]), i -> in.numbers()[(int) (first + i * step)]);
    }

    private @Nullable KnownNumbers split(KnownNumbers in) {
        if (dimension(node.integer("axis", 0)) != in.dimension()) {
            return in;
        }
        int before = 0;
        for (int i = 0; i < place; i++) {
            long[] part = node.output(i).isEmpty() ? null : analysis.extents(node.output(i));
            if (part == null) {
                return null;
            }
            before += Math.toIntExact(part[in.dimension()]);
        }
        int first = before;
        return in.with(Math.toIntExact(to[in.dimension()]), i -> in.numbers()[first + i]);
    }

    private @Nullable KnownNumbers gathered(KnownNumbers in) {
        int axis = dimension(node.integer("axis", 0));
        if (axis != in.dimension()) {
            int more = to.length - from.length;
            return in.along(in.dimension() + (axis < in.dimension() ? more : 0));
        }
        ConstantTensor indices = analysis.graph().constant(node.input(1));
        if (indices == null || indices.shape().size() != 1) {
            return null;
        }
        long[] chosen = indices.toLongs();
        int count = in.numbers().length;
        return in.with(chosen.length, i -> in.numbers()[Math.floorMod(chosen[i], count)]);
    }

    private @Nullable KnownNumbers expanded(KnownNumbers in) {
        int dimension = in.dimension() + to.length - from.length;
        return to[dimension] == in.numbers().length ? in.along(dimension) : null;
    }

    private @Nullable KnownNumbers tiled(KnownNumbers in) {
        return staysAlong(in) ? in : null;
    }

    private int dimension(long axis) {
        return (int) (axis < 0 ? axis + from.length : axis);
    }

    /** The dimensions that a node names, all if it names none; null if they are computed. */
    private long @Nullable [] axes(int operand) {
        return node.has("axes") || !node.input(operand).isEmpty()
                ? longs("axes", operand)
                : LongStream.range(0, from.length).toArray();
    }

    /** Integers from an attribute, or from an operand in newer versions; null if not constant. */
    private long @Nullable [] longs(String attribute, int operand) {
        if (node.has(attribute)) {
            return node.integers(attribute).stream().mapToLong(Long::longValue).toArray();
        }
        ConstantTensor constant = analysis.graph().constant(node.input(operand));
        return constant == null || constant.type().isFloating() ? null : constant.toLongs();
    }
}

package io.espalier.nn;

import io.espalier.tensor.Needed;

import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarOptional;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.T_TensorTensor_T;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

import java.util.List;
import java.util.function.Supplier;

/**
 * {@link Functional}'s products of matrices, and what becomes of many elements: sums, means,
 * extremes.
 */
abstract sealed class ReductionFunctions extends ElementFunctions permits SpatialFunctions {
    private static final String DIMENSIONS = "the dimensions";

    /** The matrix product of the last two dimensions. */
    public static Tensor matmul(Tensor a, Tensor b) {
        return computed(() -> torch.matmul(a, b), "aten::matmul", a, b);
    }

    /** The matrix products of batches: [N, n, m] and [N, m, p] to [N, n, p]. */
    public static Tensor bmm(Tensor a, Tensor b) {
        return computed(() -> torch.bmm(a, b), "aten::bmm", a, b);
    }

    /** The sum of all elements. */
    public static Tensor sum(Tensor x) {
        return computed(() -> torch.sum(x), "aten::sum", x);
    }

    /** The sum along dimensions, which have length 1 afterwards or, without keepDim, are gone. */
    public static Tensor sum(Tensor x, long[] dims, boolean keepDim) {
        return computed(
                () -> torch.sum(x, dims, keepDim, new ScalarTypeOptional()),
                "aten::sum.dim_IntList",
                x,
                Needed.of(dims, DIMENSIONS),
                keepDim);
    }

    /** The mean of all elements. */
    public static Tensor mean(Tensor x) {
        return computed(() -> torch.mean(x), "aten::mean", x);
    }

    /** The mean along dimensions, which have length 1 afterwards or, without keepDim, are gone. */
    public static Tensor mean(Tensor x, long[] dims, boolean keepDim) {
        return computed(
                () -> torch.mean(x, dims, keepDim, new ScalarTypeOptional()),
                "aten::mean.dim",
                x,
                Needed.of(dims, DIMENSIONS),
                keepDim);
    }

    /**
     * The variance along dimensions.
     *
     * @param correction what is taken off the number of elements: 0 for the mean square distance
     *     from the mean, 1 for an estimate from a sample
     */
    public static Tensor var(Tensor x, long[] dims, double correction, boolean keepDim) {
        return computed(
                () -> torch.var(x, dims, new ScalarOptional(new Scalar(correction)), keepDim),
                "aten::var.correction",
                x,
                Needed.of(dims, DIMENSIONS),
                correction,
                keepDim);
    }

    /** The square root of {@link #var}. */
    public static Tensor std(Tensor x, long[] dims, double correction, boolean keepDim) {
        return computed(
                () -> torch.std(x, dims, new ScalarOptional(new Scalar(correction)), keepDim),
                "aten::std.correction",
                x,
                Needed.of(dims, DIMENSIONS),
                correction,
                keepDim);
    }

    /** The norm {@code (Σ |x|^order)^(1/order)} along dimensions. */
    public static Tensor norm(Tensor x, double order, long[] dims, boolean keepDim) {
        return computed(
                () ->
                        torch.linalg_vector_norm(
                                x, new Scalar(order), dims, keepDim, new ScalarTypeOptional()),
                "aten::linalg_vector_norm",
                x,
                order,
                Needed.of(dims, DIMENSIONS),
                keepDim);
    }

    /** {@code log Σ exp(x)} along dimensions, computed without overflow. */
    public static Tensor logSumExp(Tensor x, long[] dims, boolean keepDim) {
        return computed(
                () -> torch.logsumexp(x, dims, keepDim), "aten::logsumexp", x, dims, keepDim);
    }

    /** The sums of the elements up to each along a dimension. */
    public static Tensor cumsum(Tensor x, long dim) {
        return computed(() -> torch.cumsum(x, dim), "aten::cumsum", x, dim);
    }

    /** The largest element. */
    public static Tensor max(Tensor x) {
        return computed(() -> torch.max(x), "aten::max", x);
    }

    /** The smallest element. */
    public static Tensor min(Tensor x) {
        return computed(() -> torch.min(x), "aten::min", x);
    }

    /** The largest elements along a dimension, and where they stand. */
    public static Ranked max(Tensor x, long dim, boolean keepDim) {
        return ranked(() -> torch.max(x, dim, keepDim), "aten::max.dim", x, dim, keepDim);
    }

    /** The smallest elements along a dimension, and where they stand. */
    public static Ranked min(Tensor x, long dim, boolean keepDim) {
        return ranked(() -> torch.min(x, dim, keepDim), "aten::min.dim", x, dim, keepDim);
    }

    /**
     * The {@code count} largest elements along a dimension (or the smallest), the first first, and
     * where they stand.
     */
    public static Ranked topk(Tensor x, long count, long dim, boolean largest) {
        return ranked(
                () -> torch.topk(x, count, dim, largest, true),
                "aten::topk",
                x,
                count,
                dim,
                largest,
                true);
    }

    /** The elements in order along a dimension, and where they stood. */
    public static Ranked sort(Tensor x, long dim, boolean descending) {
        return ranked(() -> torch.sort(x, dim, descending), "aten::sort", x, dim, descending);
    }

    /** The largest elements along dimensions. */
    public static Tensor amax(Tensor x, long[] dims, boolean keepDim) {
        return computed(() -> torch.amax(x, dims, keepDim), "aten::amax", x, dims, keepDim);
    }

    /** The smallest elements along dimensions. */
    public static Tensor amin(Tensor x, long[] dims, boolean keepDim) {
        return computed(() -> torch.amin(x, dims, keepDim), "aten::amin", x, dims, keepDim);
    }

    /** Where the largest element stands along a dimension. */
    public static Tensor argmax(Tensor x, long dim, boolean keepDim) {
        return computed(
                () -> torch.argmax(x, new LongOptional(dim), keepDim),
                "aten::argmax",
                x,
                dim,
                keepDim);
    }

    /** Where the smallest element stands along a dimension. */
    public static Tensor argmin(Tensor x, long dim, boolean keepDim) {
        return computed(
                () -> torch.argmin(x, new LongOptional(dim), keepDim),
                "aten::argmin",
                x,
                dim,
                keepDim);
    }

    private static Ranked ranked(
            Supplier<T_TensorTensor_T> computation,
            String operator,
            @Nullable Object... arguments) {
        List<Tensor> both = computedAll(() -> pair(computation.get()), operator, arguments);
        return new Ranked(both.getFirst(), both.getLast());
    }
}

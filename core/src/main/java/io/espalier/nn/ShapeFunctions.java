package io.espalier.nn;

import io.espalier.tensor.Needed;
import io.espalier.tensor.QuantizedTensors;

import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

import java.util.ArrayList;
import java.util.List;

/**
 * {@link Functional}'s functions that move elements and compute nothing; negative dimensions count
 * from the end.
 */
abstract sealed class ShapeFunctions extends RecordedFunctions permits ElementFunctions {
    /** The same elements in another shape; one length may be −1, which the others determine. */
    public static Tensor reshape(Tensor x, long... shape) {
        return computed(() -> torch.reshape(x, shape), "aten::reshape", x, shape);
    }

    /**
     * The dimensions from {@code startDim} to {@code endDim} as one; negative ones count from the
     * end.
     */
    public static Tensor flatten(Tensor x, long startDim, long endDim) {
        return computed(
                () -> torch.flatten(x, startDim, endDim),
                "aten::flatten.using_ints",
                x,
                startDim,
                endDim);
    }

    /** Two dimensions swapped. */
    public static Tensor transpose(Tensor x, long dim0, long dim1) {
        return computed(() -> torch.transpose(x, dim0, dim1), "aten::transpose.int", x, dim0, dim1);
    }

    /** The dimensions in another order. */
    public static Tensor permute(Tensor x, long... dims) {
        return computed(() -> torch.permute(x, dims), "aten::permute", x, dims);
    }

    /** A dimension of length 1 put in. */
    public static Tensor unsqueeze(Tensor x, long dim) {
        return computed(() -> torch.unsqueeze(x, dim), "aten::unsqueeze", x, dim);
    }

    /** A dimension of length 1 taken out. */
    public static Tensor squeeze(Tensor x, long dim) {
        return computed(() -> torch.squeeze(x, dim), "aten::squeeze.dim", x, dim);
    }

    /** The elements {@code start … start + length − 1} along a dimension. */
    public static Tensor narrow(Tensor x, long dim, long start, long length) {
        return computed(
                () -> torch.narrow(x, dim, start, length), "aten::narrow", x, dim, start, length);
    }

    /**
     * Tensors one after another along {@code dim}. Quantized ones of different scales are rounded
     * to the range that holds all of theirs.
     */
    public static Tensor cat(Iterable<Tensor> tensors, long dim) {
        List<Tensor> list = listed(tensors);
        return computed(() -> QuantizedTensors.cat(list, dim), "aten::cat", list, dim);
    }

    /** Tensors of one shape side by side along a new dimension; quantized ones as {@link #cat}. */
    public static Tensor stack(Iterable<Tensor> tensors, long dim) {
        List<Tensor> list = listed(tensors);
        return computed(() -> QuantizedTensors.stack(list, dim), "aten::stack", list, dim);
    }

    private static List<Tensor> listed(Iterable<Tensor> tensors) {
        List<Tensor> list = new ArrayList<>();
        Needed.of(tensors, "the tensors to join").forEach(list::add);
        return Needed.all(list, "the tensors to join");
    }

    /** Parts of {@code size} along a dimension, the last of what is left. */
    public static List<Tensor> split(Tensor x, long size, long dim) {
        return computedAll(
                () -> owned(torch.split(x, size, dim)), "aten::split.Tensor", x, size, dim);
    }

    /** Parts of these sizes along a dimension, which add up to its length. */
    public static List<Tensor> split(Tensor x, long[] sizes, long dim) {
        return computedAll(
                () -> owned(torch.split_with_sizes(x, sizes, dim)),
                "aten::split_with_sizes",
                x,
                sizes,
                dim);
    }

    /** At most {@code count} parts of one size along a dimension, the last of what is left. */
    public static List<Tensor> chunk(Tensor x, long count, long dim) {
        return computedAll(() -> owned(torch.chunk(x, count, dim)), "aten::chunk", x, count, dim);
    }

    /** The slices along a dimension, which is gone in each. */
    public static List<Tensor> unbind(Tensor x, long dim) {
        return computedAll(() -> owned(torch.unbind(x, dim)), "aten::unbind.int", x, dim);
    }

    /** One slice along a dimension, which is gone; a negative index counts from the end. */
    public static Tensor select(Tensor x, long dim, long index) {
        return computed(() -> torch.select(x, dim, index), "aten::select.int", x, dim, index);
    }

    /**
     * Every {@code step}-th element from {@code start} to before {@code end} along a dimension;
     * negative ones count from the end, and an end beyond it is the end.
     */
    public static Tensor slice(Tensor x, long dim, long start, long end, long step) {
        return computed(
                () -> torch.slice(x, dim, new LongOptional(start), new LongOptional(end), step),
                "aten::slice.Tensor",
                x,
                dim,
                start,
                end,
                step);
    }

    /** The slices at {@code indices} [n] (integers) along a dimension, which has length n then. */
    public static Tensor indexSelect(Tensor x, long dim, Tensor indices) {
        return computed(
                () -> torch.index_select(x, dim, indices), "aten::index_select", x, dim, indices);
    }

    /** For each element of {@code indices} (64-bit) the element there along a dimension. */
    public static Tensor gather(Tensor x, long dim, Tensor indices) {
        return computed(() -> torch.gather(x, dim, indices), "aten::gather", x, dim, indices);
    }

    /** Dimensions of length 1 made longer without a copy; −1 leaves a length as it is. */
    public static Tensor expand(Tensor x, long... shape) {
        return computed(() -> x.expand(shape), "aten::expand", x, shape);
    }

    /** The tensor repeated so many times along each dimension. */
    public static Tensor repeat(Tensor x, long... times) {
        return computed(() -> x.repeat(times), "aten::repeat", x, times);
    }

    /** One dimension as several; one length may be −1, which the others determine. */
    public static Tensor unflatten(Tensor x, long dim, long... sizes) {
        return computed(() -> torch.unflatten(x, dim, sizes), "aten::unflatten.int", x, dim, sizes);
    }

    /** The elements in reverse order along dimensions. */
    public static Tensor flip(Tensor x, long... dims) {
        return computed(() -> torch.flip(x, dims), "aten::flip", x, dims);
    }

    /** The elements moved on along dimensions, those at the end to the start. */
    public static Tensor roll(Tensor x, long[] shifts, long[] dims) {
        return computed(() -> torch.roll(x, shifts, dims), "aten::roll", x, shifts, dims);
    }

    /** The elements in one piece of memory, in their order. */
    public static Tensor contiguous(Tensor x) {
        return computed(() -> x.contiguous(), "aten::contiguous", x);
    }

    /** The lower left of the last two dimensions up to a diagonal, zeros elsewhere. */
    public static Tensor tril(Tensor x, long diagonal) {
        return computed(() -> torch.tril(x, diagonal), "aten::tril", x, diagonal);
    }

    /** The upper right of the last two dimensions from a diagonal on, zeros elsewhere. */
    public static Tensor triu(Tensor x, long diagonal) {
        return computed(() -> torch.triu(x, diagonal), "aten::triu", x, diagonal);
    }
}

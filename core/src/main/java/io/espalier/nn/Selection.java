package io.espalier.nn;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Set;
import java.util.function.UnaryOperator;
import java.util.stream.LongStream;

/**
 * A layer like another over some channels of its tensors. A parameter is taken as it is stored;
 * what its parametrizations keep for each of its elements, such as a mask, goes with it.
 */
final class Selection {
    private final Module layer;
    private final IdentityHashMap<Tensor, UnaryOperator<Tensor>> chosen = new IdentityHashMap<>();

    Selection(Module layer) {
        this.layer = layer;
    }

    /**
     * Chooses along a dimension of a parameter or buffer, if the layer has it.
     *
     * @param kept indices that {@link #require} let pass
     */
    Selection along(String name, int dim, long... kept) {
        return with(layer, name, tensor -> select(tensor, dim, kept));
    }

    /** Chooses along a dimension of a tensor of this layer or of a child. */
    Selection with(Module owner, String name, UnaryOperator<Tensor> function) {
        if (owner.hasBuffer(name)) {
            add(owner.buffer(name), function);
        }
        if (owner.hasParameter(name)) {
            add(owner.parameter(owner.storedName(name)), function);
            for (Parametrization parametrization : owner.parametrizations(name)) {
                for (String buffer : parametrization.buffers()) {
                    add(owner.buffer(buffer), function);
                }
            }
        }
        return this;
    }

    private void add(Tensor tensor, UnaryOperator<Tensor> function) {
        chosen.merge(tensor, function, (first, next) -> value -> next.apply(first.apply(value)));
    }

    /** The new layer, of the same class, with copies of all tensors. */
    @SuppressWarnings("TypeParameterUnusedInFormals") // the caller knows the layer's class
    <M extends Module> M apply() {
        Module made =
                layer.over(tensor -> {
                    try (var scope = new PointerScope();
                            var noGrad = new NoGradGuard()) {
                        Tensor part =
                                chosen.getOrDefault(tensor, Tensor::clone)
                                        .apply(tensor)
                                        .set_requires_grad(tensor.requires_grad());
                        return Tensors.keep(part);
                    }
                });
        @SuppressWarnings("unchecked") // a copy is of its original's class
        M same = (M) made;
        return same;
    }

    /** The slices at these indices along a dimension. */
    static Tensor select(Tensor tensor, int dim, long... kept) {
        return torch.index_select(tensor, dim, Tensors.of(kept, kept.length));
    }

    /**
     * In each of as many equal parts of the first dimension as {@code kept} has rows, the slices at
     * that row's indices along the second.
     */
    static Tensor selectInParts(Tensor tensor, long[][] kept) {
        long rows = tensor.size(0) / kept.length;
        var parts = new TensorVector();
        for (int part = 0; part < kept.length; part++) {
            parts.push_back(select(tensor.narrow(0, part * rows, rows), 1, kept[part]));
        }
        return torch.cat(parts, 0);
    }

    /**
     * Refuses indices that choose no channels.
     *
     * @throws EspalierException if there is none, or one out of range or there twice
     */
    static void require(Module layer, String what, long size, long... kept) {
        if (Needed.of(kept, "the " + what + " to keep").length == 0) {
            throw new EspalierException(
                    "A "
                            + layer.typeName()
                            + " without "
                            + what
                            + " is none; keep at least one of "
                            + size
                            + ".");
        }
        Set<Long> seen = new HashSet<>();
        for (long index : kept) {
            if (index < 0 || index >= size) {
                throw new EspalierException(
                        layer.typeName()
                                + " has "
                                + size
                                + " "
                                + what
                                + ", 0…"
                                + (size - 1)
                                + "; asked to keep "
                                + index
                                + ".");
            }
            if (!seen.add(index)) {
                throw new EspalierException(
                        "Asked to keep "
                                + index
                                + " of the "
                                + what
                                + " of "
                                + layer.typeName()
                                + " twice; name each once.");
            }
        }
    }

    /**
     * Channels by the group that they belong to, counted within it.
     *
     * @throws EspalierException as {@link #require}, or if the groups, one after the other, don't
     *     keep the same number
     */
    static long[][] byGroup(Module layer, String what, long size, long groups, long... kept) {
        require(layer, what, size, kept);
        long each = size / groups;
        List<long[]> rows = new ArrayList<>();
        if (kept.length % groups == 0) {
            int width = Math.toIntExact(kept.length / groups);
            for (int group = 0; group < groups; group++) {
                long first = group * each;
                long[] row = Arrays.copyOfRange(kept, group * width, (group + 1) * width);
                if (Arrays.stream(row).allMatch(c -> c >= first && c < first + each)) {
                    rows.add(Arrays.stream(row).map(c -> c - first).toArray());
                }
            }
        }
        if (rows.size() != groups) {
            throw new EspalierException(
                    layer.typeName()
                            + " with "
                            + groups
                            + " groups must keep as many "
                            + what
                            + " of each, group after group; asked for "
                            + Arrays.toString(kept)
                            + ". To leave groups out, use withGroups.");
        }
        return rows.toArray(long[][]::new);
    }

    /** Blocks of {@code width} channels as their channels: of 0 and 2 by 2 it makes 0, 1, 4, 5. */
    static long[] blocks(long width, long... kept) {
        return Arrays.stream(kept)
                .flatMap(block -> LongStream.range(block * width, (block + 1) * width))
                .toArray();
    }
}

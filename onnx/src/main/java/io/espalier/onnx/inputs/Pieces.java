package io.espalier.onnx.inputs;

import io.espalier.onnx.inputs.BatchSource.Made;
import io.espalier.tensor.EspalierException;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.OptionalInt;

/**
 * Batches as somebody else made them, cut along their first dimension to the size and the number of
 * examples that are asked for. One of them at a time is in memory, on handles of our own, whatever
 * scope it was made in.
 */
final class Pieces implements Iterator<Made> {
    /** Stands for one example whose tensors have no common first dimension. */
    private static final long UNCUT = Long.MAX_VALUE;

    private final Iterator<Made> wholes;
    private final OptionalInt size;
    private final boolean full;
    private long left;
    private @Nullable Made whole;
    private long end;
    private long at;

    /**
     * @param size how many examples a batch has; as many as it came with, if empty
     * @param full whether one with fewer is left out
     */
    Pieces(Iterator<Made> wholes, OptionalInt size, boolean full, OptionalInt limit) {
        this.wholes = wholes;
        this.size = size;
        this.full = full;
        this.left = limit.isPresent() ? limit.getAsInt() : Long.MAX_VALUE;
    }

    /** The pieces of batches for a model, each as large as asked for or as the model takes. */
    static Pieces of(Iterator<Made> wholes, Selection selection, Signature signature) {
        OptionalInt fixed = signature.fixedBatch();
        OptionalInt size =
                selection.batch().isPresent()
                        ? OptionalInt.of(selection.batchFor(signature))
                        : (fixed.orElse(0) == 1 ? fixed : OptionalInt.empty());
        return new Pieces(wholes, size, fixed.isPresent(), selection.limit());
    }

    @Override
    public boolean hasNext() {
        if (whole == null && left > 0) {
            load();
        }
        return whole != null;
    }

    private void load() {
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            if (wholes.hasNext()) {
                Made made = wholes.next();
                at = 0;
                end = usable(made);
                if (end > 0) {
                    whole = new Made(made.origin(), OwnedTensors.of(made.tensors()));
                } else {
                    left = 0;
                }
            }
        }
    }

    /** How many examples of it are used. */
    private long usable(Made made) {
        List<Long> extents = made.tensors().values().stream().map(Pieces::rows).distinct().toList();
        if (extents.contains(0L)) {
            throw new EspalierException(made.origin() + " has no examples.");
        }
        boolean cuttable = extents.size() == 1 && extents.getFirst() > 0;
        if (size.isEmpty()) {
            return cuttable ? Math.min(extents.getFirst(), left) : UNCUT;
        }
        if (!cuttable) {
            throw new EspalierException(
                    "%s can't be cut in batches of %d: its arrays have no common first dimension."
                            .formatted(made.origin(), size.getAsInt()));
        }
        if (full && extents.getFirst() < size.getAsInt()) {
            throw new EspalierException(
                    "The model takes batches of %d; %s has %d examples."
                            .formatted(size.getAsInt(), made.origin(), extents.getFirst()));
        }
        long rows = Math.min(extents.getFirst(), left);
        return full ? rows - rows % size.getAsInt() : rows;
    }

    private static long rows(Tensor tensor) {
        return tensor.dim() == 0 ? -1 : tensor.size(0);
    }

    @Override
    public Made next() {
        if (!hasNext() || whole == null) {
            throw new NoSuchElementException("There is no further batch.");
        }
        Made source = whole;
        if (end == UNCUT) {
            left--;
            whole = null;
            return new Made(source.origin(), OwnedTensors.handOver(source.tensors()));
        }
        long count = Math.min(end - at, size.orElse(Integer.MAX_VALUE));
        Map<String, Tensor> piece = OwnedTensors.rows(source.tensors(), at, count);
        at += count;
        left -= count;
        if (at == end) {
            whole = null;
            OwnedTensors.free(source.tensors());
        }
        return new Made(source.origin(), piece);
    }
}

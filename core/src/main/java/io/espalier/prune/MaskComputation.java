package io.espalier.prune;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.TensorException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.LongStream;

/**
 * Asks a pruning method for a mask and combines it with the one there: a method sees, and prunes,
 * only what is still kept. As {@code torch.nn.utils.prune.PruningContainer}.
 */
final class MaskComputation {
    private MaskComputation() {}

    /** The new mask of one parameter. */
    static Tensor of(PruningMethod method, Site site, Tensor scores) {
        try {
            return switch (method) {
                case PruningMethod.Structured structured -> channels(structured, site, scores);
                case PruningMethod.Unstructured unstructured -> entries(unstructured, site, scores);
                case PruningMethod.Patterned patterned -> whole(patterned, site, scores);
            };
        } catch (RuntimeException e) {
            throw explained("Pruning " + site, e);
        }
    }

    /** The new masks of several parameters whose entries are taken together. */
    static List<Tensor> of(
            PruningMethod.Unstructured method, List<Site> sites, List<Tensor> scores) {
        try {
            Optional<List<Tensor>> streamed = streamed(method, sites, scores);
            if (streamed.isPresent()) {
                return streamed.get();
            }
            Tensor scoresOfAll = concatenation(scores);
            Tensor maskOfAll = concatenation(sites.stream().map(Site::maskOrOnes).toList());
            Tensor combined = entries(method, scoresOfAll, maskOfAll);
            List<Tensor> masks = new ArrayList<>();
            long from = 0;
            for (Site site : sites) {
                long size = site.stored().numel();
                masks.add(combined.narrow(0, from, size).view_as(site.stored()));
                from += size;
            }
            return masks;
        } catch (RuntimeException e) {
            throw explained("Pruning " + sites.size() + " parameters together", e);
        }
    }

    private static EspalierException explained(String what, RuntimeException e) {
        return e instanceof EspalierException
                ? new EspalierException(what + ": " + e.getMessage(), e)
                : TensorException.in(what, e);
    }

    /** The new masks by a method that can take many tensors as they lie. */
    private static Optional<List<Tensor>> streamed(
            PruningMethod.Unstructured method, List<Site> sites, List<Tensor> scores) {
        List<Selection.Entries> entries = new ArrayList<>();
        for (int i = 0; i < sites.size(); i++) {
            entries.add(new Selection.Entries(scores.get(i), sites.get(i).mask()));
        }
        return method instanceof L1Unstructured l1 && Selection.serves(entries)
                ? Optional.of(Selection.lowest(entries, l1.amount()))
                : Optional.empty();
    }

    private static Tensor concatenation(List<Tensor> tensors) {
        var flat = new TensorVector();
        tensors.forEach(tensor -> flat.push_back(tensor.reshape(-1)));
        return torch.cat(flat);
    }

    private static Tensor entries(PruningMethod.Unstructured method, Site site, Tensor scores) {
        Optional<List<Tensor>> streamed = streamed(method, List.of(site), List.of(scores));
        if (streamed.isPresent()) {
            return streamed.get().getFirst();
        }
        return site.mask() == null
                ? mask(method, scores, torch.ones_like(scores))
                : entries(method, scores, site.mask());
    }

    private static Tensor entries(PruningMethod method, Tensor scores, Tensor mask) {
        Tensor kept = mask.ne(new Scalar(0));
        Tensor seen = scores.masked_select(kept);
        Tensor partial = mask(method, seen, torch.ones_like(seen));
        return mask.clone().masked_scatter_(kept, partial.to(mask.scalar_type()));
    }

    private static Tensor whole(PruningMethod.Patterned method, Site site, Tensor scores) {
        Tensor kept = site.maskOrOnes();
        return mask(method, scores, kept).to(kept.scalar_type()).mul(kept);
    }

    private static Tensor channels(PruningMethod.Structured method, Site site, Tensor scores) {
        int dims = Math.toIntExact(scores.dim());
        if (dims < 2) {
            throw new EspalierException(
                    "Channels are pruned in tensors of 2 or more dimensions, not in a shape of "
                            + dims
                            + "; use an unstructured method.");
        }
        if (method.dim() < -dims || method.dim() >= dims) {
            throw new EspalierException(
                    "Dimension "
                            + method.dim()
                            + " is not one of the "
                            + dims
                            + "; give one from "
                            + -dims
                            + " to "
                            + (dims - 1)
                            + ".");
        }
        if (site.mask() == null) {
            return mask(method, scores, torch.ones_like(scores));
        }
        int dim = Math.floorMod(method.dim(), dims);
        long[] others = LongStream.range(0, dims).filter(d -> d != dim).toArray();
        Tensor channels = site.mask().sum(others).ne(new Scalar(0)).nonzero().reshape(-1);
        Tensor kept = site.mask().index_select(dim, channels);
        Tensor partial = mask(method, scores.index_select(dim, channels), kept);
        return site.mask()
                .clone()
                .index_copy_(dim, channels, partial.to(kept.scalar_type()).mul(kept));
    }

    /** What the method answers, once it is known to be a mask. */
    private static Tensor mask(PruningMethod method, Tensor scores, Tensor defaultMask) {
        Tensor mask = method.computeMask(scores, defaultMask);
        requireMask(mask, defaultMask);
        return mask;
    }

    /**
     * Refuses what is no mask of the shape of another.
     *
     * @throws EspalierException if the shapes differ or an entry is neither 0 nor 1
     */
    static void requireMask(Tensor mask, Tensor like) {
        long[] shape = Tensors.shape(like);
        if (!Arrays.equals(Tensors.shape(mask), shape)) {
            throw new EspalierException(
                    "The mask has shape "
                            + Arrays.toString(Tensors.shape(mask))
                            + "; it must have shape "
                            + Arrays.toString(shape)
                            + ".");
        }
        Tensor wrong = mask.ne(new Scalar(0)).logical_and(mask.ne(new Scalar(1)));
        if (wrong.any().item_bool()) {
            throw new EspalierException(
                    "The mask holds "
                            + mask.masked_select(wrong).select(0, 0).item().toDouble()
                            + " at index "
                            + Arrays.toString(Tensors.longs(wrong.nonzero().select(0, 0)))
                            + "; 0 prunes an entry, 1 keeps it, and nothing else is a mask.");
        }
    }
}

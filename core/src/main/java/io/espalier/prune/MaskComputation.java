package io.espalier.prune;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.TensorException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.MemoryFormatOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Asks a pruning method for a mask and combines it with the one there: a method sees, and prunes,
 * only what is still kept. As {@code torch.nn.utils.prune.PruningContainer}.
 */
final class MaskComputation {
    private MaskComputation() {}

    /** The new mask of one parameter; nobody else holds it. */
    static Tensor of(PruningMethod method, Site site) {
        try {
            return switch (method) {
                case PruningMethod.Structured structured -> channels(structured, site);
                case PruningMethod.Patterned patterned -> pattern(patterned, site);
                case PruningMethod.Unstructured unstructured ->
                        entries(unstructured, List.of(site)).getFirst();
            };
        } catch (RuntimeException e) {
            throw explained("Pruning " + site, e);
        }
    }

    /** The new masks of several parameters whose entries are taken together. */
    static List<Tensor> of(PruningMethod.Unstructured method, List<Site> sites) {
        try {
            return entries(method, sites);
        } catch (RuntimeException e) {
            throw explained("Pruning " + sites.size() + " parameters together", e);
        }
    }

    /** The mask there, less what another one prunes. */
    static Tensor combined(Site site, Tensor mask) {
        try {
            requireMask(mask, site.stored());
            return site.maskOrOnes().mul(mask.to(site.stored().scalar_type()));
        } catch (RuntimeException e) {
            throw explained("Pruning " + site, e);
        }
    }

    private static EspalierException explained(String what, RuntimeException e) {
        return e instanceof EspalierException
                ? new EspalierException(what + ": " + e.getMessage(), e)
                : TensorException.in(what, e);
    }

    private static List<Tensor> entries(PruningMethod.Unstructured method, List<Site> sites) {
        List<Selection.Entries> entries =
                sites.stream()
                        .map(site -> new Selection.Entries(site.entryScores(), site.mask()))
                        .toList();
        return switch (method) {
            case L1Unstructured l1 when Selection.serves(entries) ->
                    Selection.lowest(entries, l1.amount());
            case RandomUnstructured random -> RandomSelection.of(entries, random.amount());
            default ->
                    sites.size() == 1
                            ? List.of(whole(method, sites.getFirst()))
                            : together(method, sites);
        };
    }

    private static Tensor whole(PruningMethod method, Site site) {
        Tensor scores = site.entryScores();
        return site.mask() == null
                ? mask(method, scores, torch.ones_like(site.stored()))
                : kept(method, scores, site.mask());
    }

    private static List<Tensor> together(PruningMethod method, List<Site> sites) {
        Tensor combined =
                kept(
                        method,
                        concatenation(sites.stream().map(Site::entryScores).toList()),
                        concatenation(sites.stream().map(Site::maskOrOnes).toList()));
        List<Tensor> masks = new ArrayList<>();
        long from = 0;
        for (Site site : sites) {
            long size = site.stored().numel();
            masks.add(combined.narrow(0, from, size).view_as(site.stored()).clone());
            from += size;
        }
        return masks;
    }

    private static Tensor concatenation(List<Tensor> tensors) {
        var flat = new TensorVector();
        tensors.forEach(tensor -> flat.push_back(tensor.reshape(-1)));
        return torch.cat(flat);
    }

    /** Lets the method see the entries that the mask keeps. */
    private static Tensor kept(PruningMethod method, Tensor scores, Tensor mask) {
        Tensor kept = mask.ne(new Scalar(0));
        Tensor partial = mask(method, scores.masked_select(kept), mask.masked_select(kept));
        return torch.zeros_like(mask).masked_scatter_(kept, partial);
    }

    private static Tensor pattern(PruningMethod.Patterned method, Site site) {
        Tensor kept = site.maskOrOnes();
        return mask(method, site.wholeScores(), kept).mul(kept);
    }

    /** Lets the method see the channels that the mask keeps something of. */
    private static Tensor channels(PruningMethod.Structured method, Site site) {
        Tensor scores = site.wholeScores();
        int dim = Channels.dimension(scores, method.dim());
        if (site.mask() == null) {
            return mask(method, scores, torch.ones_like(site.stored()));
        }
        Tensor alive = Channels.kept(site.mask(), dim);
        Tensor kept = site.mask().index_select(dim, alive);
        Tensor partial = mask(method, scores.index_select(dim, alive), kept).mul(kept);
        return torch.zeros_like(site.mask()).index_copy_(dim, alive, partial);
    }

    /** A copy of what the method answers, once it is known to be a mask. */
    private static Tensor mask(PruningMethod method, Tensor scores, Tensor defaultMask) {
        Tensor mask = method.computeMask(scores, defaultMask);
        requireMask(mask, defaultMask);
        return mask.to(defaultMask.scalar_type(), false, true, new MemoryFormatOptional());
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

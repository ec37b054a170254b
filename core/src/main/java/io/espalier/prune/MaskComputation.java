package io.espalier.prune;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Asks a pruning method for a mask and combines it with the one there: a method sees, and prunes,
 * only what is still kept. The masks it answers with are held by nobody else.
 */
final class MaskComputation {
    private MaskComputation() {}

    /** The new mask of one parameter. */
    static Tensor of(PruningMethod method, MaskInput input) {
        return switch (method) {
            case PruningMethod.Ranked ranked -> Choosing.entries(ranked, List.of(input)).getFirst();
            case PruningMethod.Unstructured unstructured -> entries(unstructured, input);
            case PruningMethod.Structured structured -> channels(structured, input);
            case PruningMethod.Patterned patterned -> pattern(patterned, input);
            case PruningContainer container -> inTurn(container, input);
        };
    }

    /** The new masks of several parameters whose entries are taken together. */
    static List<Tensor> of(PruningMethod.Unstructured method, List<MaskInput> inputs) {
        return method instanceof PruningMethod.Ranked ranked
                ? Choosing.entries(ranked, inputs)
                : together(method, inputs);
    }

    /** The mask there, less what another one prunes. */
    static Tensor combined(MaskInput input, Tensor mask) {
        return input.maskOrOnes().mul(copy(mask, input.values()));
    }

    private static Tensor entries(PruningMethod.Unstructured method, MaskInput input) {
        return input.mask() == null
                ? ask(method, input.entryScores(), input.maskOrOnes())
                : askForKept(method, input.entryScores(), input.mask());
    }

    private static List<Tensor> together(PruningMethod method, List<MaskInput> inputs) {
        Tensor scores = concatenation(inputs.stream().map(MaskInput::entryScores).toList());
        Tensor masks = concatenation(inputs.stream().map(MaskInput::maskOrOnes).toList());
        Tensor combined = askForKept(method, scores, masks);
        List<Tensor> parts = new ArrayList<>();
        long from = 0;
        for (MaskInput input : inputs) {
            long size = input.values().numel();
            parts.add(combined.narrow(0, from, size).view_as(input.values()).clone());
            from += size;
        }
        return parts;
    }

    private static Tensor concatenation(List<Tensor> tensors) {
        var flat = new TensorVector();
        tensors.forEach(tensor -> flat.push_back(tensor.reshape(-1)));
        return torch.cat(flat);
    }

    /** Lets the method see the entries that the mask keeps. */
    private static Tensor askForKept(PruningMethod method, Tensor scores, Tensor mask) {
        Tensor kept = mask.ne(new Scalar(0));
        Tensor partial = ask(method, scores.masked_select(kept), mask.masked_select(kept));
        return torch.zeros_like(mask).masked_scatter_(kept, partial);
    }

    /** Lets the method see the channels that the mask keeps something of. */
    private static Tensor channels(PruningMethod.Structured method, MaskInput input) {
        Tensor scores = input.wholeScores();
        int dim = Channels.dimension(scores, method.dim());
        Tensor mask = input.mask();
        if (mask == null) {
            return method instanceof PruningMethod.RankedChannels ranked
                    ? Channels.mask(input.values(), dim, Choosing.channels(ranked, scores, dim))
                    : ask(method, scores, input.maskOrOnes());
        }
        Tensor alive = Channels.kept(mask, dim);
        Tensor seen = scores.index_select(dim, alive);
        if (method instanceof PruningMethod.RankedChannels ranked) {
            Tensor kept = Choosing.channels(ranked, seen, dim);
            Tensor all = torch.zeros(mask.size(dim)).to(kept.scalar_type());
            return Channels.prune(mask, dim, all.index_copy_(0, alive, kept));
        }
        Tensor kept = mask.index_select(dim, alive);
        Tensor partial = ask(method, seen, kept).mul(kept);
        return torch.zeros_like(mask).index_copy_(dim, alive, partial);
    }

    private static Tensor pattern(PruningMethod.Patterned method, MaskInput input) {
        Tensor kept = input.maskOrOnes();
        return ask(method, input.wholeScores(), kept).mul(kept);
    }

    private static Tensor inTurn(PruningContainer container, MaskInput input) {
        MaskInput current = input.withMask(input.maskOrOnes().clone());
        for (PruningMethod method : container.methods()) {
            current = current.withMask(of(method, current));
        }
        return current.maskOrOnes();
    }

    private static Tensor ask(PruningMethod method, Tensor scores, Tensor defaultMask) {
        return copy(Needed.given(method.computeMask(scores, defaultMask), "the mask"), defaultMask);
    }

    /**
     * What somebody gave as a mask, in the type of another.
     *
     * @throws EspalierException if the shapes differ or an entry is neither 0 nor 1
     */
    private static Tensor copy(Tensor mask, Tensor like) {
        if (!Arrays.equals(Tensors.shape(mask), Tensors.shape(like))) {
            throw new EspalierException(
                    "The mask has shape "
                            + Arrays.toString(Tensors.shape(mask))
                            + "; give one of shape "
                            + Arrays.toString(Tensors.shape(like))
                            + ".");
        }
        Tensor kept = mask.ne(new Scalar(0));
        Tensor wrong = kept.logical_and(mask.ne(new Scalar(1)));
        if (wrong.any().item_bool()) {
            throw new EspalierException(
                    "The mask holds "
                            + mask.masked_select(wrong).select(0, 0).item().toDouble()
                            + " at index "
                            + Arrays.toString(Tensors.longs(wrong.nonzero().select(0, 0)))
                            + "; 0 prunes an entry, 1 keeps it, and nothing else is a mask.");
        }
        return kept.to(like.scalar_type());
    }
}

package io.espalier.prune;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * Asks a pruning method for a mask and combines it with the one there: a method sees, and prunes,
 * only what is still kept. The masks it answers with are held by nobody else.
 */
final class MaskComputation {
    private MaskComputation() {}

    /** The new mask of one parameter. */
    static Tensor of(PruningMethod method, MaskInput input) {
        return switch (method) {
            case PruningMethod.Unstructured unstructured -> entries(unstructured, input);
            case PruningMethod.Structured structured -> channels(structured, input);
            case PruningMethod.Patterned patterned -> pattern(patterned, input);
            case PruningContainer container -> inTurn(container, input);
        };
    }

    /** The new masks of several parameters whose entries are taken together. */
    static List<Tensor> of(PruningMethod.Unstructured method, List<MaskInput> inputs) {
        return streamed(method, inputs).orElseGet(() -> together(method, inputs));
    }

    /** The mask there, less what another one prunes. */
    static Tensor combined(MaskInput input, Tensor mask) {
        return input.maskOrOnes().mul(copy(mask, input.values()));
    }

    private static Tensor entries(PruningMethod.Unstructured method, MaskInput input) {
        Optional<List<Tensor>> streamed = streamed(method, List.of(input));
        if (streamed.isPresent()) {
            return streamed.get().getFirst();
        }
        return input.mask() == null
                ? ask(method, input.entryScores(), input.maskOrOnes())
                : askForKept(method, input.entryScores(), input.mask());
    }

    /** The answer of a method that takes tensors as they lie, without a copy of them all. */
    private static Optional<List<Tensor>> streamed(
            PruningMethod.Unstructured method, List<MaskInput> inputs) {
        List<Selection.Entries> entries =
                inputs.stream()
                        .map(input -> new Selection.Entries(input.entryScores(), input.mask()))
                        .toList();
        return switch (method) {
            case L1Unstructured l1 when Selection.serves(entries) ->
                    Optional.of(Selection.lowest(entries, l1.amount()));
            case RandomUnstructured random ->
                    Optional.of(RandomSelection.of(entries, random.amount()));
            default -> Optional.empty();
        };
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
            return keptChannels(method, scores, dim)
                    .map(kept -> Channels.mask(input.values(), dim, kept))
                    .orElseGet(() -> ask(method, scores, input.maskOrOnes()));
        }
        Tensor alive = Channels.kept(mask, dim);
        Tensor seen = scores.index_select(dim, alive);
        Optional<Tensor> channels = keptChannels(method, seen, dim);
        if (channels.isPresent()) {
            Tensor kept = channels.get();
            Tensor all = torch.zeros(mask.size(dim)).to(kept.scalar_type());
            return Channels.prune(mask, dim, all.index_copy_(0, alive, kept));
        }
        Tensor kept = mask.index_select(dim, alive);
        Tensor partial = ask(method, seen, kept).mul(kept);
        return torch.zeros_like(mask).index_copy_(dim, alive, partial);
    }

    /** The answer of a method that decides channel by channel: 1 for each that is kept. */
    private static Optional<Tensor> keptChannels(
            PruningMethod.Structured method, Tensor scores, int dim) {
        return switch (method) {
            case LnStructured ln -> Optional.of(ln.keptChannels(scores, dim));
            case RandomStructured random -> Optional.of(random.keptChannels(scores.size(dim)));
            default -> Optional.empty();
        };
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
        return copy(method.computeMask(scores, defaultMask), defaultMask);
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

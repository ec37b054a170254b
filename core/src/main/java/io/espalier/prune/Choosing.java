package io.espalier.prune;

import io.espalier.prune.Selection.Entries;
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

/** Carries out a {@link Choice}: in tensors as they lie, without sorting or copying them. */
final class Choosing {
    private Choosing() {}

    /** The masks of several tensors whose entries a method ranks as if they were one. */
    static List<Tensor> entries(PruningMethod.Ranked method, List<MaskInput> inputs) {
        Choice choice = Needed.given(method.choice(), "what to prune");
        List<Entries> ranked = new ArrayList<>();
        for (MaskInput input : inputs) {
            Tensor scores = input.entryScores();
            Tensor ranks = choice instanceof Choice.AtRandom ? scores : ranks(method.rank(scores));
            requireShape(ranks, Tensors.shape(scores));
            ranked.add(new Entries(ranks.detach(), input.mask()));
        }
        return of(choice, ranked);
    }

    /** Of each channel 1 if it is kept, else 0. */
    static Tensor channels(PruningMethod.RankedChannels method, Tensor scores, int dim) {
        Choice choice = Needed.given(method.choice(), "what to prune");
        Tensor ranks =
                choice instanceof Choice.AtRandom
                        ? torch.empty(scores.size(dim))
                        : ranks(method.rank(scores, dim));
        requireShape(ranks, scores.size(dim));
        return of(choice, List.of(new Entries(ranks.detach(), null))).getFirst();
    }

    private static Tensor ranks(Tensor given) {
        return Needed.given(given, "the ranks");
    }

    private static void requireShape(Tensor ranks, long... shape) {
        if (!Arrays.equals(Tensors.shape(ranks), shape)) {
            throw new EspalierException(
                    "The ranks have shape "
                            + Arrays.toString(Tensors.shape(ranks))
                            + "; give one for each that is ranked, in shape "
                            + Arrays.toString(shape)
                            + ".");
        }
    }

    private static List<Tensor> of(Choice choice, List<Entries> ranked) {
        return switch (choice) {
            case Choice.Lowest(Amount amount) ->
                    Selection.serves(ranked)
                            ? Selection.lowest(ranked, amount)
                            : sorted(ranked, amount);
            case Choice.Below(double limit) ->
                    ranked.stream().map(each -> notBelow(each, limit)).toList();
            case Choice.AtRandom(Amount amount) -> RandomSelection.of(ranked, amount);
        };
    }

    private static Tensor notBelow(Entries entries, double limit) {
        Tensor ranks = entries.scores().abs();
        Tensor mask = entries.mask();
        if (mask != null) {
            ranks = ranks.masked_fill(mask.eq(new Scalar(0)), new Scalar(0));
        }
        EntryScores.requireNumbers(ranks);
        Tensor kept = ranks.ge(new Scalar(limit));
        return mask == null ? kept.to(torch.ScalarType.Float) : mask.mul(kept);
    }

    /** As {@link Selection#lowest}, for ranks that are no floats of 32 bits or fewer. */
    private static List<Tensor> sorted(List<Entries> ranked, Amount amount) {
        Tensor mask = flat(ranked.stream().map(Choosing::maskOrOnes).toList());
        Tensor kept = mask.ne(new Scalar(0));
        Tensor ranks =
                flat(ranked.stream().map(Entries::scores).toList()).masked_select(kept).abs();
        EntryScores.requireNumbers(ranks);
        Tensor lowest = ranks.argsort(true, 0, false).narrow(0, 0, amount.of(ranks.numel()));
        Tensor left = torch.ones(ranks.numel()).index_fill_(0, lowest, new Scalar(0));
        Tensor together = torch.zeros(mask.numel()).masked_scatter_(kept, left);
        List<Tensor> masks = new ArrayList<>();
        long from = 0;
        for (Entries each : ranked) {
            long size = each.scores().numel();
            masks.add(together.narrow(0, from, size).view_as(each.scores()).clone());
            from += size;
        }
        return masks;
    }

    private static Tensor maskOrOnes(Entries entries) {
        return entries.mask() == null
                ? torch.ones(Tensors.shape(entries.scores()))
                : entries.mask();
    }

    private static Tensor flat(List<Tensor> tensors) {
        var flat = new TensorVector();
        tensors.forEach(tensor -> flat.push_back(tensor.reshape(-1)));
        return torch.cat(flat);
    }
}

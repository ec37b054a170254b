package io.espalier.onnx.slim;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.quant.half.StoredHalves;
import io.espalier.onnx.repair.Repair;
import io.espalier.onnx.repair.SpelledOut;
import io.espalier.slim.Axis;
import io.espalier.slim.Group;
import io.espalier.slim.Groups;
import io.espalier.slim.SlimmingTarget;
import io.espalier.slim.Unit;
import io.espalier.slim.UnitWidths;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Takes channels, heads and neurons out of an ONNX model, with all weights that compute and read
 * them, so that it has fewer parameters and less to do.
 *
 * <pre>{@code
 * var slimmer = OnnxSlimmer.of(OnnxModel.load(Path.of("model.onnx")));
 * System.out.println(slimmer.groups());
 * slimmer.remove(slimmer.leastImportant(0.5)).save(Path.of("slim.onnx"));
 * }</pre>
 *
 * <p>What goes together is found from the graph, operator by operator; what an operator that is not
 * understood touches stays, and so do the model's inputs and results.
 */
public final class OnnxSlimmer {
    /** What is removed shows what else nobody needs; chains longer than this are none. */
    private static final int MOST_ROUNDS = 10;

    private final OnnxModel original;
    private final OnnxModel model;
    private final Analysis analysis;
    private final Groups groups;
    private final LayerNames names;
    private final StoredHalves halves;

    private OnnxSlimmer(OnnxModel original, OnnxModel model) {
        this(original, model, LayerNames.ALL, new StoredHalves(model, Set.of()));
    }

    private OnnxSlimmer(
            OnnxModel original, OnnxModel model, LayerNames names, StoredHalves halves) {
        this.original = original;
        this.model = model;
        analysis = Analysis.of(model);
        groups = analysis.groups();
        this.names = names;
        this.halves = halves;
    }

    private OnnxSlimmer(OnnxSlimmer of, OnnxModel model, LayerNames names) {
        original = of.original;
        this.model = model;
        analysis = of.analysis;
        groups = of.groups;
        halves = of.halves;
        this.names = names;
    }

    /**
     * A slimmer of the model as {@link Repair} leaves it, with weights that are inputs as
     * constants; the one given stays as it is.
     */
    public static OnnxSlimmer of(OnnxModel model) {
        Needed.of(model, "the model");
        OnnxModel repaired = Repair.run(model.withWeightsTaken()).model();
        return new OnnxSlimmer(model, ChannelShuffles.asGather(OwnVectors.of(repaired)));
    }

    /**
     * Lets only channels be taken that these layers make, besides those named before.
     *
     * @param patterns names of nodes or of weights, in which {@code *} stands for anything
     * @throws EspalierException if nothing that can be removed has such a name
     */
    public OnnxSlimmer only(String... patterns) {
        return new OnnxSlimmer(
                this, model, names.only(model.graph(), analysis, groups, known(patterns)));
    }

    /**
     * Lets no channel be taken that these layers make or read, besides those named before.
     *
     * @param patterns names of nodes or of weights, in which {@code *} stands for anything
     * @throws EspalierException if the model has none of such a name
     */
    public OnnxSlimmer keep(String... patterns) {
        return new OnnxSlimmer(this, model, names.keep(model.graph(), known(patterns)));
    }

    private String[] known(String... patterns) {
        String[] texts = Needed.all(patterns, "the names of layers").toArray(String[]::new);
        return LayerNames.inRepaired(original.graph(), model.graph(), texts);
    }

    /** The same of what an earlier slimming has left of the model, beside which it is measured. */
    OnnxSlimmer goingOn(OnnxModel left) {
        OnnxModel repaired = Repair.run(left).model();
        OnnxModel prepared = ChannelShuffles.asGather(OwnVectors.of(repaired));
        return again(prepared, halves);
    }

    LayerNames names() {
        return names;
    }

    /** The model that came in. */
    OnnxModel original() {
        return original;
    }

    /** The repaired model, whose constants the groups name. */
    public OnnxModel model() {
        return model;
    }

    Analysis analysis() {
        return analysis;
    }

    /** What can go, and what can't for which reason. */
    public Groups groups() {
        return groups;
    }

    /**
     * The units of smallest magnitude of each group, or of those chosen, so that this share of its
     * units stays, one at least. Of groups that share channels, such as heads and the places within
     * heads, only one gives units.
     *
     * @throws EspalierException unless the share is above 0, and 1 or less
     */
    public List<Unit> leastImportant(double share) {
        requireShare(share);
        var magnitude = (Importance.Scored) Importance.magnitude();
        List<Unit> least = new ArrayList<>();
        for (Group group : independent()) {
            List<Unit> units = group.units();
            double[] scores = magnitude.scores().of(group, model);
            UnitWidths.requireScores(group, scores);
            int kept = (int) Math.max(1, Math.round(share * units.size()));
            least.addAll(UnitWidths.lowest(units, scores, units.size() - kept));
        }
        return leavingSome(least);
    }

    /**
     * Takes a share of the units of each group, or of those chosen, in the way that its settings
     * say.
     *
     * @param share of the units, which stays
     * @throws EspalierException unless it is above 0, and 1 or less
     */
    public Slimming ratio(double share) {
        return new Slimming(this, new SlimmingTarget(SlimmingTarget.Kind.RATIO, share));
    }

    /**
     * Takes units of each group, or of those chosen, so that this share of all multiplications
     * stays, and least is lost.
     *
     * @throws EspalierException unless the share is above 0, and 1 or less
     */
    public Slimming macs(double share) {
        return new Slimming(this, new SlimmingTarget(SlimmingTarget.Kind.MACS, share));
    }

    /**
     * The same for parameters.
     *
     * @throws EspalierException unless the share is above 0, and 1 or less
     */
    public Slimming parameters(double share) {
        return new Slimming(this, new SlimmingTarget(SlimmingTarget.Kind.PARAMETERS, share));
    }

    /**
     * The same for the bytes of the file.
     *
     * @throws EspalierException unless the share is above 0, and 1 or less
     */
    public Slimming bytes(double share) {
        return new Slimming(this, new SlimmingTarget(SlimmingTarget.Kind.BYTES, share));
    }

    /**
     * Takes units of each group, or of those chosen, so that the model becomes so many times as
     * fast as measured on this machine, within a few hundredths, and least is lost.
     *
     * @throws EspalierException unless it is 1 or more
     */
    public Slimming speedup(double times) {
        return new Slimming(this, new SlimmingTarget(SlimmingTarget.Kind.SPEEDUP, times));
    }

    /**
     * Takes as many units as makes the model fastest whose results are no further from the model's
     * on the calibration data that its importance needs.
     *
     * @param drop 1 less the cosine of the results, as a mean
     * @throws EspalierException unless it is above 0, and below 1
     */
    public Slimming maxDrop(double drop) {
        return new Slimming(this, new SlimmingTarget(SlimmingTarget.Kind.MAX_DROP, drop));
    }

    private static void requireShare(double share) {
        if (!(share > 0 && share <= 1)) {
            throw new EspalierException("The share that stays must be in (0, 1], not " + share);
        }
    }

    /** Refuses to slim what may lose nothing. */
    void requireSome() {
        if (independent().isEmpty()) {
            throw new EspalierException(
                    names.equals(LayerNames.ALL)
                            ? "The model has no channels that can go"
                                    + groups.pinned().entrySet().stream()
                                            .findFirst()
                                            .map(e ->
                                                    ": those of %s stay, since %s."
                                                            .formatted(e.getKey(), e.getValue()))
                                            .orElse(".")
                            : "No layer is left to take channels from; name others to take from, or"
                                    + " fewer to keep.");
        }
    }

    /** The groups chosen, of which none shares channels with another. */
    List<Group> independent() {
        return groups.independent(group -> names.allow(model.graph(), analysis, group));
    }

    /** The residual blocks that may go, as far as their layers may be taken from. */
    List<ResidualBlock> blocks() {
        return ResidualBlock.all(analysis).stream()
                .filter(block -> names.allow(model.graph(), block))
                .toList();
    }

    /** The same of a model whose convolutions all have biases. */
    OnnxSlimmer withConvolutionBiases() {
        return again(ConvolutionBiases.added(model), halves);
    }

    /** The same with floats in place of weights that the file keeps in 16 bits. */
    OnnxSlimmer withHalvesOpened() {
        StoredHalves opened = StoredHalves.open(model);
        return opened.names().isEmpty() ? this : again(opened.model(), opened);
    }

    private OnnxSlimmer again(OnnxModel prepared, StoredHalves opened) {
        return new OnnxSlimmer(original, prepared, names, opened);
    }

    /** The same of a model that computes the same by other numbers in some constants. */
    OnnxSlimmer with(Map<String, ConstantTensor> constants) {
        return constants.isEmpty()
                ? this
                : new OnnxSlimmer(
                        this,
                        model.rewritten(graph -> constants.forEach(graph::setConstant)),
                        names);
    }

    /** The widths inside heads that may be taken from. */
    List<HeadWidth> headWidths() {
        return HeadWidth.all(model.graph(), groups).stream()
                .filter(width -> names.allow(model.graph(), analysis, width.group()))
                .toList();
    }

    /**
     * The model without what its weights' zeros have emptied: channels that are zero everywhere, or
     * that all that reads them multiplies by zero. A channel that is the same number everywhere,
     * since only biases and shifts are left of what computes it, becomes part of the biases after
     * it; before a padded convolution, whose borders it doesn't reach, it stays, and so does one of
     * each group. Results are the same within rounding.
     */
    public static OnnxModel removePruned(OnnxModel model) {
        OnnxSlimmer slimmer = of(model);
        OnnxModel slim = slimmer.model();
        for (int round = 0; round < MOST_ROUNDS; round++) {
            OnnxSlimmer folded = slimmer.folded();
            List<Unit> gone = folded.leavingSome(folded.pruned().removable());
            if (gone.isEmpty()) {
                break;
            }
            slim = folded.remove(gone);
            slimmer = new OnnxSlimmer(slimmer.original, slim);
        }
        return SpelledOut.as(model, slim);
    }

    private PrunedUnits pruned() {
        return new PrunedUnits(model, analysis, groups);
    }

    private OnnxSlimmer folded() {
        PrunedUnits pruned = pruned();
        OnnxModel same = BiasFolding.of(model, pruned, pruned.foldable());
        return same == model ? this : new OnnxSlimmer(original, same);
    }

    /** As many of these units as leave something of each value. */
    List<Unit> leavingSome(List<Unit> units) {
        List<Unit> some = new ArrayList<>(units);
        for (; ; ) {
            Optional<Axis> empty = new Removal(analysis, groups.choose(some)).emptied();
            if (empty.isEmpty()) {
                return some;
            }
            some.removeAll(groups.units(empty.get(), 0));
        }
    }

    /**
     * The model without these units, whole or not at all.
     *
     * @throws EspalierException if they are of another model, or nothing would be left of a value
     */
    public OnnxModel remove(Collection<Unit> units) {
        List<Unit> some = new ArrayList<>(Needed.of(units, "the units"));
        return SpelledOut.as(original, remove(Needed.all(some, "the units"), model));
    }

    /** The same of a model that has other numbers in its constants. */
    OnnxModel remove(Collection<Unit> units, OnnxModel from) {
        return new Removal(analysis, groups.choose(units)).from(from);
    }

    /** The same without the blocks that are left out at these widths, as the file keeps weights. */
    OnnxModel remove(Collection<Unit> units, OnnxModel from, LeftOutBlocks blocks, int[] widths) {
        OnnxModel slim = remove(units, from);
        OnnxModel left =
                blocks.isAnyOut(widths) ? blocks.out(slim, widths, groups.choose(units)) : slim;
        return SpelledOut.as(original, halves.close(left));
    }
}

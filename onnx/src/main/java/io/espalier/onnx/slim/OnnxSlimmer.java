package io.espalier.onnx.slim;

import io.espalier.onnx.model.NamePattern;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.repair.Repair;
import io.espalier.slim.Axis;
import io.espalier.slim.Group;
import io.espalier.slim.Groups;
import io.espalier.slim.Place;
import io.espalier.slim.Unit;
import io.espalier.tensor.EspalierException;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;

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
    /** Units of fewer parts than this are columns rather than rows of what both share. */
    private static final int FEW = 4;

    /** What is removed shows what else nobody needs; chains longer than this are none. */
    private static final int MOST_ROUNDS = 10;

    private final OnnxModel model;
    private final Analysis analysis;
    private final Groups groups;
    private final List<NamePattern> only;
    private final List<NamePattern> kept;

    private OnnxSlimmer(OnnxModel model) {
        this.model = model;
        analysis = Analysis.of(model);
        groups = analysis.groups();
        only = List.of();
        kept = List.of();
    }

    private OnnxSlimmer(OnnxSlimmer of, List<NamePattern> only, List<NamePattern> kept) {
        model = of.model;
        analysis = of.analysis;
        groups = of.groups;
        this.only = only;
        this.kept = kept;
    }

    /** A slimmer of the model as {@link Repair} leaves it; the one given stays as it is. */
    public static OnnxSlimmer of(OnnxModel model) {
        OnnxModel repaired = Repair.run(model).model();
        return new OnnxSlimmer(ChannelShuffles.asGather(OwnVectors.of(repaired)));
    }

    /**
     * Lets only channels be taken that these layers make, besides those named before.
     *
     * @param patterns names of nodes or of weights, in which {@code *} stands for anything
     * @throws EspalierException if nothing that can be removed has such a name
     */
    public OnnxSlimmer only(String... patterns) {
        List<NamePattern> more = Stream.of(patterns).map(NamePattern::of).toList();
        for (NamePattern pattern : more) {
            if (groups.all().stream().noneMatch(group -> isMadeBy(group, pattern))) {
                throw new EspalierException(
                        "Nothing that can be removed is named '%s'; the groups tell what can."
                                .formatted(pattern.text()));
            }
        }
        return new OnnxSlimmer(this, joined(only, more), kept);
    }

    /**
     * Lets no channel be taken that these layers make or read, besides those named before.
     *
     * @param patterns names of nodes or of weights, in which {@code *} stands for anything
     * @throws EspalierException if the model has none of such a name
     */
    public OnnxSlimmer keep(String... patterns) {
        List<NamePattern> more = Stream.of(patterns).map(NamePattern::of).toList();
        for (NamePattern pattern : more) {
            OnnxGraph graph = model.graph();
            Stream<String> nodes = graph.nodes().stream().map(OnnxNode::name);
            if (Stream.concat(nodes, graph.constants().keySet().stream())
                    .noneMatch(pattern::matches)) {
                throw new EspalierException(
                        "No node or weight is named '%s'.".formatted(pattern.text()));
            }
        }
        return new OnnxSlimmer(this, only, joined(kept, more));
    }

    private static List<NamePattern> joined(List<NamePattern> some, List<NamePattern> more) {
        return Stream.concat(some.stream(), more.stream()).toList();
    }

    /** Whether a layer of such a name makes the channels of a group. */
    private boolean isMadeBy(Group group, NamePattern pattern) {
        Set<Place> read = analysis.places();
        return isOf(
                group.units().getFirst().slices().keySet().stream()
                        .filter(place -> !read.contains(place)),
                pattern);
    }

    /** Whether a group takes something of a layer of such a name along. */
    private boolean touches(Group group, NamePattern pattern) {
        return isOf(group.units().getFirst().slices().keySet().stream(), pattern);
    }

    private boolean isOf(Stream<Place> places, NamePattern pattern) {
        return places.map(Place::constant)
                .anyMatch(name ->
                        pattern.matches(name)
                                || model.graph().readers(name).stream()
                                        .anyMatch(node -> pattern.matches(node.name())));
    }

    private boolean isChosen(Group group) {
        return (only.isEmpty() || only.stream().anyMatch(pattern -> isMadeBy(group, pattern)))
                && kept.stream().noneMatch(pattern -> touches(group, pattern));
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
        var magnitude = new Magnitude(model.graph());
        List<Unit> least = new ArrayList<>();
        for (Group group : independent()) {
            List<Unit> units = group.units();
            double[] scores = units.stream().mapToDouble(magnitude::of).toArray();
            int kept = (int) Math.max(1, Math.round(share * units.size()));
            least.addAll(Slimming.lowest(units, scores, units.size() - kept));
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
        requireShare(share);
        return new Slimming(this, share, Importance.magnitude(), (stage, done, total) -> {});
    }

    private static void requireShare(double share) {
        if (!(share > 0 && share <= 1)) {
            throw new EspalierException("The share that stays must be in (0, 1], not " + share);
        }
    }

    /** The groups chosen, of which none shares channels with another, preferred ones first. */
    List<Group> independent() {
        List<Group> taken = new ArrayList<>();
        for (Group group : byPreference()) {
            if (taken.stream().noneMatch(other -> groups.overlap(group, other))) {
                taken.add(group);
            }
        }
        return taken;
    }

    /** The same of a model whose convolutions all have biases. */
    OnnxSlimmer withConvolutionBiases() {
        return new OnnxSlimmer(new OnnxSlimmer(ConvolutionBiases.added(model)), only, kept);
    }

    private List<Group> byPreference() {
        return groups.all().stream()
                .filter(this::isChosen)
                .sorted(
                        Comparator.comparingInt(OnnxSlimmer::rank)
                                .thenComparingInt(g -> -g.units().size()))
                .toList();
    }

    private static int rank(Group group) {
        return group.isOuter() && group.units().size() >= FEW ? 0 : 1;
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
            slimmer = new OnnxSlimmer(slim);
        }
        return slim;
    }

    private PrunedUnits pruned() {
        return new PrunedUnits(model, analysis, groups);
    }

    private OnnxSlimmer folded() {
        PrunedUnits pruned = pruned();
        OnnxModel same = BiasFolding.of(model, pruned, pruned.foldable());
        return same == model ? this : new OnnxSlimmer(same);
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
        return remove(units, model);
    }

    /** The same of a model that has other numbers in its constants. */
    OnnxModel remove(Collection<Unit> units, OnnxModel from) {
        return new Removal(analysis, groups.choose(units)).from(from);
    }
}

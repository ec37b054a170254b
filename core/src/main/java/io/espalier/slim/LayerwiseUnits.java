package io.espalier.slim;

import io.espalier.graph.Node;
import io.espalier.nn.Module;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;

/**
 * Chooses units of a Java model by what is lost in the layers that read them, in the order of the
 * program: each layer is given what the layers before it give that have lost theirs. A group is
 * decided on when all that reads it has been seen; until then all of it is given.
 */
final class LayerwiseUnits implements AutoCloseable {
    private final ModelAnalysis analysis;
    private final Map<Group, Integer> widths;
    private final ChannelImportance.OnData importance;
    private final GroupReaders<WeighedLayer> all;
    private final GroupReaders<WeighedLayer>.Pass onTheWay;
    private final List<Unit> gone = new ArrayList<>();

    /**
     * Prepares.
     *
     * @param widths how many units of each group stay
     * @param isThere whether a step is one of the model as it is now
     */
    LayerwiseUnits(
            ModelAnalysis analysis,
            Map<Group, Integer> widths,
            ChannelImportance.OnData importance,
            Predicate<Node> isThere) {
        this.analysis = analysis;
        this.widths = widths;
        this.importance = importance;
        all = WeighedLayer.readers(analysis, widths.keySet(), isThere);
        onTheWay = all.pass();
    }

    /** Whether some layer that reads a group can be weighed. */
    boolean knows(Group group) {
        return all.groups().contains(group);
    }

    /**
     * Decides on all groups that are known, and tells how many of how many layers are done; layers
     * then have the weights that are left, as wide as they were.
     */
    List<Unit> run(Module reference, Slimming.Listener listener) {
        var pass = new LayerPass(analysis.model(), reference, importance.calibration());
        List<WeighedLayer> layers = all.layers();
        int done = 0;
        while (done < layers.size()) {
            listener.at("weighing layers", done, layers.size());
            List<WeighedLayer> next = layers.subList(done, untilOneChanges(done));
            onTheWay.hold(next);
            pass.take(next);
            next.forEach(layer -> layer.weigh(importance.solves()));
            done += next.size();
            onTheWay.seen(this::decide, layer -> layer.finish(importance.solves()));
        }
        return gone;
    }

    /**
     * How many layers have been seen when one of them gets another weight, so that what those after
     * it are given changes.
     */
    private int untilOneChanges(int from) {
        List<WeighedLayer> layers = all.layers();
        for (int to = from + 1; to < layers.size(); to++) {
            List<WeighedLayer> seen = layers.subList(0, to);
            List<Group> undecided =
                    all.groups().stream()
                            .filter(group -> !seen.containsAll(all.of(group)))
                            .toList();
            boolean changes =
                    seen.stream()
                            .filter(layer -> onTheWay.holds(layer) || seen.indexOf(layer) >= from)
                            .anyMatch(layer -> undecided.stream().noneMatch(layer::reads));
            if (changes) {
                return to;
            }
        }
        return layers.size();
    }

    private void decide(Group group) {
        int left = widths.getOrDefault(group, group.units().size());
        gone.addAll(all.leastLost(group, left));
    }

    @Override
    public void close() {
        onTheWay.close();
    }
}

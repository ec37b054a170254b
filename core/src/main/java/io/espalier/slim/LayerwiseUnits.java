package io.espalier.slim;

import io.espalier.graph.Node;
import io.espalier.nn.Module;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;

/**
 * Chooses units of a Java model by what is lost in the layers that read them, in the order of the
 * program: each layer is given what the layers before it give that have lost theirs. A group is
 * decided on when all that reads it has been seen; until then all of it is given. What layers were
 * given that were seen meanwhile is not what they get in the end, so they are solved once more.
 */
final class LayerwiseUnits implements AutoCloseable {
    private final ModelAnalysis analysis;
    private final Map<Group, Integer> widths;
    private final ChannelImportance.OnData importance;
    private final GroupReaders<WeighedLayer> all;
    private final GroupReaders<WeighedLayer>.Pass onTheWay;
    private final Set<Place> sums;
    private final List<Unit> gone = new ArrayList<>();

    /** Layers from this one on were given something else than they get in the end. */
    private int settled;

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
        sums = sums(analysis);
        settled = all.layers().size();
        onTheWay = all.pass(widths);
    }

    /** Whether some layer that reads a group can be weighed. */
    boolean knows(Group group) {
        return all.groups().contains(group);
    }

    /**
     * Lets the sums in which units end do without them, so that layers after them are given that.
     */
    void leaveOut(List<Unit> units) {
        for (Unit unit : units) {
            unit.slices()
                    .forEach((place, indices) -> {
                        if (sums.contains(place)) {
                            clear(place, indices);
                        }
                    });
        }
    }

    /** The dimensions of weights in whose sums channels end. */
    private static Set<Place> sums(ModelAnalysis analysis) {
        Set<Place> read = new HashSet<>();
        for (ModelEnd end : analysis.ends()) {
            ModelEnd.Side other = end.other();
            Place place = other == null ? null : other.place();
            if (place != null) {
                read.add(place);
            }
        }
        return read;
    }

    private void clear(Place place, int[] indices) {
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            long[] all = Arrays.stream(indices).asLongStream().toArray();
            Tensor whole = analysis.tensors().held(place.constant()).tensor().detach();
            whole.index_fill_(place.dimension(), Tensors.of(all, all.length), new Scalar(0));
        }
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
            look(next, pass, reference);
            done += next.size();
            List<WeighedLayer> finished = new ArrayList<>();
            onTheWay.seen(
                    this::decide,
                    layer -> {
                        layer.finish(importance.solves());
                        finished.add(layer);
                    });
            WeighedLayer last = layers.get(done - 1);
            for (WeighedLayer layer : finished) {
                settled = layer == last ? settled : Math.min(settled, layers.indexOf(layer));
            }
        }
        if (importance.solves()) {
            solveAgain(layers.subList(settled, layers.size()), pass, reference, listener);
        }
        return gone;
    }

    private void look(List<WeighedLayer> next, LayerPass pass, Module reference) {
        pass.take(next);
        next.forEach(layer -> layer.weigh(reference.module(layer.path()), importance.solves()));
    }

    /** Solves layers for what they are given now, without the units that are gone. */
    private void solveAgain(
            List<WeighedLayer> layers,
            LayerPass pass,
            Module reference,
            Slimming.Listener listener) {
        for (int i = 0; i < layers.size(); i++) {
            listener.at("solving layers again", i, layers.size());
            WeighedLayer layer = layers.get(i);
            onTheWay.hold(List.of(layer));
            look(List.of(layer), pass, reference);
            all.take(layer, gone);
            onTheWay.seen(group -> {}, seen -> seen.finish(true));
        }
    }

    /**
     * How many layers have been seen when one of them gets another weight, so that what those after
     * it are given changes.
     */
    private int untilOneChanges(int from) {
        List<WeighedLayer> layers = all.layers();
        int to = from + 1;
        while (to < layers.size() && !onTheWay.finishesOne(layers.subList(from, to))) {
            to++;
        }
        return to;
    }

    private void decide(Group group) {
        int left = widths.getOrDefault(group, group.units().size());
        List<Unit> least = all.leastLost(group, left);
        gone.addAll(least);
        leaveOut(least);
        long readers =
                group.units().getFirst().slices().keySet().stream().filter(sums::contains).count();
        if (!least.isEmpty() && readers > all.of(group).size()) {
            // Layers that can't be weighed may stand before any of those that can.
            settled = 0;
        }
    }

    @Override
    public void close() {
        onTheWay.close();
    }
}

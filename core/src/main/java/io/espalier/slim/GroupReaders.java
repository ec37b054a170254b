package io.espalier.slim;

import io.espalier.tensor.Internal;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import java.util.stream.IntStream;

/**
 * The layers that can be weighed and in which channels of groups end, in the model's order.
 *
 * @param <L> such a layer
 */
@Internal
public final class GroupReaders<L extends GroupReaders.Layer> {
    private final Collection<Group> all;
    private final List<L> layers = new ArrayList<>();
    private final Map<Group, List<L>> byGroup = new LinkedHashMap<>();

    /** A layer that reads groups. */
    public interface Layer extends AutoCloseable {
        /** Whether a group's units end here. */
        boolean reads(Group group);

        /** The inputs of each unit of a group, integers [units, inputs of each]. */
        Tensor inputs(Group group);

        /** What it loses by them, once it has been seen. */
        InputCosts costs();

        @Override
        void close();
    }

    /** None yet, for these groups. */
    public GroupReaders(Collection<Group> groups) {
        all = groups;
    }

    /** Adds a layer behind the others, if it reads one of the groups. */
    public void add(L layer) {
        List<Group> own = all.stream().filter(layer::reads).toList();
        own.forEach(group -> byGroup.computeIfAbsent(group, k -> new ArrayList<>()).add(layer));
        if (!own.isEmpty()) {
            layers.add(layer);
        }
    }

    /** All of them. */
    public List<L> layers() {
        return layers;
    }

    /** The groups that some of them read. */
    public Set<Group> groups() {
        return byGroup.keySet();
    }

    /** Those that read a group. */
    public List<L> of(Group group) {
        return byGroup.getOrDefault(group, List.of());
    }

    /** The units of a group that go, one by one, until so many are left: what is lost least by. */
    public List<Unit> leastLost(Group group, int left) {
        try (var scope = new PointerScope()) {
            Map<InputCosts, Tensor> inputs = new LinkedHashMap<>();
            of(group).forEach(layer -> inputs.put(layer.costs(), layer.inputs(group)));
            return new Elimination(group, inputs, Elimination.Pace.CAREFUL).to(left);
        }
    }

    /** Takes units that go out of what a layer that has been seen is given. */
    public void take(L layer, Collection<Unit> gone) {
        Set<Unit> going = Set.copyOf(gone);
        try (var scope = new PointerScope()) {
            for (Group group : all) {
                long[] places =
                        IntStream.range(0, group.units().size())
                                .filter(unit -> going.contains(group.units().get(unit)))
                                .asLongStream()
                                .toArray();
                if (places.length > 0 && layer.reads(group)) {
                    Tensor rows = Tensors.of(places, places.length);
                    Tensor inputs = layer.inputs(group).index_select(0, rows);
                    layer.costs().remove(inputs.reshape(-1));
                }
            }
        }
    }

    /** Goes through the layers from the first on, to decide on all groups. */
    public Pass pass() {
        return new Pass(groups());
    }

    /**
     * Goes through the layers from the first on, to decide on groups of which something goes; what
     * reads others alone waits for nothing.
     *
     * @param widths how many units of each group stay
     */
    public Pass pass(Map<Group, Integer> widths) {
        return new Pass(
                groups().stream().filter(group -> isNarrowed(group, widths.get(group))).toList());
    }

    private static boolean isNarrowed(Group group, @Nullable Integer width) {
        return width != null && width < group.units().size();
    }

    /**
     * Layers one after another: a group is decided on when all that reads it has been seen, and a
     * layer is held until all that it reads are decided on.
     */
    public final class Pass implements AutoCloseable {
        private final List<Group> undecided;
        private final List<L> held = new ArrayList<>();

        private Pass(Collection<Group> groups) {
            undecided = new ArrayList<>(groups);
        }

        /** Holds layers that are about to be seen. */
        public void hold(Collection<L> next) {
            held.addAll(next);
        }

        /** Whether all that some layer reads will be decided on once others have been seen too. */
        boolean finishesOne(Collection<L> next) {
            List<L> seen = new ArrayList<>(held);
            seen.addAll(next);
            List<Group> open =
                    undecided.stream().filter(group -> !seen.containsAll(of(group))).toList();
            return seen.stream().anyMatch(layer -> open.stream().noneMatch(layer::reads));
        }

        /** Whether a group that isn't decided on is read by a layer. */
        public boolean needs(L layer) {
            return undecided.stream().anyMatch(layer::reads);
        }

        /**
         * Those that are held have been seen.
         *
         * @param decide on a group, which then no longer needs its layers
         * @param finish with a layer, which is closed afterwards
         */
        public void seen(Consumer<Group> decide, Consumer<L> finish) {
            for (Group group : List.copyOf(undecided)) {
                if (held.containsAll(of(group))) {
                    undecided.remove(group);
                    decide.accept(group);
                }
            }
            for (L layer : List.copyOf(held)) {
                if (!needs(layer)) {
                    finish.accept(layer);
                    layer.close();
                    held.remove(layer);
                }
            }
        }

        @Override
        public void close() {
            held.forEach(Layer::close);
            held.clear();
        }
    }
}

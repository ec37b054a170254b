package io.espalier.slim;

import io.espalier.graph.Node.ModuleCall;
import io.espalier.graph.Value;
import io.espalier.slim.ModelEnd.Side;
import io.espalier.slim.ModelTensors.Held;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.LongStream;

/**
 * Units of which nothing is left in any sum, since zeros have taken their place: where a channel
 * ends it is zero, or meets only zeros, apart from weights that go with it.
 */
final class PrunedChannels {
    private final ModelAnalysis analysis;
    private final Groups groups;
    private final Map<Value, KnownNumbers> known;
    private final Map<Unit, List<Meeting>> meetings = new LinkedHashMap<>();
    private final Map<String, Tensor> values = new HashMap<>();

    PrunedChannels(ModelAnalysis analysis, Groups groups) {
        this.analysis = analysis;
        this.groups = groups;
        known = SteadyChannels.of(analysis);
        analysis.ends().forEach(this::meet);
    }

    /** A channel of a unit where it ends. */
    private record Meeting(ModelEnd end, int index) {}

    private void meet(ModelEnd end) {
        Side side = end.one();
        ChannelValue value = side.operand().known();
        Axis axis = value.axes().get(side.dimension());
        for (int i = 0; i < value.extents()[side.dimension()] && !axis.isPlain(); i++) {
            for (Unit unit : groups.units(axis, i)) {
                meetings.computeIfAbsent(unit, k -> new ArrayList<>()).add(new Meeting(end, i));
            }
        }
    }

    /** Those that can go, so that one at least of each group is left. */
    List<Unit> removable() {
        return some(false);
    }

    private List<Unit> some(boolean shifting) {
        List<Unit> some = new ArrayList<>();
        for (Group group : groups.all()) {
            List<Unit> own =
                    group.units().stream()
                            .filter(unit -> group.isExact() && isWithout(unit, shifting))
                            .toList();
            some.addAll(own.size() == group.units().size() ? own.subList(1, own.size()) : own);
        }
        return some;
    }

    private boolean isWithout(Unit unit, boolean shifting) {
        List<Meeting> all = meetings.getOrDefault(unit, List.of());
        return !all.isEmpty()
                && all.stream()
                        .allMatch(meeting ->
                                isNothing(meeting, unit) || (shifting && layer(meeting) != null));
    }

    /** Whether a channel adds nothing where it ends, apart from what goes with it. */
    private boolean isNothing(Meeting meeting, Unit unit) {
        Side other = meeting.end().other();
        return isZero(meeting, meeting.end().one(), unit)
                || (other != null && isZero(meeting, other, unit));
    }

    private boolean isZero(Meeting meeting, Side side, Unit unit) {
        String constant = side.operand().constant();
        if (constant == null) {
            KnownNumbers channels = known.get(side.operand().value());
            return channels != null
                    && channels.dimension() == side.dimension()
                    && channels.isZero(meeting.index());
        }
        long groupsOf = side.equals(meeting.end().other()) ? meeting.end().groups() : 1;
        return isZero(constant, side, meeting.index(), groupsOf, unit);
    }

    private boolean isZero(String name, Side side, int index, long parts, Unit unit) {
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            Tensor value = values.computeIfAbsent(name, this::value);
            int along = side.dimension();
            long each = value.size(along);
            long rows = value.size(0) / parts;
            long first = parts == 1 ? 0 : index / each * rows;
            Tensor part = value.narrow(along, index % each, 1);
            part = along == 0 ? part : part.narrow(0, first, rows);
            if (part.count_nonzero().item_long() == 0) {
                return true;
            }
            Cut alone = groups.alone(unit);
            List<Axis> axes = side.operand().known().axes();
            for (int d = 0; d < axes.size(); d++) {
                if (d != along && alone.cuts(axes.get(d))) {
                    part = left(part, alone, axes.get(d), d, d == 0 ? first : 0);
                }
            }
            return part.count_nonzero().item_long() == 0;
        }
    }

    /** A part of a dimension that begins somewhere without what goes. */
    private static Tensor left(Tensor part, Cut cut, Axis axis, int dimension, long first) {
        long[] kept =
                LongStream.range(0, part.size(dimension))
                        .filter(i -> cut.isKept(axis, first + i))
                        .toArray();
        return torch.index_select(part, dimension, Tensors.of(kept, kept.length));
    }

    private Tensor value(String name) {
        Held held = analysis.tensors().held(name);
        return Tensors.keep(held.owner().valueOrBuffer(held.name()).detach());
    }

    /** The layer whose bias can add what a channel adds everywhere the same; null if none can. */
    private @Nullable SteadyLayer layer(Meeting meeting) {
        Side one = meeting.end().one();
        KnownNumbers channels = known.get(one.operand().value());
        if (!(meeting.end().node() instanceof ModuleCall call)
                || channels == null
                || channels.dimension() != one.dimension()
                || !channels.isKnown(meeting.index())) {
            return null;
        }
        SteadyLayer layer = SteadyLayer.of(analysis.model().module(call.path()));
        return layer != null && layer.canFold() ? layer : null;
    }

    /** Lets biases add what channels add that could go then. */
    void fold() {
        Set<Meeting> done = new HashSet<>();
        for (Unit unit : some(true)) {
            for (Meeting meeting : meetings.getOrDefault(unit, List.of())) {
                SteadyLayer layer = isNothing(meeting, unit) ? null : layer(meeting);
                KnownNumbers channels = known.get(meeting.end().one().operand().value());
                if (layer != null && channels != null && done.add(meeting)) {
                    layer.fold(meeting.index(), channels.numbers()[meeting.index()]);
                }
            }
        }
    }

    /** Whether anything would be folded. */
    boolean isFoldable() {
        return some(true).size() > some(false).size();
    }
}

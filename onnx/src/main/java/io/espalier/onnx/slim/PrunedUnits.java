package io.espalier.onnx.slim;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.slim.End.Side;
import io.espalier.slim.Axis;
import io.espalier.slim.ChannelValue;
import io.espalier.slim.Cut;
import io.espalier.slim.Group;
import io.espalier.slim.Groups;
import io.espalier.slim.KnownNumbers;
import io.espalier.slim.Place;
import io.espalier.slim.Unit;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Units that add nothing to any sum that they end in, because they are zero or are multiplied by
 * zeros, and those that add the same everywhere, which a bias can add instead.
 */
final class PrunedUnits {
    private final OnnxGraph graph;
    private final Analysis analysis;
    private final Groups groups;
    private final Map<String, KnownNumbers> known;
    private final Map<Unit, List<Meeting>> meetings = new LinkedHashMap<>();
    private final Map<Place, WeightSlices> slices = new HashMap<>();
    private final Map<OnnxNode, @Nullable ConstantLayer> layers = new HashMap<>();

    PrunedUnits(OnnxModel model, Analysis analysis, Groups groups) {
        this.graph = model.graph();
        this.analysis = analysis;
        this.groups = groups;
        known = ConstantChannels.of(model, analysis);
        analysis.ends().forEach(this::meet);
    }

    /** A channel of a unit where it ends. */
    record Meeting(End end, int index) {}

    /** What channels of a unit add to the sums that they end in. */
    private enum Effect {
        NONE,
        SHIFT,
        OTHER
    }

    private void meet(End end) {
        Side side = end.one();
        ChannelValue value = analysis.value(end.node().input(side.operand()));
        if (value == null) {
            return;
        }
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

    /** Those that can go after what they add has become part of biases. */
    List<Unit> foldable() {
        return some(true);
    }

    private List<Unit> some(boolean shifting) {
        List<Unit> some = new ArrayList<>();
        for (Group group : groups.all()) {
            List<Unit> own = new ArrayList<>();
            for (Unit unit : group.units()) {
                if (group.isExact() && isWithout(unit, shifting)) {
                    own.add(unit);
                }
            }
            some.addAll(own.size() == group.units().size() ? own.subList(1, own.size()) : own);
        }
        return some;
    }

    private boolean isWithout(Unit unit, boolean shifting) {
        Cut alone = null;
        for (Meeting meeting : meetings.getOrDefault(unit, List.of())) {
            Effect effect = effect(meeting, null);
            if (effect == Effect.OTHER && meetsItself(unit, meeting.end())) {
                alone = alone == null ? groups.alone(unit) : alone;
                effect = effect(meeting, alone);
            }
            if (effect == Effect.OTHER || (effect == Effect.SHIFT && !shifting)) {
                return false;
            }
        }
        return true;
    }

    /** Whether some of what the unit meets goes with it, as in a layer between equal channels. */
    private boolean meetsItself(Unit unit, End end) {
        return unit.slices().keySet().stream()
                .anyMatch(place -> isOf(place, end, end.one()) || isOf(place, end, end.other()));
    }

    private static boolean isOf(Place place, End end, @Nullable Side side) {
        return side != null
                && place.constant().equals(end.node().input(side.operand()))
                && place.dimension() != side.dimension();
    }

    /** What a channel adds, apart from what goes with it if that is said. */
    private Effect effect(Meeting meeting, @Nullable Cut alone) {
        End end = meeting.end();
        Side other = end.other();
        if (isZero(meeting, end.one(), alone) || (other != null && isZero(meeting, other, alone))) {
            return Effect.NONE;
        }
        return shift(meeting) == null ? Effect.OTHER : Effect.SHIFT;
    }

    private boolean isZero(Meeting meeting, Side side, @Nullable Cut alone) {
        End end = meeting.end();
        String operand = end.node().input(side.operand());
        ConstantTensor constant = graph.constant(operand);
        if (constant == null) {
            KnownNumbers channels = known.get(operand);
            return channels != null
                    && channels.dimension() == side.dimension()
                    && channels.isZero(meeting.index());
        }
        ChannelValue value = analysis.value(operand);
        return value != null
                && constant.type().isFloating()
                && slices(operand, constant, side, end).isZero(meeting.index(), value, alone);
    }

    private WeightSlices slices(String name, ConstantTensor constant, Side side, End end) {
        long groups = side.equals(end.other()) ? end.groups() : 1;
        return slices.computeIfAbsent(
                new Place(name, side.dimension()),
                place -> new WeightSlices(constant, side.dimension(), groups));
    }

    /**
     * What a channel that is the same everywhere adds to each output of the layer that it ends in;
     * null if it isn't that, or no bias could add it instead.
     */
    double @Nullable [] shift(Meeting meeting) {
        End end = meeting.end();
        Side other = end.other();
        if (end.one().operand() != 0 || other == null || other.operand() != 1) {
            return null;
        }
        ChannelValue value = analysis.value(end.node().input(0));
        KnownNumbers channels = known.get(end.node().input(0));
        ConstantLayer layer =
                value == null || channels == null
                        ? null
                        : layers.computeIfAbsent(
                                end.node(), node -> ConstantLayer.of(graph, node, value.rank()));
        if (layer == null
                || channels == null
                || channels.dimension() != end.one().dimension()
                || layer.inputDimension() != end.one().dimension()
                || !layer.hasNoBorder()
                || !channels.isKnown(meeting.index())) {
            return null;
        }
        return layer.shift(channels, meeting.index());
    }

    /** The meetings of a unit. */
    List<Meeting> meetings(Unit unit) {
        return meetings.getOrDefault(unit, List.of());
    }

    /** Whether a channel adds the same everywhere where it ends, and not nothing. */
    boolean isShift(Meeting meeting) {
        return effect(meeting, null) == Effect.SHIFT;
    }
}

package io.espalier.onnx.shape;

import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.proto.AttributeProto;
import io.espalier.onnx.proto.GraphProto;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;

/** Branches and loops: what their graphs give, where that is the same whichever way is gone. */
final class ControlFlowRules {
    private static final Contents TRUE = Contents.scalar(Fraction.ONE);

    private ControlFlowRules() {}

    static void addTo(Rules rules) {
        rules.standard(ControlFlowRules::branch, "If")
                .standard(ControlFlowRules::loop, "Loop")
                .standard(ControlFlowRules::scan, "Scan");
    }

    private static GraphProto graph(Call call, String attribute) {
        AttributeProto graph = call.node.attribute(attribute);
        if (graph == null || !graph.hasG()) {
            throw new Undecided();
        }
        return graph.getG();
    }

    private static void branch(Call call) {
        Contents condition = call.scope.contents(call.node.input(0));
        GraphProto yes = graph(call, "then_branch");
        GraphProto no = graph(call, "else_branch");
        if (condition != null && condition.single().isKnown()) {
            boolean taken = !condition.single().numerator().is(0);
            give(call, new InnerGraph(taken ? yes : no, call.scope).run(List.of()));
            return;
        }
        InnerGraph first = new InnerGraph(yes, call.scope).run(List.of());
        InnerGraph second = new InnerGraph(no, call.scope).run(List.of());
        for (int i = 0; i < call.results(); i++) {
            call.give(i, common(call, first.result(i), second.result(i)));
            Contents known = first.contents(i);
            if (known != null && known.equals(second.contents(i))) {
                call.give(i, known);
            }
        }
    }

    private static void give(Call call, InnerGraph graph) {
        for (int i = 0; i < call.results(); i++) {
            call.give(i, graph.result(i));
            Contents known = graph.contents(i);
            if (known != null) {
                call.give(i, known);
            }
        }
    }

    /** What is true of both. */
    private static ValueType common(Call call, ValueType a, ValueType b) {
        ElementType elements = a.elements() == b.elements() ? a.elements() : null;
        List<Extent> first = a.shape();
        List<Extent> second = b.shape();
        if (first == null || second == null || first.size() != second.size()) {
            return new ValueType(elements, null);
        }
        var shape = new ArrayList<Extent>();
        for (int i = 0; i < first.size(); i++) {
            shape.add(first.get(i).equals(second.get(i)) ? first.get(i) : call.unknown());
        }
        return new ValueType(elements, shape);
    }

    /** The types that states keep in all rounds, and the graph as it is run with them. */
    private record Rounds(List<ValueType> states, InnerGraph graph) {}

    /**
     * Runs a body with states that are less and less known, until a round gives what it was given.
     */
    private static Rounds rounds(
            Call call, GraphProto body, List<ValueType> first, int before, List<ValueType> after) {
        List<ValueType> states = new ArrayList<>(first);
        for (int round = 0; ; round++) {
            var inputs = new ArrayList<ValueType>();
            if (before > 0) {
                inputs.add(new ValueType(ElementType.INT64, List.of()));
                inputs.add(new ValueType(ElementType.BOOL, List.of()));
            }
            inputs.addAll(states);
            inputs.addAll(after);
            var graph = new InnerGraph(body, call.scope);
            if (before > 0) {
                graph.give(1, TRUE); // or the round would not be run
            }
            graph.run(inputs);
            boolean same = true;
            for (int i = 0; i < states.size(); i++) {
                ValueType state = states.get(i);
                ValueType next = graph.result(i + (before > 0 ? 1 : 0));
                ValueType both = round == 0 ? common(call, state, next) : ranks(call, state, next);
                if (!both.equals(state)) {
                    same = false;
                    states.set(i, round < 2 ? both : ValueType.UNKNOWN);
                }
            }
            if (same || round > 2) {
                return new Rounds(states, graph);
            }
        }
    }

    /** A state that stays as it is, if all that is claimed of it holds after a round as well. */
    private static ValueType ranks(Call call, ValueType state, ValueType next) {
        ElementType elements = state.elements() == next.elements() ? state.elements() : null;
        List<Extent> claimed = state.shape();
        List<Extent> found = next.shape();
        if (claimed == null || found == null || claimed.size() != found.size()) {
            return new ValueType(elements, null);
        }
        var shape = new ArrayList<Extent>();
        for (int i = 0; i < claimed.size(); i++) {
            boolean holds = isOpen(claimed.get(i)) || claimed.get(i).equals(found.get(i));
            shape.add(holds ? claimed.get(i) : call.unknown());
        }
        return new ValueType(elements, shape);
    }

    private static boolean isOpen(Extent extent) {
        return extent.names().stream().anyMatch(name -> name.startsWith("?"));
    }

    /** A type from inside a body, whose unknown extents mean nothing outside of it. */
    private static ValueType outside(Call call, ValueType type) {
        List<Extent> shape = type.shape();
        return shape == null
                ? type
                : new ValueType(
                        type.elements(),
                        shape.stream().map(e -> isOpen(e) ? call.unknown() : e).toList());
    }

    private static void loop(Call call) {
        GraphProto body = graph(call, "body");
        List<ValueType> states = new ArrayList<>();
        for (int place = 2; place < call.operands(); place++) {
            states.add(call.operand(place));
        }
        Rounds rounds = rounds(call, body, states, 2, List.of());
        for (int i = 0; i < states.size(); i++) {
            call.give(i, outside(call, rounds.states.get(i)));
        }
        Extent count = neverStops(call, rounds.graph) ? trips(call) : null;
        for (int i = states.size(); i < call.results(); i++) {
            ValueType each = outside(call, rounds.graph.result(i + 1));
            stack(call, i, each, count == null ? call.unknown() : count, 0);
        }
    }

    /** Whether a loop's condition is true at first and after each round, so that it runs out. */
    private static boolean neverStops(Call call, InnerGraph body) {
        return isTrue(call.has(1) ? call.scope.contents(call.node.input(1)) : TRUE)
                && isTrue(body.contents(0));
    }

    private static boolean isTrue(@Nullable Contents condition) {
        return condition != null && condition.single().numerator().is(1);
    }

    private static @Nullable Extent trips(Call call) {
        Contents count = call.has(0) ? call.scope.contents(call.node.input(0)) : null;
        return count == null || count.single().whole().least() < 0 ? null : count.single().whole();
    }

    private static void stack(
            Call call, int place, ValueType each, @Nullable Extent count, long axis) {
        call.give(place, each.elements());
        List<Extent> one = each.shape();
        if (one != null && count != null) {
            var shape = new ArrayList<>(one);
            shape.add(Call.axis(axis, one.size() + 1), count);
            call.give(place, shape);
        }
    }

    private static void scan(Call call) {
        if (call.opset() < 9) {
            throw new Undecided();
        }
        GraphProto body = graph(call, "body");
        int scanned = Math.toIntExact(call.node.integer("num_scan_inputs", 0));
        int count = call.operands() - scanned;
        List<Long> inputAxes = call.node.integers("scan_input_axes");
        List<Long> outputAxes = call.node.integers("scan_output_axes");
        if (scanned < 1 || count < 0) {
            throw new Undecided();
        }
        List<ValueType> states = new ArrayList<>();
        for (int place = 0; place < count; place++) {
            states.add(call.operand(place));
        }
        List<ValueType> pieces = new ArrayList<>();
        Extent length = null;
        for (int i = 0; i < scanned; i++) {
            var shape = new ArrayList<>(call.shape(count + i));
            long axis = inputAxes.isEmpty() ? 0 : inputAxes.get(Call.axis(i, inputAxes.size()));
            length = shape.remove(Call.axis(axis, shape.size()));
            pieces.add(new ValueType(call.type(count + i), shape));
        }
        Rounds rounds = rounds(call, body, states, 0, pieces);
        for (int i = 0; i < call.results(); i++) {
            if (i < count) {
                call.give(i, outside(call, rounds.states.get(i)));
            } else {
                int at = i - count;
                long axis =
                        outputAxes.isEmpty() ? 0 : outputAxes.get(Call.axis(at, outputAxes.size()));
                stack(call, i, outside(call, rounds.graph.result(i)), length, axis);
            }
        }
    }
}

package io.espalier.slim;

import io.espalier.graph.Node.ModuleCall;
import io.espalier.nn.Recurrent;
import io.espalier.nn.RecurrentShape;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/**
 * A recurrent network as one step: a hidden unit is a row of each gate's weights, in all layers and
 * directions alike, and a column of those that read the step before or the layer below.
 */
final class ModelRecurrentRule {
    private final Recurrent network;
    private final int inputs;
    private final List<String> names = new ArrayList<>();
    private final ModelCall call;

    private ModelRecurrentRule(ModelAnalysis analysis, ModuleCall node, Recurrent network) {
        this.network = network;
        inputs = node.inputs().size();
        List<@Nullable ModelOperand> operands = new ArrayList<>();
        node.inputs().forEach(input -> operands.add(analysis.operand(input)));
        for (String suffix : network.shape().suffixes()) {
            for (String name : List.of("weight_ih", "weight_hh", "bias_ih", "bias_hh")) {
                operands.add(analysis.own(node.path(), name + suffix));
                names.add(name + suffix);
            }
        }
        call = new ModelCall(analysis, node, operands);
    }

    /** The rule of a network. */
    static void apply(ModelAnalysis analysis, ModuleCall node, Recurrent network) {
        new ModelRecurrentRule(analysis, node, network).apply();
    }

    private int place(String name) {
        return inputs + names.indexOf(name);
    }

    private void apply() {
        RecurrentShape shape = network.shape();
        int last = call.rank(0) - 1;
        Axis sequence = call.axis(0, last);
        Axis hidden = call.axis(place("weight_hh_l0"), 1);
        for (String suffix : shape.suffixes()) {
            int input = place("weight_ih" + suffix);
            Axis fed = call.axis(input, 1);
            if (shape.suffixes(0).contains(suffix)) {
                call.unite(sequence, fed);
                call.ends(0, last, input, 1, 1);
            } else {
                call.unite(hidden, fed);
                call.ends(input, 1, -1, 0, 1);
            }
            int state = place("weight_hh" + suffix);
            call.unite(hidden, call.axis(state, 1));
            call.ends(state, 1, -1, 0, 1);
            // Gate after gate, so that the hidden units come again and again.
            call.unite(hidden, call.axis(input, 0));
            call.unite(hidden, call.axis(state, 0));
            for (String bias : List.of("bias_ih", "bias_hh")) {
                if (call.has(place(bias + suffix))) {
                    call.unite(hidden, call.axis(place(bias + suffix), 0));
                }
            }
        }
        for (int i = 1; i < inputs; i++) {
            call.unite(hidden, call.axis(i, call.rank(i) - 1));
        }
        give(shape.directions(), hidden);
        long fed = network.inputSize();
        long units = network.hiddenSize();
        call.resizes(cut -> new long[] {cut.extent(sequence, fed), cut.extent(hidden, units)});
        call.pinRest();
    }

    private void give(int directions, Axis hidden) {
        List<Axis> result = call.axes(0);
        long[] extents = new long[directions];
        Arrays.fill(extents, network.hiddenSize());
        result.set(
                result.size() - 1,
                call.flow().concatenate(Collections.nCopies(directions, hidden), extents));
        call.give(0, result);
        for (int i = 1; i < call.results(); i++) {
            List<Axis> state = new ArrayList<>(ChannelCall.plain(call.resultExtents(i).length));
            state.set(state.size() - 1, hidden);
            call.give(i, state);
        }
    }
}

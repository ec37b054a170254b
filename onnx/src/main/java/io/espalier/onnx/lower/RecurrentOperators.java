package io.espalier.onnx.lower;

import io.espalier.graph.GraphOperator;
import io.espalier.graph.Value;
import io.espalier.nn.GRU;
import io.espalier.nn.LSTM;
import io.espalier.nn.Module;
import io.espalier.nn.Recurrent;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.UnaryOperator;

/** LSTM and GRU as layers: gates in PyTorch's order, one direction read backwards if asked for. */
final class RecurrentOperators {
    /** ONNX has i, o, f, c; PyTorch i, f, c, o. */
    private static final int[] LSTM_GATES = {0, 2, 3, 1};

    /** ONNX has z, r, h; PyTorch r, z, h. */
    private static final int[] GRU_GATES = {1, 0, 2};

    private static final String REVERSE = "reverse";

    private RecurrentOperators() {}

    static void addTo(Map<String, OperatorLowering> table) {
        table.put("LSTM", RecurrentOperators::longShortTerm);
        table.put("GRU", RecurrentOperators::gated);
    }

    private static void longShortTerm(Call call) {
        if (call.has(7)) {
            throw call.refused("it has peepholes");
        }
        if (call.node.integer("input_forget", 0) != 0) {
            throw call.refused("its input and forget gates are one");
        }
        requireActivations(call, List.of("Sigmoid", "Tanh", "Tanh"));
        run(call, LSTM_GATES, 2, LSTM::of);
    }

    private static void gated(Call call) {
        if (call.node.integer("linear_before_reset", 0) == 0) {
            throw call.refused(
                    "it resets the state before it is multiplied (linear_before_reset = 0)");
        }
        requireActivations(call, List.of("Sigmoid", "Tanh"));
        run(call, GRU_GATES, 1, GRU::of);
    }

    private static void requireActivations(Call call, List<String> usual) {
        var attribute = call.node.attribute("activations");
        if (attribute == null) {
            return;
        }
        for (int i = 0; i < attribute.getStringsCount(); i++) {
            String name = attribute.getStrings(i).toStringUtf8();
            if (!name.equalsIgnoreCase(usual.get(i % usual.size()))) {
                throw call.refused("its activations are others than " + usual);
            }
        }
    }

    /** How a network is made of tensors by PyTorch's names. */
    private interface Maker {
        Module of(Map<String, Tensor> weights, UnaryOperator<Recurrent.Options> with);
    }

    private static void run(Call call, int[] gates, int states, Maker maker) {
        ConstantTensor input = call.weight(1);
        ConstantTensor state = call.weight(2);
        ConstantTensor bias = call.weight(3);
        if (input == null || state == null || (call.has(3) && bias == null)) {
            throw call.refused("its weights are computed when it runs");
        }
        if (call.has(4)) {
            throw call.refused("its sequences have lengths of their own");
        }
        if (call.node.has("clip")) {
            throw call.refused("it clips");
        }
        String direction = call.node.text("direction", "forward").toLowerCase(Locale.ROOT);
        boolean both = direction.equals("bidirectional");
        boolean batchFirst = call.node.integer("layout", 0) != 0;
        int time = batchFirst ? 1 : 0;
        Value x = call.in(0);
        if (direction.equals(REVERSE)) {
            x = flipped(call, x, time);
        }
        List<Value> operands = new ArrayList<>(List.of(x));
        operands.addAll(initial(call, states, batchFirst));
        List<Value> results =
                call.callAll(
                        1,
                        Arrays.asList(
                                call.node.op(),
                                call.node.inputs().subList(1, Math.min(4, call.inputs())),
                                batchFirst,
                                both),
                        () ->
                                maker.of(
                                        weights(input, state, bias, gates),
                                        with -> with.batchFirst(batchFirst)),
                        1 + states,
                        operands.toArray(Value[]::new));
        Value outputs = results.getFirst();
        if (direction.equals(REVERSE)) {
            outputs = flipped(call, outputs, time);
        }
        if (call.wants(0)) {
            call.give(0, byDirection(call, outputs, both ? 2 : 1, batchFirst));
        }
        for (int i = 1; i <= states; i++) {
            if (call.wants(i)) {
                call.give(i, batchFirst ? swapped(call, results.get(i)) : results.get(i));
            }
        }
    }

    private static Value flipped(Call call, Value x, int time) {
        return call.apply(GraphOperator.FLIP, Map.of("dims", List.of(time)), x);
    }

    private static Value swapped(Call call, Value x) {
        return call.apply(GraphOperator.TRANSPOSE, Map.of("dim0", 0, "dim1", 1), x);
    }

    /** The first states, [directions, N, hidden]; if some are given, zeros stand for the others. */
    private static List<Value> initial(Call call, int states, boolean batchFirst) {
        List<Value> initial = new ArrayList<>();
        boolean given = call.has(5) || (states == 2 && call.has(6));
        for (int i = 0; given && i < states; i++) {
            if (!call.has(5 + i)) {
                Value other = call.in(5 + (1 - i));
                Value zeros = call.apply(GraphOperator.MUL_SCALAR, Map.of("other", 0), other);
                initial.add(batchFirst ? swapped(call, zeros) : zeros);
            } else {
                initial.add(batchFirst ? swapped(call, call.in(5 + i)) : call.in(5 + i));
            }
        }
        return initial;
    }

    /** The directions as a dimension: [L, directions, N, hidden], or [N, L, directions, hidden]. */
    private static Value byDirection(Call call, Value outputs, int directions, boolean batchFirst) {
        if (directions == 1) {
            return call.unsqueeze(outputs, batchFirst ? 2 : 1);
        }
        Value split =
                call.apply(
                        GraphOperator.UNFLATTEN,
                        Map.of("dim", 2, "sizes", List.of(directions, -1)),
                        outputs);
        return batchFirst
                ? split
                : call.apply(GraphOperator.TRANSPOSE, Map.of("dim0", 1, "dim1", 2), split);
    }

    private static Map<String, Tensor> weights(
            ConstantTensor input,
            ConstantTensor state,
            @Nullable ConstantTensor bias,
            int[] gates) {
        Map<String, Tensor> weights = new LinkedHashMap<>();
        Tensor ofInput = input.toTensor();
        Tensor ofState = state.toTensor();
        long rows = state.shape().get(1);
        for (int direction = 0; direction < input.shape().getFirst(); direction++) {
            String suffix = direction == 0 ? "_l0" : "_l0_reverse";
            weights.put("weight_ih" + suffix, ordered(ofInput.select(0, direction), gates));
            weights.put("weight_hh" + suffix, ordered(ofState.select(0, direction), gates));
            if (bias != null) {
                Tensor both = bias.toTensor().select(0, direction);
                weights.put("bias_ih" + suffix, ordered(both.narrow(0, 0, rows), gates));
                weights.put("bias_hh" + suffix, ordered(both.narrow(0, rows, rows), gates));
            }
        }
        return weights;
    }

    /** The gates' rows in another order, as a tensor of its own. */
    private static Tensor ordered(Tensor rows, int[] gates) {
        long size = rows.size(0) / gates.length;
        long[] order = new long[Math.toIntExact(rows.size(0))];
        for (int gate = 0; gate < gates.length; gate++) {
            for (int i = 0; i < size; i++) {
                order[(int) (gate * size + i)] = gates[gate] * size + i;
            }
        }
        return rows.index_select(0, Tensors.of(order, order.length));
    }
}

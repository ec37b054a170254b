package io.espalier.onnx.lower;

import io.espalier.graph.GraphOperator;
import io.espalier.graph.Value;
import io.espalier.onnx.model.OnnxNode;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** What the runtime computes of integers element by element, or of elements beside each other. */
final class IntegerElements {
    private IntegerElements() {}

    static void addTo(Map<String, OperatorLowering> table) {
        put(table, "QLinearAdd", IntegerElements::sum);
        put(table, "QLinearMul", IntegerElements::product);
        put(table, "QLinearWhere", IntegerElements::where);
        put(table, "QLinearConcat", IntegerElements::joined);
        put(table, "QLinearSigmoid", IntegerElements::sigmoid);
        put(table, "QLinearLeakyRelu", IntegerElements::leaky);
        put(table, "QLinearSoftmax", IntegerElements::softmax);
        put(table, "QLinearGlobalAveragePool", IntegerElements::mean);
        put(table, "QLinearAveragePool", IntegerElements::average);
        put(table, "NhwcMaxPool", IntegerElements::maximum);
    }

    private static void put(
            Map<String, OperatorLowering> table, String op, OperatorLowering lowering) {
        table.put(Operators.key(OnnxNode.MICROSOFT, op), lowering);
    }

    private static void sum(Call call) {
        Value a = inSteps(call, Steps.of(call, 0, 2), Steps.along(call, 1, 0));
        Value b = inSteps(call, Steps.of(call, 3, 5), Steps.along(call, 4, 0));
        call.give(Steps.rounded(call, call.apply(GraphOperator.ADD, a, b), 7));
    }

    private static void product(Call call) {
        Value steps = call.apply(GraphOperator.MUL, Steps.of(call, 0, 2), Steps.of(call, 3, 5));
        Value scale =
                call.apply(GraphOperator.MUL, Steps.along(call, 1, 0), Steps.along(call, 4, 0));
        call.give(Steps.rounded(call, inSteps(call, steps, scale), 7));
    }

    /** Steps of a scale as steps of the result's, which is the seventh input. */
    private static Value inSteps(Call call, Value steps, Value scale) {
        Value ratio = call.apply(GraphOperator.DIV, scale, Steps.along(call, 6, 0));
        return call.apply(GraphOperator.MUL, steps, ratio);
    }

    private static void where(Call call) {
        Value chosen =
                call.apply(
                        GraphOperator.WHERE,
                        call.in(0),
                        Steps.numbers(call, 1, 2, 3),
                        Steps.numbers(call, 4, 5, 6));
        Steps.give(call, chosen, 7, 8);
    }

    private static void joined(Call call) {
        List<Value> all = new ArrayList<>();
        for (int place = 2; place < call.inputs(); place += 3) {
            all.add(Steps.numbers(call, place, place + 1, place + 2));
        }
        int axis = call.axis(call.node.integer("axis", 0), 2);
        Value joined =
                call.apply(GraphOperator.CAT, Map.of("dim", axis), all.toArray(Value[]::new));
        Steps.give(call, joined, 0, 1);
    }

    private static void sigmoid(Call call) {
        Value x = Steps.numbers(call, 0, 1, 2);
        Steps.give(call, call.apply(GraphOperator.SIGMOID, x), 3, 4);
    }

    private static void leaky(Call call) {
        double slope = call.node.number("alpha", 0.01f);
        Value x = Steps.numbers(call, 0, 1, 2);
        Steps.give(
                call,
                call.apply(GraphOperator.LEAKY_RELU, Map.of("negative_slope", slope), x),
                3,
                4);
    }

    private static void softmax(Call call) {
        int rank = call.rank(0);
        int axis = call.axis(call.node.integer("axis", -1), 0);
        boolean flat = call.node.integer("opset", 0) < 13 && axis < rank - 1;
        if (flat) {
            throw call.refused("it joins all dimensions from " + axis + " on");
        }
        Value x = Steps.numbers(call, 0, 1, 2);
        Steps.give(call, call.apply(GraphOperator.SOFTMAX, Map.of("dim", axis), x), 3, 4);
    }

    private static Value first(Call call, Value x) {
        return Layout.isChannelsLast(call) ? Layout.channelsFirst(call, x, call.rank(0)) : x;
    }

    private static Value asGiven(Call call, Value result) {
        return Layout.isChannelsLast(call)
                ? Layout.channelsLast(call, result, call.rank(0))
                : result;
    }

    private static void mean(Call call) {
        Value x = first(call, Steps.numbers(call, 0, 1, 2));
        Value means =
                call.apply(
                        GraphOperator.MEAN,
                        Map.of("dim", Call.range(2, call.rank(0)), "keepdim", true),
                        x);
        Steps.give(call, asGiven(call, means), 3, 4);
    }

    private static void average(Call call) {
        Value x = first(call, Steps.numbers(call, 0, 1, 2));
        Steps.give(call, asGiven(call, PoolOperators.average(call, x)), 3, 4);
    }

    private static void maximum(Call call) {
        call.give(asGiven(call, PoolOperators.maximum(call, first(call, call.in(0)))));
    }
}

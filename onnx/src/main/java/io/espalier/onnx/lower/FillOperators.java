package io.espalier.onnx.lower;

import io.espalier.graph.GraphOperator;
import io.espalier.graph.Size;
import io.espalier.graph.Value;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Tensors filled by a rule. */
final class FillOperators {
    private FillOperators() {}

    static void addTo(Map<String, OperatorLowering> table) {
        table.put("ConstantOfShape", FillOperators::filled);
        table.put("Range", FillOperators::range);
        table.put("OneHot", FillOperators::oneHot);
        table.put("EyeLike", FillOperators::eye);
        table.put("Trilu", FillOperators::triangle);
    }

    private static void filled(Call call) {
        ConstantTensor value = call.node.tensor("value");
        ElementType type = value == null ? ElementType.FLOAT : value.type();
        double number = value == null ? 0 : Constants.doubles(value)[0];
        call.give(
                call.apply(
                        GraphOperator.FULL,
                        Map.of(
                                "size", call.requireIntegers(0),
                                "fill_value", number,
                                "dtype", type.libtorch()),
                        new Value[0]));
    }

    private static void range(Call call) {
        ElementType type = call.type(0);
        if (type.isFloating()) {
            call.give(call.constant("range", realRange(call, type)));
            return;
        }
        Value range =
                call.apply(
                        GraphOperator.ARANGE,
                        Map.of(
                                "start", call.requireIntegers(0).getFirst(),
                                "end", call.requireIntegers(1).getFirst(),
                                "step", call.requireIntegers(2).getFirst()),
                        new Value[0]);
        call.give(type == ElementType.INT64 ? range : call.cast(range, type));
    }

    private static Tensor realRange(Call call, ElementType type) {
        Double start = call.scalar(0);
        Double end = call.scalar(1);
        Double step = call.scalar(2);
        if (start == null || end == null || step == null) {
            throw call.refused("its real numbers are computed when it runs");
        }
        float[] numbers = new float[(int) Math.max(0, Math.ceil((end - start) / step))];
        for (int i = 0; i < numbers.length; i++) {
            numbers[i] = (float) (start + i * step);
        }
        return Tensors.of(numbers, numbers.length).to(type.libtorch());
    }

    private static void oneHot(Call call) {
        int rank = call.rank(0) + 1;
        int axis = call.axisOf(call.node.integer("axis", -1), rank);
        Size depth = depth(call);
        Value given = call.in(0);
        Value index =
                call.type(0) == ElementType.INT64 ? given : call.cast(given, ElementType.INT64);
        Value depthTensor = call.tensorOf(List.of(depth));
        Value negative = call.apply(GraphOperator.LT_SCALAR, Map.of("other", 0), index);
        Value counted =
                call.apply(
                        GraphOperator.WHERE,
                        negative,
                        call.apply(GraphOperator.ADD, index, depthTensor),
                        index);
        List<Object> shape = new ArrayList<>(Call.repeated(rank, 1));
        shape.set(axis, -1);
        Value numbers =
                call.apply(
                        GraphOperator.RESHAPE,
                        Map.of("shape", shape),
                        call.apply(GraphOperator.ARANGE, Map.of("start", 0, "end", depth)));
        Value hot = call.apply(GraphOperator.EQ, call.unsqueeze(counted, axis), numbers);
        Value off = at(call, 0);
        Value on = at(call, 1);
        call.give(call.apply(GraphOperator.WHERE, hot, on, off));
    }

    private static Value at(Call call, int place) {
        return call.apply(GraphOperator.SELECT, Map.of("dim", 0, "index", place), call.in(2));
    }

    private static Size depth(Call call) {
        Double real = call.scalar(1);
        return real == null ? call.requireIntegers(1).getFirst() : new Size.Fixed(real.longValue());
    }

    private static void eye(Call call) {
        long rows = call.length(0, 0);
        long columns = call.length(0, 1);
        long shift = call.node.integer("k", 0);
        long[] numbers = new long[Math.toIntExact(rows * columns)];
        for (long row = 0; row < rows; row++) {
            if (row + shift >= 0 && row + shift < columns) {
                numbers[(int) (row * columns + row + shift)] = 1;
            }
        }
        ElementType type =
                call.node.has("dtype")
                        ? ElementType.of((int) call.node.integer("dtype", 1))
                        : call.type(0);
        call.give(call.constant("eye", Constants.integers(type, numbers, rows, columns)));
    }

    private static void triangle(Call call) {
        long diagonal = call.has(1) ? call.longs(1).getFirst() : 0;
        boolean upper = call.node.integer("upper", 1) != 0;
        call.give(
                call.apply(
                        upper ? GraphOperator.TRIU : GraphOperator.TRIL,
                        Map.of("diagonal", diagonal),
                        call.in(0)));
    }
}

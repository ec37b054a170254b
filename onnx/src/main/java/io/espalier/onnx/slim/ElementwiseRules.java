package io.espalier.onnx.slim;

import io.espalier.slim.Axis;

import java.util.ArrayList;
import java.util.List;

/** Operators whose results' elements come from the operands' elements at their place. */
final class ElementwiseRules {
    private ElementwiseRules() {}

    static void addTo(Rules rules) {
        rules.standard(
                        ElementwiseRules::same,
                        "Abs Acos Acosh Asin Asinh Atan Atanh BitwiseNot Cast Ceil Celu Cos Cosh"
                                + " Dropout Elu Erf Exp Floor Gelu HardSigmoid HardSwish Identity"
                                + " LeakyRelu Log Mish Neg Not Reciprocal Relu Round Selu Shrink"
                                + " Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Swish Tan Tanh"
                                + " ThresholdedRelu IsNaN IsInf")
                .standard(
                        ElementwiseRules::broadcast,
                        "Add Sub Mul Div Mod Pow Sum Max Min Mean And Or Xor Equal Greater"
                                + " GreaterOrEqual Less LessOrEqual Where PRelu Clip")
                .standard(ElementwiseRules::like, "CastLike")
                .standard(ElementwiseRules::shape, "Shape")
                .standard(call -> {}, "Constant Size");
        rules.microsoft(ElementwiseRules::same, "Gelu FastGelu QuickGelu")
                .microsoft(ElementwiseRules::broadcast, "BiasGelu BiasAdd");
    }

    private static void same(Call call) {
        for (int i = 1; i < call.operands(); i++) {
            call.pinAll(i);
        }
        call.give(0, call.axes(0));
        call.give(1, call.axes(0));
    }

    private static void like(Call call) {
        call.give(0, call.axes(0));
    }

    private static void broadcast(Call call) {
        List<Integer> places = new ArrayList<>();
        for (int i = 0; i < call.operands(); i++) {
            if (call.has(i)) {
                places.add(i);
            }
        }
        call.give(0, united(call, places, call.resultExtents(0)));
    }

    /** The dimensions of operands that are brought to one shape, aligned at the last. */
    static List<Axis> united(Call call, List<Integer> places, long[] extents) {
        List<Axis> result = new ArrayList<>(Call.plain(extents.length));
        for (int d = 0; d < extents.length; d++) {
            List<Axis> full = new ArrayList<>();
            for (int place : places) {
                int own = d - extents.length + call.rank(place);
                if (own < 0) {
                    continue;
                }
                if (call.extent(place, own) == extents[d]) {
                    full.add(call.axis(place, own));
                } else {
                    call.pin(call.axis(place, own));
                }
            }
            full.forEach(axis -> call.unite(full.getFirst(), axis));
            if (!full.isEmpty()) {
                result.set(d, full.getFirst());
            }
        }
        return result;
    }

    /** Extents that are computed with are those of the float model; few are left after repair. */
    private static void shape(Call call) {
        int rank = call.rank(0);
        int from = Math.clamp(start(call.node.integer("start", 0), rank), 0, rank);
        int to = Math.clamp(start(call.node.integer("end", rank), rank), 0, rank);
        boolean[] wanted = ShapeReaders.of(call, to - from);
        for (int i = from; i < to; i++) {
            if (wanted[i - from]) {
                call.pin(call.axis(0, i));
            }
        }
        call.give(0, Call.plain(1));
    }

    private static long start(long given, int rank) {
        return given < 0 ? given + rank : given;
    }
}

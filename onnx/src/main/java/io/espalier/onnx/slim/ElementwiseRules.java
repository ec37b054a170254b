package io.espalier.onnx.slim;

import io.espalier.onnx.model.OnnxNode;
import io.espalier.slim.Axis;
import io.espalier.slim.ChannelRules;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/** Operators whose results' elements come from the operands' elements at their place. */
final class ElementwiseRules {
    private static final String SAME =
            "Abs Acos Acosh Asin Asinh Atan Atanh BitwiseNot Cast Ceil Celu Cos Cosh Dropout Elu"
                    + " Erf Exp Floor Gelu HardSigmoid HardSwish Identity LeakyRelu Log Mish Neg"
                    + " Not Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softplus"
                    + " Softsign Sqrt Swish Tan Tanh ThresholdedRelu IsNaN IsInf";

    private static final String BROADCAST =
            "Add Sub Mul Div Mod Pow Sum Max Min Mean And Or Xor Equal Greater GreaterOrEqual Less"
                    + " LessOrEqual Where PRelu Clip";

    private static final String OF_RUNTIME = "Gelu FastGelu QuickGelu";

    private static final Set<String> ALL =
            Set.copyOf(List.of((SAME + " " + BROADCAST + " " + OF_RUNTIME).split(" ", -1)));

    private ElementwiseRules() {}

    static void addTo(Rules rules) {
        rules.standard(ElementwiseRules::same, SAME)
                .standard(ElementwiseRules::broadcast, BROADCAST)
                .standard(ElementwiseRules::like, "CastLike")
                .standard(ElementwiseRules::shape, "Shape")
                .standard(call -> {}, "Constant");
        rules.microsoft(ElementwiseRules::same, OF_RUNTIME)
                .microsoft(ElementwiseRules::broadcast, "BiasGelu BiasAdd");
    }

    /** Whether a node's first result has at each place what comes of the operands' there. */
    static boolean isElementwise(OnnxNode node) {
        boolean known = node.domain().isEmpty() || node.domain().equals(OnnxNode.MICROSOFT);
        return known && ALL.contains(node.op());
    }

    private static void same(Call call) {
        for (int i = 1; i < call.operands(); i++) {
            call.pinAll(i);
        }
        call.give(0, call.axes(0));
        call.give(1, call.axes(0));
    }

    private static void like(Call call) {
        call.axes(1);
        call.give(0, call.axes(0));
    }

    private static void broadcast(Call call) {
        List<Integer> places = new ArrayList<>();
        for (int i = 0; i < call.operands(); i++) {
            if (call.has(i)) {
                places.add(i);
            }
        }
        call.give(0, ChannelRules.broadcast(call, places, call.resultExtents(0)));
    }

    /** Extents that are computed with are those of the float model; few are left after repair. */
    private static void shape(Call call) {
        int rank = call.rank(0);
        int from = Math.clamp(start(call.node.integer("start", 0), rank), 0, rank);
        int to = Math.clamp(start(call.node.integer("end", rank), rank), 0, rank);
        boolean[] wanted = ShapeReaders.of(call, to - from);
        List<Axis> axes = call.axes(0);
        for (int i = from; i < to; i++) {
            if (wanted[i - from]) {
                call.pin(axes.get(i));
            }
        }
        call.give(0, Call.plain(1));
    }

    private static long start(long given, int rank) {
        return given < 0 ? given + rank : given;
    }
}

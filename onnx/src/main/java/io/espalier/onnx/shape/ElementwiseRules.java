package io.espalier.onnx.shape;

import io.espalier.onnx.model.ElementType;

import org.jspecify.annotations.Nullable;

import java.util.stream.IntStream;

/** What is computed element by element. */
final class ElementwiseRules {
    private ElementwiseRules() {}

    static void addTo(Rules rules) {
        rules.standard(
                        ElementwiseRules::same,
                        "Abs Acos Acosh Asin Asinh Atan Atanh BitwiseNot Ceil Celu Clip Cos Cosh"
                                + " CumProd CumSum Elu Erf Exp Floor Gelu HardSigmoid HardSwish"
                                + " Hardmax Identity LeakyRelu Log LogSoftmax Mish Neg Not PRelu"
                                + " Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh"
                                + " Softmax Softplus Softsign Sqrt Swish Tan Tanh"
                                + " ThresholdedRelu Trilu")
                .standard(
                        ElementwiseRules::broadcast,
                        "Add Sub Mul Div Mod Pow Sum Max Min Mean BitShift BitwiseAnd BitwiseOr"
                                + " BitwiseXor")
                .standard(
                        ElementwiseRules::compare,
                        "And Or Xor Equal Greater GreaterOrEqual Less LessOrEqual")
                .standard(ElementwiseRules::test, "IsNaN IsInf")
                .standard(ElementwiseRules::where, "Where")
                .standard(ElementwiseRules::cast, "Cast")
                .standard(ElementwiseRules::castLike, "CastLike")
                .standard(ElementwiseRules::dropout, "Dropout");
        rules.microsoft(
                        ElementwiseRules::same,
                        "Gelu FastGelu BiasGelu QuickGelu BiasSoftmax Inverse Trilu")
                .microsoft(ElementwiseRules::broadcast, "BiasAdd");
    }

    /** All that is known of the first operand. */
    static void same(Call call) {
        call.give(0, call.operand(0));
    }

    private static void broadcast(Call call) {
        int[] places = IntStream.range(0, call.operands()).toArray();
        call.give(0, firstType(call, places));
        call.give(0, Broadcasting.of(call, places));
    }

    static @Nullable ElementType firstType(Call call, int... places) {
        for (int place : places) {
            ElementType type = call.type(place);
            if (type != null) {
                return type;
            }
        }
        return null;
    }

    private static void compare(Call call) {
        call.give(0, ElementType.BOOL);
        call.give(0, Broadcasting.of(call, 0, 1));
    }

    private static void test(Call call) {
        call.give(0, ElementType.BOOL);
        call.give(0, call.shape(0));
    }

    private static void where(Call call) {
        call.give(0, firstType(call, 1, 2));
        call.give(0, Broadcasting.of(call, 0, 1, 2));
    }

    private static void cast(Call call) {
        call.give(0, ElementType.of((int) call.node.integer("to", 0)));
        call.give(0, call.shape(0));
    }

    private static void castLike(Call call) {
        call.give(0, call.type(1));
        call.give(0, call.shape(0));
    }

    private static void dropout(Call call) {
        call.give(0, call.operand(0));
        call.give(1, call.opset() >= 10 ? ElementType.BOOL : call.type(0));
        call.give(1, call.shape(0));
    }
}

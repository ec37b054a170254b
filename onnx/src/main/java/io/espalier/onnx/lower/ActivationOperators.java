package io.espalier.onnx.lower;

import io.espalier.graph.GraphOperator;
import io.espalier.graph.Size;
import io.espalier.graph.Value;
import io.espalier.nn.PReLU;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxNode;

import org.jspecify.annotations.Nullable;

import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Activations, as operators, which is how traced models have them and quantization joins them. */
final class ActivationOperators {
    private static final float SELU_ALPHA = 1.6732632f;
    private static final float SELU_GAMMA = 1.050701f;
    private static final double SIXTH = 1.0 / 6;
    private static final double QUICK_GELU = 1.702;
    private static final String TANH_GELU = "tanh";

    private ActivationOperators() {}

    static void addTo(Map<String, OperatorLowering> table) {
        plain(table, "Relu", GraphOperator.RELU);
        plain(table, "Sigmoid", GraphOperator.SIGMOID);
        plain(table, "Tanh", GraphOperator.TANH);
        plain(table, "Softplus", GraphOperator.SOFTPLUS);
        plain(table, "Mish", GraphOperator.MISH);
        plain(table, "HardSwish", GraphOperator.HARDSWISH);
        withNumber(table, "LeakyRelu", GraphOperator.LEAKY_RELU, "negative_slope", 0.01f);
        withNumber(table, "Elu", GraphOperator.ELU, "alpha", 1);
        withNumber(table, "Celu", GraphOperator.CELU, "alpha", 1);
        table.put("Clip", ActivationOperators::clip);
        table.put("HardSigmoid", ActivationOperators::hardSigmoid);
        table.put("Selu", ActivationOperators::selu);
        table.put("ThresholdedRelu", ActivationOperators::thresholded);
        table.put("Softsign", ActivationOperators::softsign);
        table.put("Shrink", ActivationOperators::shrink);
        table.put("PRelu", ActivationOperators::prelu);
        table.put("Swish", ActivationOperators::swish);
        table.put("Gelu", call -> gelu(call, call.node.text("approximate", "none")));
        table.put(Operators.key(OnnxNode.MICROSOFT, "Gelu"), call -> gelu(call, "none"));
        table.put(Operators.key(OnnxNode.MICROSOFT, "BiasGelu"), call -> gelu(call, "none"));
        table.put(Operators.key(OnnxNode.MICROSOFT, "FastGelu"), call -> gelu(call, TANH_GELU));
        table.put(Operators.key(OnnxNode.MICROSOFT, "QuickGelu"), ActivationOperators::quickGelu);
    }

    private static void plain(
            Map<String, OperatorLowering> table, String name, GraphOperator operator) {
        table.put(name, call -> call.give(call.apply(operator, call.in(0))));
    }

    private static void withNumber(
            Map<String, OperatorLowering> table,
            String name,
            GraphOperator operator,
            String attribute,
            float standard) {
        table.put(
                name,
                call -> {
                    double alpha = call.node.number("alpha", standard);
                    call.give(call.apply(operator, Map.of(attribute, alpha), call.in(0)));
                });
    }

    private static void clip(Call call) {
        Bound low = bound(call, "min", 1);
        Bound high = bound(call, "max", 2);
        if (call.isFloat(0) && low.known() && high.known()) {
            call.give(clip(call, low.number(), high.number()));
            return;
        }
        Value clipped = call.in(0);
        if (call.has(1)) {
            clipped = call.apply(GraphOperator.MAXIMUM, clipped, call.in(1));
        }
        if (call.has(2)) {
            clipped = call.apply(GraphOperator.MINIMUM, clipped, call.in(2));
        }
        call.give(clipped);
    }

    /** A bound that is a number, or none, or else a tensor. */
    private record Bound(@Nullable Double number, boolean known) {}

    private static Bound bound(Call call, String attribute, int place) {
        if (call.node.has(attribute)) {
            return new Bound((double) call.node.number(attribute, 0), true);
        }
        Double number = call.scalar(place);
        return new Bound(number, number != null || !call.has(place));
    }

    private static Value clip(Call call, @Nullable Double low, @Nullable Double high) {
        boolean fromZero = low != null && low == 0;
        if (fromZero && high == null) {
            return call.apply(GraphOperator.RELU, call.in(0));
        }
        if (fromZero && high != null && high == 6) {
            return call.apply(GraphOperator.RELU6, call.in(0));
        }
        if (low == null && high == null) {
            return call.in(0);
        }
        Map<String, Double> bounds = new HashMap<>();
        if (low != null) {
            bounds.put("min", low);
        }
        if (high != null) {
            bounds.put("max", high);
        }
        return call.apply(GraphOperator.CLAMP, bounds, call.in(0));
    }

    private static void hardSigmoid(Call call) {
        float alpha = call.node.number("alpha", 0.2f);
        float beta = call.node.number("beta", 0.5f);
        if (Math.abs(alpha - SIXTH) < 1e-6 && beta == 0.5f) {
            call.give(call.apply(GraphOperator.HARDSIGMOID, call.in(0)));
        } else {
            Value line = call.plus(call.times(call.in(0), alpha), beta);
            call.give(call.apply(GraphOperator.CLAMP, Map.of("min", 0, "max", 1), line));
        }
    }

    private static void selu(Call call) {
        float alpha = call.node.number("alpha", SELU_ALPHA);
        float gamma = call.node.number("gamma", SELU_GAMMA);
        if (alpha == SELU_ALPHA && gamma == SELU_GAMMA) {
            call.give(call.apply(GraphOperator.SELU, call.in(0)));
        } else {
            Value elu = call.apply(GraphOperator.ELU, Map.of("alpha", alpha), call.in(0));
            call.give(call.times(elu, gamma));
        }
    }

    private static void thresholded(Call call) {
        double threshold = call.node.number("alpha", 1);
        call.give(
                call.apply(
                        GraphOperator.THRESHOLD,
                        Map.of("threshold", threshold, "value", 0),
                        call.in(0)));
    }

    private static void softsign(Call call) {
        Value size = call.plus(call.apply(GraphOperator.ABS, call.in(0)), 1);
        call.give(call.apply(GraphOperator.DIV, call.in(0), size));
    }

    private static void shrink(Call call) {
        double bias = call.node.number("bias", 0);
        double width = call.node.number("lambd", 0.5f);
        Value x = call.in(0);
        Value notBelow = call.apply(GraphOperator.GE_SCALAR, Map.of("other", -width), x);
        Value notAbove = call.apply(GraphOperator.LE_SCALAR, Map.of("other", width), x);
        Value below =
                call.apply(
                        GraphOperator.MASKED_FILL,
                        Map.of("value", 0),
                        call.plus(x, bias),
                        notBelow);
        Value above =
                call.apply(
                        GraphOperator.MASKED_FILL,
                        Map.of("value", 0),
                        call.plus(x, -bias),
                        notAbove);
        call.give(call.apply(GraphOperator.ADD, below, above));
    }

    private static void prelu(Call call) {
        ConstantTensor slope = call.weight(1);
        if (slope != null && slope.elements() > 0 && isByChannel(call, slope)) {
            call.give(
                    call.call(
                            1,
                            List.of(PReLU.class, call.node.input(1)),
                            () -> PReLU.of(slope.toTensor().reshape(slope.elements())),
                            call.in(0)));
            return;
        }
        Value x = call.in(0);
        Value negative = call.apply(GraphOperator.LT_SCALAR, Map.of("other", 0), x);
        Value scaled = call.apply(GraphOperator.MUL, x, call.in(1));
        call.give(call.apply(GraphOperator.WHERE, negative, scaled, x));
    }

    /**
     * Whether there is one slope, or one for each element of dimension 1; old files have those as a
     * row.
     */
    private static boolean isByChannel(Call call, ConstantTensor slope) {
        if (slope.elements() == 1) {
            return slope.shape().size() <= call.rank(0);
        }
        List<Size> x = call.shape(0);
        int after = x.size() - 2;
        boolean alone =
                slope.shape().size() == 1 && !x.getLast().equals(Window.fixed(slope.elements()));
        int channels = alone ? 0 : slope.shape().size() - 1 - after;
        return after >= 0
                && channels >= 0
                && slope.shape().get(channels) == slope.elements()
                && x.get(1).equals(new Size.Fixed(slope.elements()));
    }

    private static void swish(Call call) {
        float alpha = call.node.number("alpha", 1);
        call.give(alpha == 1 ? call.apply(GraphOperator.SILU, call.in(0)) : gated(call, alpha));
    }

    private static Value gated(Call call, double factor) {
        Value gate = call.apply(GraphOperator.SIGMOID, call.times(call.in(0), factor));
        return call.apply(GraphOperator.MUL, call.in(0), gate);
    }

    private static void quickGelu(Call call) {
        call.give(gated(call, call.node.number("alpha", (float) QUICK_GELU)));
    }

    /** With a bias before it, where the runtime's own operators have one. */
    private static void gelu(Call call, String approximate) {
        Value x = call.has(1) ? call.apply(GraphOperator.ADD, call.in(0), call.in(1)) : call.in(0);
        call.give(call.apply(GraphOperator.GELU, Map.of("approximate", approximate), x));
    }
}

package io.espalier.graph;

import io.espalier.graph.Argument.Arity;
import io.espalier.graph.Argument.Attribute;
import io.espalier.graph.Argument.Fixed;
import io.espalier.graph.Argument.Operand;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** A row of the table of operators. */
record OperatorDefinition(
        String libtorch,
        ChannelEffect channels,
        boolean view,
        boolean chooses,
        int results,
        List<Argument> arguments) {
    /** The number of results of an operator whose calls differ in it. */
    static final int ANY = -1;

    static final Argument X = operand("x");
    static final Argument WEIGHT = operand("weight");
    static final Argument BIAS = optional("bias");
    static final Argument SCALE = required(AttributeType.DOUBLE, "scale");

    /** An operator of libtorch's, its name with its overload; it acts by elements. */
    static OperatorDefinition aten(String name) {
        return new OperatorDefinition(
                "aten::" + name, ChannelEffect.ELEMENTWISE, false, false, 1, List.of());
    }

    /** An operator on quantized tensors; it acts by elements. */
    static OperatorDefinition quantized(String name) {
        return new OperatorDefinition(
                "quantized::" + name, ChannelEffect.ELEMENTWISE, false, false, 1, List.of());
    }

    OperatorDefinition takes(Argument... all) {
        return new OperatorDefinition(libtorch, channels, view, chooses, results, List.of(all));
    }

    OperatorDefinition does(ChannelEffect effect) {
        return new OperatorDefinition(libtorch, effect, view, chooses, results, arguments);
    }

    private OperatorDefinition views() {
        return new OperatorDefinition(libtorch, channels, true, chooses, results, arguments);
    }

    /** Each element of its result is one of its operand's. */
    OperatorDefinition choosing() {
        return new OperatorDefinition(libtorch, channels, view, true, results, arguments);
    }

    OperatorDefinition gives(int number) {
        return new OperatorDefinition(libtorch, channels, view, chooses, number, arguments);
    }

    static Argument operand(String name) {
        return new Operand(name, Arity.ONE);
    }

    static Argument optional(String name) {
        return new Operand(name, Arity.OPTIONAL);
    }

    static Argument list(String name) {
        return new Operand(name, Arity.LIST);
    }

    static Argument fixed(Object value) {
        return new Fixed(value);
    }

    static Argument required(AttributeType type, String name) {
        return new Attribute(name, type, true, null);
    }

    static Argument left(AttributeType type, String name) {
        return new Attribute(name, type, false, null);
    }

    static Argument integer(String name, long standard) {
        return given(name, AttributeType.LONG, standard);
    }

    static Argument number(String name, double standard) {
        return given(name, AttributeType.DOUBLE, standard);
    }

    static Argument flag(String name, boolean standard) {
        return given(name, AttributeType.BOOLEAN, standard);
    }

    static Argument text(String name, String standard) {
        return given(name, AttributeType.TEXT, standard);
    }

    static Argument longs(String name, long... standard) {
        return given(name, AttributeType.LONGS, Arrays.stream(standard).boxed().toList());
    }

    private static Argument given(String name, AttributeType type, @Nullable Object standard) {
        return new Attribute(name, type, false, standard);
    }

    private static long[] all(int rank, long value) {
        long[] values = new long[rank];
        Arrays.fill(values, value);
        return values;
    }

    static OperatorDefinition binary(String name) {
        return aten(name).takes(operand("a"), operand("b"));
    }

    static OperatorDefinition withNumber(String name) {
        return aten(name).takes(X, required(AttributeType.DOUBLE, "other"));
    }

    static OperatorDefinition reduction(String name) {
        return aten(name)
                .does(ChannelEffect.REDUCES)
                .takes(X, required(AttributeType.LONGS, "dim"), flag("keepdim", false));
    }

    static OperatorDefinition deviation(String name) {
        return aten(name)
                .does(ChannelEffect.REDUCES)
                .takes(
                        X,
                        required(AttributeType.LONGS, "dim"),
                        number("correction", 1),
                        flag("keepdim", false));
    }

    /** The elements and where they are, along one dimension. */
    static OperatorDefinition extreme(String name) {
        return aten(name)
                .does(ChannelEffect.REDUCES)
                .gives(2)
                .takes(X, required(AttributeType.LONG, "dim"), flag("keepdim", false));
    }

    /** It shares its operand's memory where it can. */
    static OperatorDefinition view(String name, Argument... attributes) {
        return move(name, attributes).views();
    }

    /** It gives its operand's elements at other places. */
    static OperatorDefinition move(String name, Argument... attributes) {
        List<Argument> all = new ArrayList<>(List.of(X));
        all.addAll(Arrays.asList(attributes));
        return aten(name).does(ChannelEffect.MOVES).choosing().takes(all.toArray(Argument[]::new));
    }

    static OperatorDefinition convolution(int rank) {
        return aten("conv" + rank + "d")
                .does(ChannelEffect.MIXES)
                .takes(
                        X,
                        WEIGHT,
                        BIAS,
                        longs("stride", all(rank, 1)),
                        longs("padding", all(rank, 0)),
                        longs("dilation", all(rank, 1)),
                        integer("groups", 1));
    }

    static OperatorDefinition transposedConvolution(int rank, String overload) {
        return aten("conv_transpose" + rank + "d" + overload)
                .does(ChannelEffect.MIXES)
                .takes(
                        X,
                        WEIGHT,
                        BIAS,
                        longs("stride", all(rank, 1)),
                        longs("padding", all(rank, 0)),
                        longs("output_padding", all(rank, 0)),
                        integer("groups", 1),
                        longs("dilation", all(rank, 1)));
    }

    static OperatorDefinition maxPool(int rank) {
        return aten("max_pool" + rank + "d")
                .does(ChannelEffect.WITHIN)
                .choosing()
                .takes(
                        X,
                        required(AttributeType.LONGS, "kernel_size"),
                        longs("stride"),
                        longs("padding", all(rank, 0)),
                        longs("dilation", all(rank, 1)),
                        flag("ceil_mode", false));
    }

    static OperatorDefinition averagePool(int rank) {
        return aten("avg_pool" + rank + "d")
                .does(ChannelEffect.WITHIN)
                .takes(
                        X,
                        required(AttributeType.LONGS, "kernel_size"),
                        longs("stride"),
                        longs("padding", all(rank, 0)),
                        flag("ceil_mode", false),
                        flag("count_include_pad", true));
    }

    static OperatorDefinition nearest(int rank) {
        return aten("upsample_nearest" + rank + "d.vec")
                .does(ChannelEffect.WITHIN)
                .choosing()
                .takes(
                        X,
                        left(AttributeType.LONGS, "output_size"),
                        left(AttributeType.DOUBLES, "scale_factors"));
    }

    static OperatorDefinition interpolation(String name) {
        return aten("upsample_" + name + ".vec")
                .does(ChannelEffect.WITHIN)
                .takes(
                        X,
                        left(AttributeType.LONGS, "output_size"),
                        required(AttributeType.BOOLEAN, "align_corners"),
                        left(AttributeType.DOUBLES, "scale_factors"));
    }
}

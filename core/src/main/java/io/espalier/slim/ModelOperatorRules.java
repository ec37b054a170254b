package io.espalier.slim;

import io.espalier.graph.ChannelEffect;
import io.espalier.graph.GraphOperator;
import io.espalier.slim.ChannelRules.Reduction;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.LongStream;

/** What the operators of a traced program do to channels. */
final class ModelOperatorRules {
    private ModelOperatorRules() {}

    /** The rule of an operator. */
    static void apply(ModelCall call) {
        GraphOperator operator = call.operator().operator();
        switch (operator) {
            case LINEAR -> linear(call);
            case CONV1D, CONV2D, CONV3D, CONV_TRANSPOSE1D, CONV_TRANSPOSE2D, CONV_TRANSPOSE3D ->
                    convolution(call);
            case MATMUL, BMM -> ChannelRules.product(call);
            case EINSUM -> ChannelRules.einsum(call, call.operator().text("equation"));
            case EMBEDDING -> embedding(call);
            case SCALED_DOT_PRODUCT_ATTENTION -> attention(call);
            case PRELU -> prelu(call);
            case BATCH_NORM -> ChannelRules.channelwise(call, 4);
            case LAYER_NORM, RMS_NORM -> layerNormalization(call);
            case GROUP_NORM -> groupNormalization(call);
            case SOFTMAX, LOG_SOFTMAX, CUMSUM -> keepsOne(call, 0);
            case TRIL, TRIU -> keepsTwo(call);
            case MEAN, SUM, AMAX, AMIN, LOGSUMEXP, VAR, STD, NORM -> reduce(call);
            case MEAN_ALL, SUM_ALL, MAX_ALL, MIN_ALL -> reduceAll(call);
            case MAX, MIN, ARGMAX, ARGMIN, PROD -> extreme(call);
            case FULL, ARANGE -> call.give(0, ChannelCall.plain(call.resultExtents(0).length));
            default -> byEffect(call, operator);
        }
        call.pinRest();
    }

    private static void byEffect(ModelCall call, GraphOperator operator) {
        ChannelEffect effect = operator.channels();
        if (operator.name().startsWith("QUANTIZED_")) {
            throw new NotUnderstood("it computes with quantized tensors");
        } else if (effect == ChannelEffect.ELEMENTWISE && !operator.takesList()) {
            broadcast(call);
        } else if (effect == ChannelEffect.WITHIN) {
            ModelWindowRules.apply(call, operator);
        } else if (effect == ChannelEffect.MOVES) {
            ModelLayoutRules.apply(call, operator);
        } else {
            throw new NotUnderstood("no rule for " + operator);
        }
    }

    private static void broadcast(ModelCall call) {
        List<Integer> places =
                IntStream.range(0, call.operands()).filter(call::has).boxed().toList();
        call.give(0, ChannelRules.broadcast(call, places, call.resultExtents(0)));
    }

    /** {@code [*, I]}, weight {@code [O, I]}, bias {@code [O]}. */
    static void linear(ModelCall call) {
        int last = call.rank(0) - 1;
        call.unite(call.axis(0, last), call.axis(1, 1));
        call.ends(0, last, 1, 1, 1);
        if (call.has(2)) {
            call.unite(call.axis(1, 0), call.axis(2, 0));
        }
        List<Axis> result = call.axes(0);
        result.set(last, call.axis(1, 0));
        call.give(0, result);
    }

    private static void convolution(ModelCall call) {
        if (call.rank(0) != call.rank(1)) {
            throw new NotUnderstood("its input has no batch");
        }
        long groups = call.integer("groups");
        boolean transposed = call.operator().operator().name().contains("TRANSPOSE");
        Axis each =
                transposed
                        ? ChannelRules.transposedConvolution(call, groups)
                        : ChannelRules.convolution(
                                call,
                                groups,
                                LongStream.of(call.integers("padding")).anyMatch(pad -> pad != 0));
        call.counts("groups", -1, List.of(each), cut -> cut.extent(each, groups));
    }

    /** Rows of a weight, which comes first, at indices. */
    private static void embedding(ModelCall call) {
        List<Axis> result = call.axes(1);
        result.add(call.axis(0, 1));
        call.give(0, result);
    }

    /** Query {@code [*, L, E]}, key {@code [*, S, E]}, value {@code [*, S, V]}. */
    private static void attention(ModelCall call) {
        int rank = call.rank(0);
        if (call.rank(1) != rank || call.rank(2) != rank || rank < 2) {
            throw new NotUnderstood("its operands differ in dimensions");
        }
        for (int d = 0; d < rank - 2; d++) {
            call.unite(call.axis(0, d), call.axis(1, d));
            call.unite(call.axis(0, d), call.axis(2, d));
        }
        for (int i = 0; i < 2; i++) {
            call.flow().pin(call.axis(i, rank - 1), "scores are divided by the root of its size");
        }
        if (call.has(3)) {
            for (int d = 0; d < call.rank(3) - 2; d++) {
                int own = rank - call.rank(3) + d;
                if (own >= 0 && call.extent(3, d) != 1) {
                    call.unite(call.axis(0, own), call.axis(3, d));
                }
            }
        }
        List<Axis> result = call.axes(0);
        result.set(rank - 1, call.axis(2, rank - 1));
        call.give(0, result);
    }

    /** {@code [N, C, …]} and a weight for each channel, or one for all. */
    static void prelu(ModelCall call) {
        if (call.extent(1, 0) > 1 && call.rank(0) > 1) {
            call.unite(call.axis(0, 1), call.axis(1, 0));
        }
        call.give(0, call.axes(0));
    }

    private static void layerNormalization(ModelCall call) {
        long[] shape = call.integers("normalized_shape");
        int first = call.rank(0) - shape.length;
        ChannelRules.layerNormalization(call, first, 1);
        for (int d = 0; d < shape.length; d++) {
            Axis axis = call.axis(0, first + d);
            long extent = shape[d];
            call.counts("normalized_shape", d, List.of(axis), cut -> cut.extent(axis, extent));
        }
    }

    private static void groupNormalization(ModelCall call) {
        long number = call.integer("num_groups");
        Axis groups = ChannelRules.groupNormalization(call, number);
        call.counts("num_groups", -1, List.of(groups), cut -> cut.extent(groups, number));
    }

    /** Something is computed along a dimension. */
    private static void keepsOne(ModelCall call, int operand) {
        int dimension = call.dimension(call.integer("dim"), call.rank(operand));
        call.pin(call.axis(operand, dimension));
        call.give(0, call.axes(operand));
    }

    private static void keepsTwo(ModelCall call) {
        call.pinFrom(0, call.rank(0) - 2);
        call.give(0, call.axes(0));
    }

    private static void reduce(ModelCall call) {
        int rank = call.rank(0);
        boolean[] reduced = new boolean[rank];
        boolean given = call.operator().attribute("dim").isPresent();
        long[] dimensions = given ? call.integers("dim") : new long[0];
        for (long dimension : dimensions) {
            reduced[call.dimension(dimension, rank)] = true;
        }
        if (dimensions.length == 0) {
            Arrays.fill(reduced, true);
        }
        Reduction reduction =
                switch (call.operator().operator()) {
                    case SUM -> Reduction.SUM;
                    case MEAN, VAR, STD, AMAX, AMIN -> Reduction.OF_ALL;
                    case NORM ->
                            call.operator().number("ord") > 0 ? Reduction.SUM : Reduction.OTHER;
                    default -> Reduction.OTHER;
                };
        ChannelRules.reduce(call, reduced, call.operator().flag("keepdim"), reduction);
    }

    private static void reduceAll(ModelCall call) {
        boolean[] reduced = new boolean[call.rank(0)];
        Arrays.fill(reduced, true);
        Reduction reduction =
                switch (call.operator().operator()) {
                    case SUM_ALL -> Reduction.SUM;
                    case MEAN_ALL -> Reduction.OF_ALL;
                    default -> Reduction.OTHER;
                };
        ChannelRules.reduce(call, reduced, false, reduction);
    }

    /** One element along a dimension is chosen, or all are multiplied. */
    private static void extreme(ModelCall call) {
        int dimension = call.dimension(call.integer("dim"), call.rank(0));
        call.pin(call.axis(0, dimension));
        List<Axis> result = new ArrayList<>(call.axes(0));
        if (call.operator().flag("keepdim")) {
            result.set(dimension, Axis.PLAIN);
        } else {
            result.remove(dimension);
        }
        for (int i = 0; i < call.results(); i++) {
            call.give(i, result);
        }
    }
}

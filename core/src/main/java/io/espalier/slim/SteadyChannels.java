package io.espalier.slim;

import io.espalier.graph.ChannelEffect;
import io.espalier.graph.Graph;
import io.espalier.graph.GraphModule;
import io.espalier.graph.GraphOperator;
import io.espalier.graph.Node;
import io.espalier.graph.Node.ModuleCall;
import io.espalier.graph.Node.OperatorCall;
import io.espalier.graph.Node.StateRead;
import io.espalier.graph.Value;
import io.espalier.nn.BatchNorm;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.PReLU;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Which channels of a traced program are one number everywhere, because all weights before them or
 * a normalization's scales are zero, or numbers of the model's own: found step by step, what acts
 * by elements run on one number for each channel.
 */
final class SteadyChannels {
    private final ModelAnalysis analysis;
    private final Map<Value, KnownNumbers> known = new HashMap<>();

    private SteadyChannels(ModelAnalysis analysis) {
        this.analysis = analysis;
    }

    /** What is known, by value; a value of which nothing is known is left out. */
    static Map<Value, KnownNumbers> of(ModelAnalysis analysis) {
        var channels = new SteadyChannels(analysis);
        for (Node node : analysis.traced().graph().nodes()) {
            if (node instanceof OperatorCall call && SteadyParts.areOf(call)) {
                channels.takeParts(call);
            } else {
                channels.put(node.result(), channels.given(node));
            }
        }
        return channels.known;
    }

    private void put(Value value, @Nullable KnownNumbers given) {
        if (given != null && given.isAny()) {
            known.put(value, given);
        }
    }

    private void takeParts(OperatorCall call) {
        Value from = call.inputs().getFirst();
        KnownNumbers in = known.get(from);
        if (in != null) {
            SteadyParts.of(call, in, analysis.extents(from).length).forEach(this::put);
        }
    }

    private @Nullable KnownNumbers given(Node node) {
        boolean any = node.inputs().stream().anyMatch(known::containsKey);
        return switch (node) {
            case StateRead read -> read(read);
            case ModuleCall call when call.inputs().size() == 1 -> layer(call, any);
            case OperatorCall call when any -> operator(call);
            default -> null;
        };
    }

    /** Numbers of the model's own, one for each channel. */
    private @Nullable KnownNumbers read(StateRead read) {
        Tensor value = analysis.valueOf(read);
        if (value == null || !value.is_floating_point()) {
            return null;
        }
        for (int d = 0; d < value.dim(); d++) {
            if (value.size(d) > 1) {
                return value.size(d) == value.numel()
                        ? new KnownNumbers(d, Tensors.doubles(value))
                        : null;
            }
        }
        return null;
    }

    private @Nullable KnownNumbers layer(ModuleCall call, boolean any) {
        Module module = analysis.model().module(call.path());
        KnownNumbers in = known.get(call.inputs().getFirst());
        SteadyLayer layer = SteadyLayer.of(module);
        if (layer != null) {
            int rank = analysis.extents(call.result()).length;
            int dimension = module instanceof Linear ? rank - 1 : 1;
            boolean along = in != null && in.dimension() == dimension;
            return new KnownNumbers(dimension, layer.outputs(along ? in : null));
        }
        if (module instanceof BatchNorm norm && module.isAtomic()) {
            boolean computes = any && norm.runningMean().isPresent();
            return shifts(norm, computes ? computed(call) : null);
        }
        return any && module instanceof PReLU && module.isAtomic() ? computed(call) : null;
    }

    /** What a normalization gives of channels that it multiplies by zero, beside what is known. */
    private static @Nullable KnownNumbers shifts(BatchNorm norm, @Nullable KnownNumbers other) {
        Tensor scale = norm.weight();
        Tensor shift = norm.bias();
        if (scale == null || (other != null && other.dimension() != 1)) {
            return other;
        }
        double[] scales = Tensors.doubles(scale);
        double[] shifts = shift == null ? new double[scales.length] : Tensors.doubles(shift);
        double[] numbers = new double[scales.length];
        for (int i = 0; i < numbers.length; i++) {
            double known = other == null ? Double.NaN : other.numbers()[i];
            numbers[i] = scales[i] == 0 ? shifts[i] : known;
        }
        return new KnownNumbers(1, numbers);
    }

    private @Nullable KnownNumbers operator(OperatorCall call) {
        GraphOperator operator = call.operator();
        KnownNumbers in = known.get(call.inputs().getFirst());
        return switch (operator) {
            case CAT -> joined(call);
            case TRANSPOSE, PERMUTE -> in == null ? null : turned(call, in);
            case RESHAPE, FLATTEN, SQUEEZE, UNSQUEEZE, CONTIGUOUS ->
                    in == null
                            ? null
                            : in.reshaped(
                                    analysis.extents(call.inputs().getFirst()),
                                    analysis.extents(call.result()));
            case MAX_POOL1D, ADAPTIVE_AVG_POOL1D, UPSAMPLE_NEAREST1D, UPSAMPLE_LINEAR1D ->
                    before(1, call, in);
            case MAX_POOL2D,
                    ADAPTIVE_AVG_POOL2D,
                    UPSAMPLE_NEAREST2D,
                    UPSAMPLE_BILINEAR2D,
                    UPSAMPLE_BICUBIC2D ->
                    before(2, call, in);
            case MAX_POOL3D, UPSAMPLE_NEAREST3D, UPSAMPLE_TRILINEAR3D -> before(3, call, in);
            case AVG_POOL1D -> averaged(call, before(1, call, in));
            case AVG_POOL2D -> averaged(call, before(2, call, in));
            case AVG_POOL3D -> averaged(call, before(3, call, in));
            case MEAN, AMAX, AMIN -> in == null ? null : reduced(call, in);
            case SUM -> in == null ? null : reduced(call, in.only(0));
            case NORM ->
                    in == null || call.number("ord") <= 0 || call.attribute("dim").isEmpty()
                            ? null
                            : reduced(call, in.only(0));
            case PAD -> in == null ? null : padded(call, in);
            case EXPAND, REPEAT, QUANTIZE, DEQUANTIZE, FULL, ARANGE, TRIL, TRIU -> null;
            default ->
                    operator.channels() == ChannelEffect.ELEMENTWISE && !operator.takesList()
                            ? computed(call)
                            : null;
        };
    }

    /** A step that acts by elements, run on one number for each channel. */
    private @Nullable KnownNumbers computed(Node node) {
        int rank = analysis.extents(node.result()).length;
        int dimension = -1;
        int count = 0;
        for (Value input : node.inputs()) {
            KnownNumbers in = known.get(input);
            if (in != null) {
                int at = in.dimension() + rank - analysis.extents(input).length;
                if (dimension >= 0 && (at != dimension || count != in.numbers().length)) {
                    return null;
                }
                dimension = at;
                count = in.numbers().length;
            }
        }
        boolean[] unknown = new boolean[count];
        boolean[] zero = new boolean[count];
        Map<Value, Tensor> numbers = new LinkedHashMap<>();
        try (var scope = new PointerScope()) {
            for (Value input : node.inputs()) {
                numbers.put(input, numbers(input, rank, dimension, unknown, zero));
            }
            Tensor result = run(node, numbers);
            if (!result.is_floating_point() || result.numel() != count) {
                return null;
            }
            double[] found = Tensors.doubles(result);
            boolean product = node.calls(GraphOperator.MUL);
            for (int i = 0; i < count; i++) {
                found[i] = product && zero[i] ? 0 : unknown[i] ? Double.NaN : found[i];
            }
            return new KnownNumbers(dimension, found);
        }
    }

    /** One number for each channel of an operand; those not known are told. */
    private Tensor numbers(
            Value input, int rank, int dimension, boolean[] unknown, boolean[] zero) {
        long[] extents = analysis.extents(input);
        int own = dimension - (rank - extents.length);
        long[] shape = new long[extents.length];
        Arrays.fill(shape, 1);
        if (own >= 0) {
            shape[own] = extents[own];
        }
        KnownNumbers in = known.get(input);
        double[] numbers = new double[own >= 0 ? Math.toIntExact(extents[own]) : 1];
        for (int i = 0; i < unknown.length; i++) {
            int at = numbers.length == 1 ? 0 : i;
            boolean isKnown = in != null && in.isKnown(at);
            unknown[i] |= !isKnown;
            zero[i] |= isKnown && in != null && in.isZero(at);
            numbers[at] = isKnown && in != null ? in.numbers()[at] : 0;
        }
        return KnownNumbers.tensor(numbers, analysis.type(input), shape);
    }

    private Tensor run(Node node, Map<Value, Tensor> numbers) {
        List<Value> inputs = List.copyOf(numbers.keySet());
        Map<String, Module> modules = new HashMap<>();
        node.modulePath()
                .ifPresent(path -> modules.put(path, analysis.model().module(path).alias()));
        var step = new GraphModule(new Graph(inputs, List.of(node), node.results()), modules);
        return step.callAll(List.copyOf(numbers.values())).getFirst();
    }

    private @Nullable KnownNumbers joined(OperatorCall call) {
        long[] extents = analysis.extents(call.result());
        long given = call.integer("dim");
        int dimension = (int) (given < 0 ? given + extents.length : given);
        double[] numbers = new double[Math.toIntExact(extents[dimension])];
        int at = 0;
        for (Value part : call.inputs()) {
            KnownNumbers in = known.get(part);
            for (int i = 0; i < analysis.extents(part)[dimension]; i++) {
                boolean along = in != null && in.dimension() == dimension;
                numbers[at++] = along && in != null ? in.numbers()[i] : Double.NaN;
            }
        }
        return new KnownNumbers(dimension, numbers);
    }

    private KnownNumbers turned(OperatorCall call, KnownNumbers in) {
        int rank = analysis.extents(call.result()).length;
        List<Integer> order = new ArrayList<>();
        for (int d = 0; d < rank; d++) {
            order.add(d);
        }
        if (call.operator() == GraphOperator.PERMUTE) {
            List<Long> dims = call.integers("dims");
            for (int d = 0; d < rank; d++) {
                order.set(d, Math.floorMod(dims.get(d), rank));
            }
        } else {
            int one = Math.floorMod(call.integer("dim0"), rank);
            int other = Math.floorMod(call.integer("dim1"), rank);
            order.set(one, other);
            order.set(other, one);
        }
        return new KnownNumbers(order.indexOf(in.dimension()), in.numbers());
    }

    /** Channels that lie before the last dimensions, each of which is gone through by itself. */
    private @Nullable KnownNumbers before(int last, OperatorCall call, @Nullable KnownNumbers in) {
        int rank = analysis.extents(call.result()).length;
        return in != null && in.dimension() < rank - last ? in : null;
    }

    /** Zeros around them are averaged too, if that is said. */
    private static @Nullable KnownNumbers averaged(OperatorCall call, @Nullable KnownNumbers in) {
        boolean padded =
                call.flag("count_include_pad")
                        && call.integers("padding").stream().anyMatch(p -> p != 0);
        return in != null && padded ? in.only(0) : in;
    }

    private @Nullable KnownNumbers padded(OperatorCall call, KnownNumbers in) {
        int sides = call.integers("pad").size() / 2;
        if (before(sides, call, in) == null) {
            return null;
        }
        return call.text("mode").equals("constant")
                ? in.only(call.attribute("value").map(v -> (Double) v).orElse(0.0))
                : in;
    }

    private @Nullable KnownNumbers reduced(OperatorCall call, KnownNumbers in) {
        int rank = analysis.extents(call.inputs().getFirst()).length;
        int before = 0;
        for (long given : call.integers("dim")) {
            int dimension = Math.floorMod(given, rank);
            if (dimension == in.dimension()) {
                return null;
            }
            before += dimension < in.dimension() ? 1 : 0;
        }
        boolean kept = call.flag("keepdim");
        return new KnownNumbers(in.dimension() - (kept ? 0 : before), in.numbers());
    }
}

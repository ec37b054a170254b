package io.espalier.onnx.quant.conv;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.run.OperatorTimes;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.ToDoubleFunction;

/**
 * Which units go over to integers for the least time: what each takes in floats and in integers,
 * and what it costs to go from one to the other, measured on this machine with the model's own
 * shapes; the best division is a minimum cut.
 */
final class Placement {
    private static final int RUNS = 4;
    private static final double FLOAT_BYTES = 4;

    /** Milliseconds that nothing can save. */
    private static final double NEVER = Double.MAX_VALUE / 4;

    /** Names of what is measured, most of them before that of a value. */
    private static final String FLOAT = "float ";

    private static final String INTEGER = "integer ";
    private static final String ELEMENTS = "elements ";
    private static final String IN = "to integers";
    private static final String OUT = "to floats";
    private static final String ALL = "the whole in floats";

    /** What lies between floats and integers; it belongs to no unit. */
    private static final Set<String> CONVERSIONS =
            Set.of("QuantizeLinear", "DequantizeLinear", "Transpose");

    private final OnnxGraph graph;
    private final List<Unit> units;
    private final Map<Unit, Double> floatTimes = new HashMap<>();
    private final Map<Unit, Double> integerTimes = new HashMap<>();
    private final Map<String, Double> elements = new HashMap<>();
    private final Conversions conversions;
    private double all;

    private Placement(OnnxModel model, List<Unit> units, Conversions conversions) {
        this.conversions = conversions;
        this.graph = model.graph();
        this.units = units;
    }

    /** Measures the units of a model on one batch. */
    static Placement measured(
            OnnxModel model,
            List<Unit> units,
            WeightRounding rounding,
            Map<String, Tensor> inputs,
            int threads) {
        var placement = new Placement(model, units, Conversions.measured(model, threads));
        var writer = new RegionWriter(model, new Unfitted(), rounding);
        OnnxModel integers = writer.write(units);
        placement.readFloats(OperatorTimes.of(model, inputs, threads, RUNS));
        placement.readIntegers(
                OperatorTimes.of(integers, inputs, threads, RUNS), integers, writer.unitOfNode());
        return placement;
    }

    /** What was measured, by names. */
    Map<String, Double> numbers() {
        var numbers = new TreeMap<String, Double>();
        for (Unit unit : units) {
            numbers.put(FLOAT + unit.output(), floatTime(unit));
            numbers.put(INTEGER + unit.output(), integerTime(unit));
        }
        elements.forEach((value, count) -> numbers.put(ELEMENTS + value, count));
        numbers.put(IN, conversions.in());
        numbers.put(OUT, conversions.out());
        numbers.put(ALL, all);
        return numbers;
    }

    /** What was measured before. */
    static Placement of(OnnxModel model, List<Unit> units, Map<String, Double> numbers) {
        var conversions =
                new Conversions(numbers.getOrDefault(IN, 0.0), numbers.getOrDefault(OUT, 0.0));
        var placement = new Placement(model, units, conversions);
        placement.all = numbers.getOrDefault(ALL, 0.0);
        for (Unit unit : units) {
            placement.floatTimes.put(unit, numbers.getOrDefault(FLOAT + unit.output(), 0.0));
            placement.integerTimes.put(unit, numbers.getOrDefault(INTEGER + unit.output(), 0.0));
        }
        numbers.forEach((name, count) -> {
            if (name.startsWith(ELEMENTS)) {
                placement.elements.put(name.substring(ELEMENTS.length()), count);
            }
        });
        return placement;
    }

    private void readFloats(OperatorTimes times) {
        all = times.total();
        double attributed = 0;
        double activated = 0;
        for (Unit unit : units) {
            double time = 0;
            double size = 0;
            for (OnnxNode node : unit.nodes()) {
                time += times.ofAllFrom(node);
                size = Math.max(size, times.outputBytesOf(node) / FLOAT_BYTES);
            }
            floatTimes.put(unit, time);
            elements.put(unit.output(), size);
            attributed += time;
            activated += isActivated(unit) ? size : 0;
        }
        for (Unit unit : units) {
            double ownSize = elements.getOrDefault(unit.output(), 0.0);
            for (String input : unit.inputs()) {
                OnnxNode producer = graph.producer(input);
                double size = producer == null ? 0 : times.outputBytesOf(producer) / FLOAT_BYTES;
                elements.putIfAbsent(input, size == 0 ? ownSize : size);
            }
        }
        double rest = times.total() - attributed;
        for (OnnxNode node : graph.nodes()) {
            rest -= attributed(node) ? 0 : times.ofAllFrom(node);
        }
        // Activations that the runtime takes apart have names of its own.
        for (Unit unit : units) {
            if (isActivated(unit)) {
                double share = elements.getOrDefault(unit.output(), 0.0) / Math.max(activated, 1);
                floatTimes.merge(unit, Math.max(rest, 0) * share, Double::sum);
            }
        }
    }

    private boolean attributed(OnnxNode node) {
        return units.stream().anyMatch(unit -> unit.nodes().contains(node));
    }

    private static boolean isActivated(Unit unit) {
        return unit instanceof Unit.Convolution convolution
                && (convolution.activation() == Unit.Activation.HARD_SWISH
                        || convolution.activation() == Unit.Activation.SILU);
    }

    private void readIntegers(
            OperatorTimes times, OnnxModel integers, Map<String, Unit> unitOfNode) {
        units.forEach(unit -> integerTimes.put(unit, 0.0));
        for (OnnxNode node : integers.graph().nodes()) {
            Unit unit = unitOfNode.get(node.name());
            if (unit != null && !CONVERSIONS.contains(node.op())) {
                integerTimes.merge(unit, times.ofAllFrom(node), Double::sum);
            }
        }
    }

    /**
     * The units that should be in integers.
     *
     * @param spared units that stay in floats
     * @param price what it costs besides time that a value becomes codes, in milliseconds
     */
    List<Unit> best(Set<Unit> spared, ToDoubleFunction<String> price) {
        var cut = new MinimumCut();
        var nodes = new HashMap<Unit, Integer>();
        var makers = new HashMap<String, Integer>();
        var coded = new HashMap<String, Integer>();
        for (Unit unit : units) {
            int node = cut.node();
            nodes.put(unit, node);
            makers.put(unit.output(), node);
            cut.cost(cut.first(), node, floatTime(unit));
            double inside = unit.inner().stream().mapToDouble(price).sum();
            cut.cost(
                    node, cut.second(), spared.contains(unit) ? NEVER : integerTime(unit) + inside);
        }
        for (Unit unit : units) {
            for (String value : unit.coded()) {
                int codes = coded.computeIfAbsent(value, name -> cut.node());
                cut.cost(node(nodes, unit), codes, NEVER);
            }
        }
        coded.forEach((value, codes) -> {
            cut.cost(codes, cut.second(), price.applyAsDouble(value));
            // A value that is made in floats and read in integers.
            cut.cost(
                    codes,
                    makers.getOrDefault(value, cut.second()),
                    conversions.in() * elements.getOrDefault(value, 0.0));
        });
        for (Unit unit : units) {
            int leaves = cut.node();
            double size = elements.getOrDefault(unit.output(), 0.0);
            cut.cost(node(nodes, unit), leaves, conversions.out() * size);
            if (graph.isOutput(unit.output())) {
                cut.cost(leaves, cut.second(), NEVER);
            }
            for (OnnxNode reader : graph.readers(unit.output())) {
                int reading =
                        units.stream()
                                .filter(other ->
                                        other.nodes().contains(reader)
                                                && other.inputs().contains(unit.output()))
                                .findFirst()
                                .map(other -> node(nodes, other))
                                .orElse(cut.second());
                cut.cost(leaves, reading, NEVER);
            }
        }
        boolean[] onFirst = cut.onFirst();
        var chosen = new ArrayList<Unit>();
        for (Unit unit : units) {
            if (onFirst[node(nodes, unit)]) {
                chosen.add(unit);
            }
        }
        return chosen;
    }

    /** How many times faster the model should be with these units in integers; 1 if unknown. */
    double speedup(Collection<Unit> chosen) {
        var made = new HashSet<String>();
        chosen.forEach(unit -> made.add(unit.output()));
        var coded = new HashSet<String>();
        double left = all;
        for (Unit unit : chosen) {
            left += integerTime(unit) - floatTime(unit);
            for (String value : unit.coded()) {
                if (!made.contains(value) && coded.add(value)) {
                    left += conversions.in() * elements.getOrDefault(value, 0.0);
                }
            }
            boolean leaves =
                    graph.isOutput(unit.output())
                            || graph.readers(unit.output()).stream()
                                    .anyMatch(reader ->
                                            chosen.stream()
                                                    .noneMatch(other ->
                                                            other.nodes().contains(reader)));
            left += leaves ? conversions.out() * elements.getOrDefault(unit.output(), 0.0) : 0;
        }
        return all == 0 ? 1 : all / Math.max(left, Double.MIN_NORMAL);
    }

    private static int node(Map<Unit, Integer> nodes, Unit unit) {
        return nodes.getOrDefault(unit, -1);
    }

    /** What a unit takes in floats, in milliseconds. */
    double floatTime(Unit unit) {
        return floatTimes.getOrDefault(unit, 0.0);
    }

    /** What a unit takes in integers, in milliseconds. */
    double integerTime(Unit unit) {
        return integerTimes.getOrDefault(unit, 0.0);
    }

    /** What an element takes on its way to integers and back, in milliseconds. */
    record Conversions(double in, double out) {
        private static final long SIZE = 64;

        static Conversions measured(OnnxModel versions, int threads) {
            Map<String, ConstantTensor> constants =
                    Map.of(
                            "scale", ConstantTensor.scalar(1),
                            "zero", ConstantTensor.bytes(ElementType.UINT8, List.of(), (byte) 0));
            String domain = RegionWriter.domainOfConversions(versions);
            List<OnnxNode> nodes =
                    List.of(
                            OnnxNode.of(
                                    domain,
                                    "QuantizeLinear",
                                    List.of("x", "scale", "zero"),
                                    List.of("a")),
                            OnnxNode.of("Transpose", List.of("a"), "b")
                                    .with("perm", List.of(0L, 2L, 3L, 1L)),
                            OnnxNode.of(
                                    domain,
                                    "DequantizeLinear",
                                    List.of("b", "scale", "zero"),
                                    List.of("c")),
                            OnnxNode.of("Transpose", List.of("c"), "d")
                                    .with("perm", List.of(0L, 3L, 1L, 2L)));
            OnnxModel model =
                    versions.withOpset(OnnxNode.MICROSOFT, 1)
                            .fragment(
                                    nodes,
                                    constants,
                                    Map.of("x", ElementType.FLOAT),
                                    List.of("a", "b", "c", "d"));
            try (var scope = new PointerScope()) {
                OperatorTimes times =
                        OperatorTimes.of(
                                model,
                                Map.of("x", Tensors.zeros(1, SIZE, SIZE, SIZE)),
                                threads,
                                RUNS);
                double elements = (double) SIZE * SIZE * SIZE;
                return new Conversions(
                        (times.ofAllFrom(nodes.get(0)) + times.ofAllFrom(nodes.get(1))) / elements,
                        (times.ofAllFrom(nodes.get(2)) + times.ofAllFrom(nodes.get(3))) / elements);
            }
        }
    }
}

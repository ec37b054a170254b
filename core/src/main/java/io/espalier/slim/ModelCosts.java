package io.espalier.slim;

import io.espalier.graph.GraphCost;
import io.espalier.graph.GraphTimes;
import io.espalier.graph.Node;
import io.espalier.slim.Remainders.Remainder;
import io.espalier.train.Latency;

import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.List;
import java.util.NavigableMap;
import java.util.OptionalInt;
import java.util.TreeMap;
import java.util.function.ToLongFunction;
import java.util.stream.Stream;

/** What a Java model costs at each width of its groups: counted, or measured on this machine. */
final class ModelCosts {
    private static final int RUNS = 5;

    private final ModelSlimmer slimmer;
    private final ModelAnalysis analysis;
    private final List<Group> groups;
    private final LeftOutModules blocks;
    private final Remainders left;

    ModelCosts(ModelSlimmer slimmer, List<Group> groups, LeftOutModules blocks) {
        this.slimmer = slimmer;
        this.groups = groups;
        this.blocks = blocks;
        analysis = slimmer.analysis();
        left = new Remainders(slimmer.groups(), groups);
    }

    /** Multiplications of a call with the example. */
    WidthCosts macs() {
        var costs = blocks.costs();
        for (GraphCost.Row row : rows()) {
            OptionalInt block = blocks.of(row.node());
            List<String> weights = weights(row.node());
            double all = weights.stream().mapToDouble(this::elements).sum();
            for (String weight : weights) {
                // A layer multiplies all elements of its weights equally often.
                double part = row.macs() * elements(weight) / all;
                costs.add(
                        share -> share * part, blocks.within(block, ofWeight(weight, row.node())));
            }
            if (weights.isEmpty() && row.macs() > 0) {
                costs.add(share -> share * row.macs(), blocks.within(block, ofProduct(row.node())));
            }
        }
        return costs;
    }

    private List<GraphCost.Row> rows() {
        return analysis.traced().costs(slimmer.example()).rows();
    }

    /** Elements of parameters. */
    WidthCosts parameters() {
        return ofTensors(
                slimmer.cost().parameters(),
                held -> held.owner().hasParameter(held.name()) ? held.tensor().numel() : 0);
    }

    /** Bytes of parameters and buffers. */
    WidthCosts bytes() {
        return ofTensors(heldBytes(), held -> held.tensor().nbytes());
    }

    /** The bytes of all parameters and buffers as they are now. */
    long heldBytes() {
        return new ModelTensors(analysis.model())
                .all().values().stream().mapToLong(held -> held.tensor().nbytes()).sum();
    }

    private WidthCosts ofTensors(long all, ToLongFunction<ModelTensors.Held> size) {
        var costs = blocks.costs();
        costs.addFixed(all);
        for (String name : analysis.constants().keySet()) {
            double part = size.applyAsLong(analysis.tensors().held(name));
            costs.addFixed(-part);
            costs.add(share -> share * part, blocks.within(blocks.of(name), ofConstant(name)));
        }
        return costs;
    }

    /**
     * Milliseconds of a call with the example: each step's, with all groups at the same share, as a
     * function of the work that is left of it.
     */
    WidthCosts times(Slimming.Listener listener) {
        List<Node> nodes = analysis.traced().graph().nodes();
        List<NavigableMap<Double, Double>> samples = new ArrayList<>();
        nodes.forEach(node -> samples.add(new TreeMap<>()));
        var costs = blocks.costs();
        List<Double> shares = WidthCosts.MEASURED_AT;
        for (int i = 0; i < shares.size(); i++) {
            listener.at("measuring times", i, shares.size());
            int[] widths = UnitWidths.of(groups, shares.get(i));
            double[] times = slimmer.narrowed(groups, blocks, widths, this::stepTimes);
            for (int n = 0; n < times.length; n++) {
                samples.get(n).merge(work(nodes.get(n), widths), times[n], Math::min);
            }
        }
        double known = samples.stream().mapToDouble(each -> each.lastEntry().getValue()).sum();
        costs.addFixed(Math.max(0, time() - known));
        for (int n = 0; n < nodes.size(); n++) {
            Node node = nodes.get(n);
            costs.add(
                    WidthCosts.through(samples.get(n)),
                    blocks.within(blocks.of(node), factors(node)));
        }
        return costs;
    }

    private double[] stepTimes() {
        TracedModel now = TracedModel.of(analysis.model(), slimmer.example());
        try (var trial = new Trial(now.program())) {
            return GraphTimes.of(now.program(), RUNS, slimmer.example());
        }
    }

    /** Milliseconds of a call of the model itself with the example. */
    double time() {
        try (var trial = new Trial(analysis.model())) {
            Tensor[] example = slimmer.example().toArray(Tensor[]::new);
            return Latency.medians(List.of(analysis.model()), RUNS, example)[0];
        }
    }

    private double work(Node node, int[] widths) {
        return Remainders.ofProduct(factors(node), widths);
    }

    /** What a step's time is about a product of. */
    private List<Remainder> factors(Node node) {
        List<String> weights = weights(node);
        if (!weights.isEmpty()) {
            return ofWeight(weights.getFirst(), node);
        }
        boolean sums = analysis.ends().stream().anyMatch(end -> end.node().equals(node));
        return sums ? ofProduct(node) : ofElements(node);
    }

    /** The weights of a layer that go with channels, the largest first. */
    private List<String> weights(Node node) {
        return node.modulePath().stream()
                .flatMap(path -> analysis.tensors().below(path).stream())
                .filter(name -> analysis.constants().containsKey(name))
                .filter(name -> analysis.looked(name).length > 1)
                .distinct()
                .sorted((a, b) -> Double.compare(elements(b), elements(a)))
                .toList();
    }

    private double elements(String name) {
        double elements = 1;
        for (long extent : analysis.looked(name)) {
            elements *= extent;
        }
        return elements;
    }

    private List<Remainder> ofConstant(String name) {
        return left.of(analysis.constants().getOrDefault(name, List.of()));
    }

    /** Of a layer's weight, and of the places at which the layer multiplies by it. */
    private List<Remainder> ofWeight(String name, Node node) {
        List<ModelEnd> ends =
                analysis.ends().stream().filter(end -> end.node().equals(node)).toList();
        List<Axis> axes = new ArrayList<>(analysis.constants().getOrDefault(name, List.<Axis>of()));
        if (ends.size() == 1) {
            ModelEnd.Side side = ends.getFirst().one();
            List<Axis> places = new ArrayList<>(side.operand().known().axes());
            places.remove(side.dimension());
            axes.addAll(places);
        }
        return left.of(axes);
    }

    /** Of what a step gives, and of what it sums over. */
    private List<Remainder> ofProduct(Node node) {
        Stream<Axis> summed =
                analysis.ends().stream()
                        .filter(end -> end.node().equals(node))
                        .map(end -> end.other() == null ? end.one() : end.other())
                        .map(side -> side.operand().known().axes().get(side.dimension()));
        return left.of(
                Stream.concat(analysis.value(node.result()).axes().stream(), summed).toList());
    }

    /** Of what a step gives or is given first, whatever changes more. */
    private List<Remainder> ofElements(Node node) {
        List<Remainder> results = left.of(analysis.value(node.result()).axes());
        List<Remainder> given =
                node.inputs().isEmpty()
                        ? List.of()
                        : left.of(analysis.value(node.inputs().getFirst()).axes());
        return given.size() > results.size() ? given : results;
    }
}

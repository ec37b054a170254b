package io.espalier.onnx.slim;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.run.OperatorTimes;
import io.espalier.onnx.shape.ModelCost;
import io.espalier.slim.Group;
import io.espalier.slim.Remainders;
import io.espalier.slim.Remainders.Remainder;
import io.espalier.slim.Unit;
import io.espalier.slim.UnitWidths;
import io.espalier.slim.WidthCosts;

import org.bytedeco.pytorch.Tensor;

import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.ToLongFunction;

/** What a model costs at each width of its groups: counted, or measured on this machine. */
final class Costs {
    private static final int RUNS = 3;
    private static final Set<String> RECURRENT = Set.of("LSTM", "GRU", "RNN");

    private final OnnxSlimmer slimmer;
    private final List<Group> groups;
    private final LeftOutBlocks blocks;
    private final NodeRemainders left;

    Costs(OnnxSlimmer slimmer, List<Group> groups, LeftOutBlocks blocks) {
        this.slimmer = slimmer;
        this.groups = groups;
        this.blocks = blocks;
        left = new NodeRemainders(slimmer.analysis(), new Remainders(slimmer.groups(), groups));
    }

    /** Multiplications with inputs of these extents. */
    WidthCosts macs(Map<String, List<Long>> extents) {
        var costs = blocks.costs();
        for (ModelCost.Row row : ModelCost.of(slimmer.model(), extents).rows()) {
            OnnxNode node = row.node();
            OptionalInt block = blocks.of(node);
            if (RECURRENT.contains(node.op())) {
                // What is given and what was given before have weights of their own.
                double all = elements(node.input(1)) + elements(node.input(2));
                for (String weight : node.inputs().subList(1, 3)) {
                    double part = row.macs() * elements(weight) / all;
                    costs.add(share -> share * part, blocks.within(block, left.of(weight, 0)));
                }
            } else if (row.macs() > 0) {
                costs.add(share -> share * row.macs(), blocks.within(block, left.ofMacs(node)));
            }
        }
        return costs;
    }

    private double elements(String constant) {
        ConstantTensor weight = slimmer.model().graph().constants().get(constant);
        return weight == null ? 0.5 : weight.elements();
    }

    /** Elements of weights. */
    WidthCosts parameters() {
        return ofConstants(ModelCost.of(slimmer.model()).parameters(), ConstantTensor::elements);
    }

    /** Bytes of the file. */
    WidthCosts bytes() {
        return ofConstants(slimmer.model().byteSize(), ConstantTensor::byteSize);
    }

    private WidthCosts ofConstants(long all, ToLongFunction<ConstantTensor> size) {
        var costs = blocks.costs();
        costs.addFixed(all);
        slimmer.model()
                .graph()
                .constants()
                .forEach((name, constant) -> {
                    List<Remainder> factors = blocks.within(blocks.of(name), left.of(name, 0));
                    if (!factors.isEmpty()) {
                        long part = size.applyAsLong(constant);
                        costs.addFixed(-part);
                        costs.add(share -> share * part, factors);
                    }
                });
        return costs;
    }

    /**
     * Milliseconds of one run with these inputs: each operator's, in models of which all groups
     * keep the same share, as a function of the work that is left of it.
     */
    WidthCosts times(Map<String, Tensor> inputs, Slimming.Listener listener) {
        int threads = Runtime.getRuntime().availableProcessors();
        Map<String, NavigableMap<Double, Double>> samples = new HashMap<>();
        double rest = 0;
        List<Double> shares = WidthCosts.MEASURED_AT;
        for (int i = 0; i < shares.size(); i++) {
            listener.at("measuring times", i, shares.size());
            int[] widths = UnitWidths.of(groups, shares.get(i));
            OperatorTimes times = OperatorTimes.of(narrowed(widths), inputs, threads, RUNS);
            double known = 0;
            for (OnnxNode node : slimmer.model().graph().nodes()) {
                double time = times.ofAllFrom(node);
                known += time;
                samples.computeIfAbsent(node.output(), k -> new TreeMap<>())
                        .merge(work(node, widths), time, Math::min);
            }
            rest = i == 0 ? times.total() - known : rest;
        }
        var costs = blocks.costs();
        costs.addFixed(rest);
        for (OnnxNode node : slimmer.model().graph().nodes()) {
            costs.add(
                    WidthCosts.through(samples.getOrDefault(node.output(), new TreeMap<>())),
                    blocks.within(blocks.of(node), factors(node)));
        }
        return costs;
    }

    private double work(OnnxNode node, int[] widths) {
        return Remainders.ofProduct(factors(node), widths);
    }

    private List<Remainder> factors(OnnxNode node) {
        return switch (node.op()) {
            case "Conv", "ConvTranspose", "MatMul", "FusedMatMul", "Gemm", "LSTM", "GRU", "RNN" ->
                    left.ofMacs(node);
            default -> left.ofElements(node);
        };
    }

    /** A model of such widths, with any units. */
    OnnxModel narrowed(int[] widths) {
        int[] ofGroups = Arrays.copyOf(widths, groups.size());
        List<Unit> gone = slimmer.leavingSome(UnitWidths.last(groups, ofGroups));
        return slimmer.remove(gone, slimmer.model(), blocks, widths);
    }
}

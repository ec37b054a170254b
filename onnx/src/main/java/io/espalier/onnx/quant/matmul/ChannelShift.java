package io.espalier.onnx.quant.matmul;

import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Lays the channels of values that products read about zero, without a change in what the model
 * computes: with {@code δ} each channel's centre, what gives the value adds {@code δ} less, each
 * product adds {@code δW} more, and where the value goes past the products too, in a residual
 * connection, what it is added to gets {@code δ}.
 *
 * @param model the model so changed
 * @param shifts what was taken from the channels of each shifted value
 */
record ChannelShift(OnnxModel model, Map<String, float[]> shifts) {
    /** A model that nothing was done to. */
    static ChannelShift none(OnnxModel model) {
        return new ChannelShift(model, Map.of());
    }

    /** What has to be changed for one value. */
    @SuppressWarnings("ArrayRecordComponent") // read where it is made, never compared
    private record Plan(
            SiteGroup group, ChannelOffset from, List<ChannelOffset> residuals, float[] shift) {}

    /** Shifts a copy of a model wherever that is exact. */
    static ChannelShift apply(
            OnnxModel model, List<SiteGroup> groups, ActivationStatistics statistics) {
        var shifts = new LinkedHashMap<String, float[]>();
        OnnxModel shifted =
                model.rewritten(graph -> {
                    for (Plan plan : plans(graph, groups, statistics)) {
                        apply(graph, plan);
                        shifts.put(plan.group().input(), plan.shift());
                    }
                });
        return new ChannelShift(shifted, shifts);
    }

    private static List<Plan> plans(
            OnnxGraph graph, List<SiteGroup> groups, ActivationStatistics statistics) {
        var plans = new ArrayList<Plan>();
        Set<OnnxNode> taken = new HashSet<>();
        for (SiteGroup group : groups) {
            if (!group.quantizable().isEmpty() && statistics.has(group.input())) {
                plan(graph, group, statistics.ranges(group.input()).centres(), taken)
                        .ifPresent(plans::add);
            }
        }
        return plans;
    }

    /**
     * @param taken residual sums that were planned with, of which each is for one value only
     */
    private static Optional<Plan> plan(
            OnnxGraph graph, SiteGroup group, float[] shift, Set<OnnxNode> taken) {
        String value = group.input();
        Optional<ChannelOffset> from = ChannelOffset.of(graph, value, group.channels());
        if (from.isEmpty() || graph.isOutput(value)) {
            return Optional.empty();
        }
        var residuals = new ArrayList<ChannelOffset>();
        var sums = new ArrayList<OnnxNode>();
        for (OnnxNode reader : graph.readers(value)) {
            if (group.has(reader) || reader.is("Shape")) {
                continue;
            }
            Optional<ChannelOffset> other = otherSide(graph, reader, value, group.channels());
            if (other.isEmpty() || taken.contains(reader)) {
                return Optional.empty();
            }
            residuals.add(other.get());
            sums.add(reader);
        }
        taken.addAll(sums);
        return Optional.of(new Plan(group, from.get(), residuals, shift));
    }

    /** Of a residual sum, the offset of what a value is added to, if nothing else reads that. */
    private static Optional<ChannelOffset> otherSide(
            OnnxGraph graph, OnnxNode sum, String value, int channels) {
        if (!sum.is("Add") || sum.input(0).equals(sum.input(1))) {
            return Optional.empty();
        }
        String other = sum.input(0).equals(value) ? sum.input(1) : sum.input(0);
        return graph.onlyReader(other) == sum
                ? ChannelOffset.of(graph, other, channels)
                : Optional.empty();
    }

    private static void apply(OnnxGraph graph, Plan plan) {
        plan.from().add(graph, plan.shift(), -1);
        plan.residuals().forEach(residual -> residual.add(graph, plan.shift(), 1));
        // The nodes of sites may have been replaced by those of other values' shifts.
        for (SiteGroup group : SiteGroup.of(graph, MatMulSettings.DEFAULT)) {
            if (group.input().equals(plan.group().input())) {
                group.sites().forEach(site -> compensate(graph, site, plan.shift()));
            }
        }
    }

    private static void compensate(OnnxGraph graph, MatMulSite site, float[] shift) {
        try (var scope = new PointerScope()) {
            Tensor weight = site.weight(graph);
            Tensor more = Tensors.of(shift).matmul(weight);
            Tensor bias = site.bias(graph).map(b -> Tensors.of(b).add(more)).orElse(more);
            site.setBias(graph, Tensors.floats(bias));
        }
    }
}

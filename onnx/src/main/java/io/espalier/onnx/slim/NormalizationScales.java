package io.espalier.onnx.slim;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.repair.Repair;
import io.espalier.slim.Axis;
import io.espalier.slim.ChannelValue;
import io.espalier.slim.Group;
import io.espalier.slim.Groups;
import io.espalier.slim.Unit;

import org.jspecify.annotations.Nullable;

import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * The scales that BatchNormalizations of the file as it came in give to units. The repaired model
 * has most of them in its convolutions; their values are still there by name.
 */
final class NormalizationScales {
    private final Analysis analysis;
    private final Groups groups;
    private final Map<Unit, Double> sums = new HashMap<>();

    NormalizationScales(OnnxSlimmer slimmer) {
        analysis = slimmer.analysis();
        groups = slimmer.groups();
        OnnxModel plain =
                Repair.run(
                                slimmer.original().withWeightsTaken(),
                                List.of(Repair.pass("functions"), Repair.pass("constant-folding")))
                        .model();
        for (OnnxNode node : plain.graph().nodes()) {
            ConstantTensor scales =
                    node.is("BatchNormalization") ? plain.graph().constant(node.input(1)) : null;
            if (scales != null) {
                add(node, scales);
            }
        }
    }

    private void add(OnnxNode node, ConstantTensor scales) {
        Axis after = channels(node.output(), scales.elements());
        Axis channels = after == null ? channels(node.input(0), scales.elements()) : after;
        float[] each = scales.toFloats();
        for (int i = 0; channels != null && !channels.isPlain() && i < each.length; i++) {
            for (Unit unit : groups.units(channels, i)) {
                sums.merge(unit, (double) Math.abs(each[i]), Double::sum);
            }
        }
    }

    private @Nullable Axis channels(String value, long count) {
        ChannelValue known = analysis.values().get(value);
        return known == null || known.rank() < 2 || known.extents()[1] != count
                ? null
                : known.axes().get(1);
    }

    /** Whether all units of a group have some. */
    boolean knows(Group group) {
        return sums.keySet().containsAll(group.units());
    }

    /** The sum of those of each unit. */
    double[] of(Group group) {
        return group.units().stream().mapToDouble(unit -> sums.getOrDefault(unit, 0.0)).toArray();
    }
}

package io.espalier.onnx.shape;

import io.espalier.onnx.model.ElementType;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/** What makes one number of all along some dimensions. */
final class ReductionRules {
    private ReductionRules() {}

    static void addTo(Rules rules) {
        rules.standard(
                        call -> reduce(call, call.longs("axes", 1)),
                        "ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2"
                                + " ReduceLogSum ReduceLogSumExp ReduceSumSquare")
                .standard(ReductionRules::argument, "ArgMax ArgMin")
                .standard(ReductionRules::topK, "TopK");
        rules.microsoft(call -> reduce(call, call.longs("axes", -1)), "QLinearReduceMean");
    }

    private static void reduce(Call call, @Nullable List<Long> axes) {
        call.give(0, call.type(0));
        if ((axes == null || axes.isEmpty()) && call.node.integer("noop_with_empty_axes", 0) != 0) {
            call.give(0, call.shape(0));
            return;
        }
        int rank = call.rank(0);
        Set<Integer> reduced = new HashSet<>();
        for (int dim = 0; dim < rank; dim++) {
            if (axes == null || axes.isEmpty()) {
                reduced.add(dim);
            }
        }
        if (axes != null) {
            axes.forEach(axis -> reduced.add(Call.axis(axis, rank)));
        }
        call.give(0, without(call, reduced));
    }

    private static List<Extent> without(Call call, Set<Integer> reduced) {
        boolean keep = call.node.integer("keepdims", 1) != 0;
        var shape = new ArrayList<Extent>();
        for (int dim = 0; dim < call.rank(0); dim++) {
            if (!reduced.contains(dim)) {
                shape.add(call.shape(0).get(dim));
            } else if (keep) {
                shape.add(Extent.ONE);
            }
        }
        return shape;
    }

    private static void argument(Call call) {
        call.give(0, ElementType.INT64);
        call.give(0, without(call, Set.of(call.axis("axis", 0, call.rank(0)))));
    }

    private static void topK(Call call) {
        call.give(0, call.type(0));
        call.give(1, ElementType.INT64);
        int axis = call.axis("axis", -1, call.rank(0));
        var shape = new ArrayList<>(call.shape(0));
        if (call.node.has("k")) {
            shape.set(axis, Extent.of(call.node.integer("k", 0)));
        } else {
            Extent k = call.contents(1).single().whole();
            shape.set(axis, k.least() >= 0 ? k : call.unknown());
        }
        call.give(0, shape);
        call.give(1, shape);
    }
}

package io.espalier.slim;

import io.espalier.graph.Graph;
import io.espalier.graph.GraphModule;
import io.espalier.graph.GraphOperator;
import io.espalier.graph.Node.OperatorCall;
import io.espalier.graph.Value;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * What is known of the parts that an operator takes of a value's channels, or of channels in
 * another order: it is run on one number for each.
 */
final class SteadyParts {
    private static final Set<GraphOperator> PARTS =
            Set.of(
                    GraphOperator.CHUNK,
                    GraphOperator.SPLIT,
                    GraphOperator.SPLIT_WITH_SIZES,
                    GraphOperator.NARROW,
                    GraphOperator.SLICE,
                    GraphOperator.FLIP,
                    GraphOperator.GLU);

    private static final Set<GraphOperator> PLACES =
            Set.of(GraphOperator.SELECT, GraphOperator.UNBIND);

    private SteadyParts() {}

    /** Whether an operator takes parts of one value. */
    static boolean areOf(OperatorCall call) {
        return PARTS.contains(call.operator()) || PLACES.contains(call.operator());
    }

    /**
     * The known numbers of each result, as far as there are some.
     *
     * @param rank of the value
     */
    static Map<Value, KnownNumbers> of(OperatorCall call, KnownNumbers in, int rank) {
        Map<Value, KnownNumbers> parts = new HashMap<>();
        List<Long> given =
                call.calls(GraphOperator.FLIP)
                        ? call.integers("dims")
                        : List.of(call.integer("dim"));
        List<Integer> along = given.stream().map(d -> Math.floorMod(d, rank)).toList();
        boolean places = PLACES.contains(call.operator());
        if (!along.contains(in.dimension())) {
            int fewer = places && along.getFirst() < in.dimension() ? 1 : 0;
            // Halves elsewhere may be other numbers than zero times one.
            KnownNumbers left = call.calls(GraphOperator.GLU) ? in.only(0) : in;
            call.results().forEach(r -> parts.put(r, left.along(in.dimension() - fewer)));
        } else if (!places) {
            List<KnownNumbers> taken = taken(call, in, rank);
            for (int i = 0; i < taken.size(); i++) {
                parts.put(call.results().get(i), taken.get(i));
            }
        }
        return parts;
    }

    private static List<KnownNumbers> taken(OperatorCall call, KnownNumbers in, int rank) {
        long[] shape = new long[rank];
        Arrays.fill(shape, 1);
        shape[in.dimension()] = in.numbers().length;
        var step =
                new GraphModule(new Graph(call.inputs(), List.of(call), call.results()), Map.of());
        try (var scope = new PointerScope()) {
            Tensor numbers = KnownNumbers.tensor(in.numbers(), ScalarType.Double, shape);
            return step.callAll(List.of(numbers)).stream()
                    .map(part -> new KnownNumbers(in.dimension(), Tensors.doubles(part)))
                    .map(part -> call.calls(GraphOperator.GLU) ? gated(part, in) : part)
                    .toList();
        }
    }

    /** Zero times whatever number is zero. */
    private static KnownNumbers gated(KnownNumbers found, KnownNumbers in) {
        return found.with(found.numbers().length, i -> in.isZero(i) ? 0 : found.numbers()[i]);
    }
}

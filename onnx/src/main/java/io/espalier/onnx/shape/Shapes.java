package io.espalier.onnx.shape;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.proto.ValueInfoProto;
import io.espalier.tensor.EspalierException;

import org.jspecify.annotations.Nullable;

import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The types and extents of all values of a model's graph, found without running it.
 *
 * <p>Extents depend on the free dimensions of the inputs by their names in the file; one without a
 * name is called by its input and place, such as {@code x_2}. An operator without a rule, or one
 * whose operands contradict it, gives values of which only what the file itself says is known.
 * Graphs inside nodes are gone through, but their own values are not listed.
 */
public final class Shapes {
    private final OnnxGraph graph;
    private final Scope scope;

    private Shapes(OnnxGraph graph, Scope scope) {
        this.graph = graph;
        this.scope = scope;
    }

    /** What holds in any run. */
    public static Shapes of(OnnxModel model) {
        return of(model, Map.of());
    }

    /**
     * What holds in a run with inputs of these extents; inputs that are not named stay as free as
     * they are, but for dimensions that share a name with one that is given.
     *
     * @throws EspalierException if the model has no such input, or takes none of these extents
     */
    public static Shapes of(OnnxModel model, Map<String, List<Long>> inputExtents) {
        OnnxGraph graph = model.graph();
        var inputs = new InputExtents(graph);
        var world = new Scope.World(model.opsets(), inputs.sizes(inputExtents));
        var scope = new Scope(world, new GraphSource(graph));
        for (ValueInfoProto input : graph.inputs()) {
            List<Long> given = inputExtents.get(input.getName());
            scope.put(input.getName(), inputs.type(input, world.sizes, given));
        }
        Inference.run(graph.nodes(), scope);
        return new Shapes(graph, scope);
    }

    /** Constants in each run, and what the file says of values. */
    private record GraphSource(OnnxGraph graph) implements Scope.Source {
        @Override
        public @Nullable ConstantTensor constant(String name) {
            return graph.constant(name);
        }

        @Override
        public @Nullable ValueInfoProto declared(String name) {
            ValueInfoProto info = graph.valueInfo(name);
            if (info != null || !graph.isOutput(name)) {
                return info;
            }
            return graph.outputs().stream()
                    .filter(output -> output.getName().equals(name))
                    .findFirst()
                    .orElse(null);
        }
    }

    /**
     * Nodes whose operands no run takes, in the graph's order, as far as that is seen: products
     * whose extents differ, or what is computed element by element.
     */
    public List<Contradiction> contradictions() {
        return List.copyOf(scope.contradictions());
    }

    /**
     * Refuses a model that can't run, whatever it is given.
     *
     * @param model its name
     * @throws EspalierException with the first of the {@link #contradictions}
     */
    public void requireRunning(Object model) {
        List<Contradiction> all = contradictions();
        if (!all.isEmpty()) {
            Contradiction first = all.getFirst();
            OnnxNode node = first.node();
            String operator = node.domain().isEmpty() ? node.op() : node.domain() + "." + node.op();
            throw new EspalierException(
                    "%s can't run: its node '%s' (%s) %s."
                            .formatted(model, node.name(), operator, first.words()));
        }
    }

    /** What is known of a value; {@link ValueType#UNKNOWN} also if there is none of this name. */
    public ValueType type(String value) {
        ValueType type = scope.type(value);
        ConstantTensor defaultValue = graph.constants().get(value);
        return type.equals(ValueType.UNKNOWN) && defaultValue != null
                ? Scope.of(defaultValue)
                : type;
    }

    /** The type of a value's elements; null if it is not known. */
    public @Nullable ElementType elements(String value) {
        return type(value).elements();
    }

    /**
     * The type of what a division of the model divides, also within graphs inside nodes; null if it
     * is not known.
     */
    public @Nullable ElementType divided(OnnxNode division) {
        return scope.world.divided(division.toProto());
    }

    /** The extents of a value, outermost first; null if not even their number is known. */
    public @Nullable List<Extent> shape(String value) {
        return type(value).shape();
    }

    /** The extents of a value if they are the same in each such run; null otherwise. */
    public @Nullable List<Long> extents(String value) {
        List<Extent> shape = shape(value);
        return shape == null || !shape.stream().allMatch(Extent::isKnown)
                ? null
                : shape.stream().map(Extent::value).toList();
    }

    /**
     * The elements of a small tensor of integers, row by row, as far as they follow from the
     * inputs' extents; null if nothing is known of them.
     */
    public @Nullable List<Extent> integers(String value) {
        Contents contents = scope.contents(value);
        return contents == null
                        || !Contents.isOf(elements(value))
                        || contents.elements().stream().anyMatch(e -> e.denominator() != 1)
                ? null
                : contents.whole();
    }

    /**
     * Whether a condition holds, as far as that follows from the inputs' extents; empty if it
     * doesn't, or the value is not one truth value.
     */
    public Optional<Boolean> truth(String value) {
        Contents contents = scope.contents(value);
        boolean known =
                contents != null
                        && elements(value) == ElementType.BOOL
                        && contents.elements().size() == 1
                        && contents.elements().getFirst().denominator() == 1
                        && contents.whole().getFirst().isKnown();
        return known && contents != null
                ? Optional.of(contents.whole().getFirst().value() != 0)
                : Optional.empty();
    }
}

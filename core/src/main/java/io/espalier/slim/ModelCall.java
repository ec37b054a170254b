package io.espalier.slim;

import io.espalier.graph.Node;
import io.espalier.graph.Node.OperatorCall;

import org.jspecify.annotations.Nullable;

import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.ToLongFunction;

/** A step of a traced program as its rule sees it. */
final class ModelCall extends ChannelCall {
    private final ModelAnalysis analysis;
    private final Node node;
    private final List<@Nullable ModelOperand> operands;

    /**
     * A step.
     *
     * @param operands the tensors that it is given, and after them those of its own if it is a
     *     layer; null for one that is left out
     */
    ModelCall(ModelAnalysis analysis, Node node, List<@Nullable ModelOperand> operands) {
        super(analysis.flow());
        this.analysis = analysis;
        this.node = node;
        this.operands = operands;
    }

    @Override
    protected String name() {
        return "'%s'".formatted(node.modulePath().orElse(node.result().name()));
    }

    @Override
    public int operands() {
        return operands.size();
    }

    @Override
    public boolean has(int place) {
        return place < operands.size() && operands.get(place) != null;
    }

    @Override
    protected @Nullable ChannelValue known(int place) {
        ModelOperand operand = place < operands.size() ? operands.get(place) : null;
        return operand == null ? null : operand.known();
    }

    @Override
    public int results() {
        return node.results().size();
    }

    @Override
    public long[] resultExtents(int place) {
        return analysis.extents(node.results().get(place));
    }

    /** Whether anybody wants a result. */
    boolean isUsed(int place) {
        return place < results() && analysis.isUsed(node.results().get(place));
    }

    @Override
    public void give(int place, List<Axis> axes) {
        if (place < results()) {
            analysis.give(node.results().get(place), axes);
        }
    }

    /** The channels along a dimension of a result that was given. */
    Axis given(int place, int dimension) {
        return analysis.value(node.results().get(place)).axes().get(dimension);
    }

    @Override
    public void ends(int place, int dimension, int other, int otherDimension, long groups) {
        ModelOperand one = operands.get(place);
        ModelOperand second = other < 0 ? null : operands.get(other);
        if (one != null) {
            analysis.ends(
                    new ModelEnd(
                            node,
                            new ModelEnd.Side(one, dimension),
                            second == null ? null : new ModelEnd.Side(second, otherDimension),
                            groups));
        }
    }

    /** The step as a call of an operator. */
    OperatorCall operator() {
        if (node instanceof OperatorCall call) {
            return call;
        }
        throw new IllegalStateException(node + " is no operator");
    }

    /** A number of the operator's. */
    long integer(String attribute) {
        return fixed(operator().attribute(attribute), attribute);
    }

    /** A number of the operator's that may be left out. */
    Optional<Long> optionalInteger(String attribute) {
        Optional<Object> value = operator().attribute(attribute);
        return value.isEmpty() ? Optional.empty() : Optional.of(fixed(value, attribute));
    }

    private static long fixed(Optional<Object> value, String attribute) {
        if (value.orElse(null) instanceof Long number) {
            return number;
        }
        throw new NotUnderstood("'" + attribute + "' depends on sizes");
    }

    /** Numbers of the operator's. */
    long[] integers(String attribute) {
        if (operator().attribute(attribute).orElse(null) instanceof List<?> list
                && list.stream().allMatch(Long.class::isInstance)) {
            return list.stream().mapToLong(Long.class::cast).toArray();
        }
        throw new NotUnderstood("'" + attribute + "' depends on sizes");
    }

    /**
     * Says that a number of the operator's counts channels, if it is one that doesn't follow from
     * the sizes of inputs.
     *
     * @param element its place in a list; -1 for a number alone
     * @param after what it has to be when some have gone
     */
    void counts(String attribute, int element, List<Axis> axes, ToLongFunction<Cut> after) {
        analysis.counts(node, attribute, element, axes, after);
    }

    /** Says what the sizes of the layer are when some channels have gone. */
    void resizes(Function<Cut, long[]> after) {
        analysis.resizes(node.modulePath().orElseThrow(), after);
    }
}

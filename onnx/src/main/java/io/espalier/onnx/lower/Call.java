package io.espalier.onnx.lower;

import io.espalier.graph.GraphOperator;
import io.espalier.graph.Size;
import io.espalier.graph.Value;
import io.espalier.nn.Module;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import java.util.stream.IntStream;

/** A node of the file while it is lowered: what is known of its inputs, and what it becomes. */
final class Call {
    final OnnxNode node;
    private final GraphWriter writer;

    Call(OnnxNode node, GraphWriter writer) {
        this.node = node;
        this.writer = writer;
    }

    /** The version of the standard's operators. */
    long opset() {
        return writer.opset;
    }

    /** What to throw where libtorch can't compute this. */
    EspalierException refused(String why) {
        return new EspalierException(
                "The node '%s' (%s) can't be run by libtorch: %s."
                        .formatted(node.name(), node.op(), why));
    }

    boolean has(int place) {
        return !node.input(place).isEmpty();
    }

    int inputs() {
        return node.inputs().size();
    }

    /** Whether somebody reads a result. */
    boolean wants(int place) {
        String name = node.output(place);
        return !name.isEmpty()
                && (writer.graph.isOutput(name) || !writer.graph.readers(name).isEmpty());
    }

    Value in(int place) {
        if (!has(place)) {
            throw refused("its input " + place + " is missing");
        }
        return writer.value(node.input(place));
    }

    /** An input that training leaves as it is, such as a scale. */
    Value fixed(int place) {
        if (!has(place)) {
            throw refused("its input " + place + " is missing");
        }
        return writer.fixed(node.input(place));
    }

    /** The constant that an input is, or null. */
    @Nullable ConstantTensor constant(int place) {
        return has(place) ? writer.graph.constant(node.input(place)) : null;
    }

    /** The constant of real numbers that an input is, or null. */
    @Nullable ConstantTensor weight(int place) {
        ConstantTensor constant = constant(place);
        return constant != null && constant.type().isFloating() ? constant : null;
    }

    /** The only element of a constant of real numbers, or null if an input is no such. */
    @Nullable Double scalar(int place) {
        ConstantTensor constant = weight(place);
        return constant != null && constant.elements() == 1 ? (Double) scalarOf(constant) : null;
    }

    private static double scalarOf(ConstantTensor constant) {
        return Constants.doubles(constant)[0];
    }

    ElementType type(int place) {
        return typeOf(node.input(place));
    }

    private ElementType typeOf(String value) {
        ElementType type = writer.facts.type(value);
        if (type == null) {
            throw refused("the type of '" + value + "' is not known");
        }
        return type;
    }

    boolean isFloat(int place) {
        return type(place).isFloating();
    }

    boolean knowsShape(int place) {
        return writer.facts.shape(node.input(place)) != null;
    }

    /** An input's lengths, of which some may be unknown. */
    List<Size> shape(int place) {
        return shapeOf(node.input(place));
    }

    private List<Size> shapeOf(String value) {
        List<Size> shape = writer.facts.shape(value);
        if (shape == null) {
            throw refused("the number of dimensions of '" + value + "' is not known");
        }
        return shape;
    }

    int rank(int place) {
        return shape(place).size();
    }

    /** An input's lengths, all known in any call. */
    List<Size> sizes(int place) {
        List<Size> shape = shape(place);
        if (shape.stream().anyMatch(Size.Unknown.class::isInstance)) {
            throw refused("the shape of '" + node.input(place) + "' depends on numbers in tensors");
        }
        return shape;
    }

    /** An input's length, which is the same in each call. */
    long length(int place, int dim) {
        if (shape(place).get(dim) instanceof Size.Fixed(long length)) {
            return length;
        }
        throw refused(
                "dimension %d of '%s', %s, must be the same in each call"
                        .formatted(dim, node.input(place), shape(place).get(dim)));
    }

    /** A result's lengths; null if some are not known. */
    @Nullable List<Size> resultSizes(int place) {
        List<Size> shape = writer.facts.shape(node.output(place));
        return shape == null || shape.stream().anyMatch(Size.Unknown.class::isInstance)
                ? null
                : shape;
    }

    ElementType resultType(int place) {
        return typeOf(node.output(place));
    }

    /**
     * The elements of an input of integers, if they follow from the sizes of the model's inputs.
     */
    @Nullable List<Size> integers(int place) {
        return has(place) ? writer.facts.integers(node.input(place)) : null;
    }

    /** The same, or a refusal. */
    List<Size> requireIntegers(int place) {
        List<Size> integers = integers(place);
        if (integers == null) {
            throw refused("the numbers in '" + node.input(place) + "' are known only when it runs");
        }
        return integers;
    }

    /** The elements of an input of integers that are the same in each call. */
    List<Long> longs(int place) {
        return requireIntegers(place).stream()
                .map(size -> {
                    if (size instanceof Size.Fixed(long number)) {
                        return number;
                    }
                    throw refused(
                            "the numbers in '"
                                    + node.input(place)
                                    + "' must be the same in each call");
                })
                .toList();
    }

    /** Integers that older opsets have as an attribute and newer ones as an input, or null. */
    @Nullable List<Long> longs(String attribute, int place) {
        if (node.has(attribute)) {
            return node.integers(attribute);
        }
        return has(place) ? longs(place) : null;
    }

    /** A dimension of an input, counted from its end if negative. */
    int axis(long axis, int place) {
        return axisOf(axis, rank(place));
    }

    int axisOf(long axis, int rank) {
        long from = axis < 0 ? axis + rank : axis;
        if (from < 0 || from >= rank) {
            throw refused("there is no dimension " + axis + " of " + rank);
        }
        return (int) from;
    }

    Value apply(GraphOperator operator, Value... operands) {
        return writer.builder.apply(operator, operands);
    }

    Value apply(GraphOperator operator, Map<String, ?> attributes, Value... operands) {
        return writer.builder.apply(operator, attributes, operands);
    }

    List<Value> applyAll(
            GraphOperator operator, int results, Map<String, ?> attributes, Value... operands) {
        return writer.builder.applyAll(operator, results, attributes, operands);
    }

    /** A call of a module whose first tensor this input is. */
    Value call(int weight, Object key, Supplier<Module> maker, Value... operands) {
        return callAll(weight, key, maker, 1, operands).getFirst();
    }

    List<Value> callAll(
            int weight, Object key, Supplier<Module> maker, int results, Value... operands) {
        return writer.call(key, node.input(weight), node, maker, results, operands);
    }

    /** A tensor that the graph holds, named after this node. */
    Value constant(String name, Tensor tensor) {
        return writer.constant(node.output() + "_" + name, tensor);
    }

    /** A tensor that the graph holds, whose name takes none from modules of this node's path. */
    Value constantApart(String name, Tensor tensor) {
        return writer.constant(name, tensor);
    }

    /** A tensor of numbers that follow from the sizes of the model's inputs. */
    Value tensorOf(List<Size> numbers) {
        return writer.ofSizes(
                node.output() + "_sizes",
                numbers,
                ElementType.INT64,
                List.of(new Size.Fixed(numbers.size())));
    }

    Value cast(Value value, ElementType type) {
        return apply(GraphOperator.CAST, Map.of("dtype", type.libtorch()), value);
    }

    Value unsqueeze(Value value, int dim) {
        return apply(GraphOperator.UNSQUEEZE, Map.of("dim", dim), value);
    }

    Value plus(Value value, double number) {
        return number == 0
                ? value
                : apply(GraphOperator.ADD_SCALAR, Map.of("other", number), value);
    }

    Value times(Value value, double number) {
        return number == 1
                ? value
                : apply(GraphOperator.MUL_SCALAR, Map.of("other", number), value);
    }

    /** Says what the first result is. */
    void give(Value value) {
        give(0, value);
    }

    /** Says what a result is. */
    void give(int place, Value value) {
        if (!node.output(place).isEmpty()) {
            writer.put(node.output(place), value);
        }
    }

    /** The only node that reads the first result, if it calls this operator; else null. */
    @Nullable OnnxNode next(String op) {
        OnnxNode reader = writer.graph.onlyReader(node.output());
        return reader != null && reader.is(op) ? reader : null;
    }

    /**
     * The constant of real numbers that another node has beside this one's result; null if none.
     */
    @Nullable String constantBeside(OnnxNode other) {
        if (other.inputs().size() != 2) {
            return null;
        }
        String name = other.input(other.input(0).equals(node.output()) ? 1 : 0);
        ConstantTensor constant = writer.graph.constant(name);
        return constant != null && constant.type().isFloating() ? name : null;
    }

    ConstantTensor constantOf(String name) {
        ConstantTensor constant = writer.graph.constant(name);
        if (constant == null) {
            throw refused("'" + name + "' is no constant");
        }
        return constant;
    }

    /** Gives the result of another node too, which then needs no nodes of its own. */
    void giveInPlaceOf(OnnxNode other, Value value) {
        writer.absorb(other);
        writer.put(other.output(), value);
    }

    /** Numbers from a first one to the one before an end. */
    static List<Long> range(int from, int to) {
        return IntStream.range(from, to).mapToObj(i -> (long) i).toList();
    }

    static List<Long> repeated(int count, long number) {
        return Collections.nCopies(count, number);
    }
}

package io.espalier.graph;

import io.espalier.graph.Node.ModuleCall;
import io.espalier.graph.Node.OperatorCall;
import io.espalier.graph.Node.StateRead;
import io.espalier.nn.Module;
import io.espalier.tensor.Needed;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.function.BiConsumer;

/**
 * Makes a graph step by step:
 *
 * <pre>{@code
 * var graph = new GraphBuilder();
 * Value x = graph.input("x");
 * Value hidden = graph.call("fc", new Linear(4, 8), x);
 * Value scaled = graph.apply(GraphOperator.MUL, hidden, graph.constant("scale", Tensors.ones(8)));
 * GraphModule module = graph.returning(graph.apply(GraphOperator.RELU, scaled));
 * }</pre>
 */
public final class GraphBuilder {
    private final Names names = new Names();
    private final List<Value> inputs = new ArrayList<>();
    private final List<Node> nodes = new ArrayList<>();
    private final SequencedMap<String, Module> modules = new LinkedHashMap<>();
    private final SequencedMap<Value, TensorType> types = new LinkedHashMap<>();
    private final SequencedMap<String, Container> places = new LinkedHashMap<>();

    /** A builder of an empty graph. */
    public GraphBuilder() {
        places.put("", new Container());
    }

    /** One more input; its name gets a number if it is taken. */
    public Value input(String name) {
        Value value = names.fresh(name);
        inputs.add(value);
        return value;
    }

    /**
     * One more input of a known type, in which a length that may differ from call to call is a
     * {@link Size.Free}. Expressions of such lengths may stand in attributes.
     */
    public Value input(String name, TensorType type) {
        Value value = input(name);
        types.put(value, Needed.of(type, "the type of '" + name + "'"));
        return value;
    }

    /** What a module gives first, at a path; a path that was used before is the same module's. */
    public Value call(String path, Module module, Value... operands) {
        return callAll(path, module, 1, operands).getFirst();
    }

    /** All that a module gives, which are so many. */
    public List<Value> callAll(String path, Module module, int results, Value... operands) {
        List<Value> values = new ArrayList<>();
        for (int i = 0; i < results; i++) {
            values.add(names.fresh(path));
        }
        modules.put(path, Needed.of(module, "the module at '" + path + "'"));
        nodes.add(new ModuleCall(path, Needed.all(operands, "the operands"), values));
        return values;
    }

    /** What an operator gives that needs no attributes. */
    public Value apply(GraphOperator operator, Value... operands) {
        return apply(operator, Map.of(), operands);
    }

    /** The first of what an operator gives. */
    public Value apply(GraphOperator operator, Map<String, ?> attributes, Value... operands) {
        return applyAll(
                        operator,
                        Needed.of(operator, "the operator").results().orElse(1),
                        attributes,
                        operands)
                .getFirst();
    }

    /**
     * All that an operator gives.
     *
     * @param results their number, which operators such as split do not fix
     * @throws io.espalier.tensor.EspalierException if the operator has other operands, attributes
     *     or results
     */
    public List<Value> applyAll(
            GraphOperator operator, int results, Map<String, ?> attributes, Value... operands) {
        List<Value> values = new ArrayList<>();
        for (int i = 0; i < results; i++) {
            values.add(names.fresh(Needed.of(operator, "the operator").toString()));
        }
        nodes.add(
                new OperatorCall(
                        operator,
                        new ArrayList<@Nullable Value>(Needed.all(operands, "the operands")),
                        new LinkedHashMap<>(Needed.of(attributes, "the attributes")),
                        values));
        return values;
    }

    /**
     * A tensor that the graph holds: a buffer of the module, copied and saved with it.
     *
     * @param name with dots before it for a place within the module
     */
    public Value constant(String name, Tensor tensor) {
        return hold(name, (place, own) -> place.addBuffer(own, tensor));
    }

    /**
     * A trainable tensor that the graph holds.
     *
     * @param name with dots before it for a place within the module
     */
    public Value parameter(String name, Tensor tensor) {
        return hold(name, (place, own) -> place.addParameter(own, tensor));
    }

    private Value hold(String name, BiConsumer<Container, String> how) {
        int dot = Needed.of(name, "a name").lastIndexOf('.');
        String owner = name.substring(0, Math.max(0, dot));
        Value value = names.fresh(name);
        Container place = places.computeIfAbsent(owner, path -> new Container());
        String wanted = name.substring(dot + 1);
        boolean taken = place.hasParameter(wanted) || place.hasBuffer(wanted);
        String own = taken ? value.name() : wanted;
        how.accept(place, own);
        nodes.add(new StateRead(owner, own, value));
        return value;
    }

    /**
     * The module of all this.
     *
     * @throws io.espalier.tensor.EspalierException if a module is called at a place within another
     *     that is called, or a name stands for two
     */
    public GraphModule returning(Value... outputs) {
        SequencedMap<String, Module> all = new LinkedHashMap<>(places);
        all.putAll(modules);
        Signature signature =
                types.size() == inputs.size()
                        ? new Signature(types, Map.of(), false)
                        : Signature.UNKNOWN;
        return new GraphModule(
                new Graph(inputs, nodes, Needed.all(outputs, "the outputs"), signature), all);
    }
}

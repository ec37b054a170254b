package io.espalier.graph;

import io.espalier.graph.Node.ModuleCall;
import io.espalier.graph.Node.OperatorCall;
import io.espalier.graph.Node.StateRead;
import io.espalier.nn.Module;

import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;

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
    private final Container itself = new Container();

    /** One more input; its name gets a number if it is taken. */
    public Value input(String name) {
        Value value = names.fresh(name);
        inputs.add(value);
        return value;
    }

    /** What a module gives first, at a path; a path that was used before is the same module's. */
    public Value call(String path, Module module, Value... operands) {
        Value result = names.fresh(path);
        modules.put(path, module);
        nodes.add(new ModuleCall(path, List.of(operands), result));
        return result;
    }

    /** What an operator gives that needs no attributes. */
    public Value apply(GraphOperator operator, Value... operands) {
        return apply(operator, Map.of(), operands);
    }

    /** The first of what an operator gives. */
    public Value apply(GraphOperator operator, Map<String, ?> attributes, Value... operands) {
        return applyAll(operator, operator.results().orElse(1), attributes, operands).getFirst();
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
            values.add(names.fresh(operator.toString()));
        }
        nodes.add(
                new OperatorCall(
                        operator, List.of(operands), new LinkedHashMap<>(attributes), values));
        return values;
    }

    /** A tensor that the graph holds: a buffer of the module, copied and saved with it. */
    public Value constant(String name, Tensor tensor) {
        Value value = names.fresh(name);
        itself.addBuffer(value.name(), tensor);
        nodes.add(new StateRead("", value.name(), value));
        return value;
    }

    /** A trainable tensor that the graph holds. */
    public Value parameter(String name, Tensor tensor) {
        Value value = names.fresh(name);
        itself.addParameter(value.name(), tensor);
        nodes.add(new StateRead("", value.name(), value));
        return value;
    }

    /** The module of all this. */
    public GraphModule returning(Value... outputs) {
        SequencedMap<String, Module> all = new LinkedHashMap<>();
        all.put("", itself);
        all.putAll(modules);
        return new GraphModule(new Graph(inputs, nodes, List.of(outputs)), all);
    }
}

package io.espalier.onnx.shape;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.proto.GraphProto;
import io.espalier.onnx.proto.TensorProto;
import io.espalier.onnx.proto.ValueInfoProto;

import org.jspecify.annotations.Nullable;

import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** A graph inside a node, which sees the values around it. */
final class InnerGraph implements Scope.Source {
    /** Loops in loops are gone through several times each. */
    private static final int DEEPEST = 4;

    private final GraphProto graph;
    private final Scope scope;
    private final Map<String, TensorProto> constants = new HashMap<>();
    private final Map<String, ValueInfoProto> declared = new HashMap<>();

    InnerGraph(GraphProto graph, Scope outer) {
        if (outer.depth >= DEEPEST) {
            throw new Undecided();
        }
        this.graph = graph;
        graph.getInitializerList().forEach(tensor -> constants.put(tensor.getName(), tensor));
        graph.getValueInfoList().forEach(info -> declared.put(info.getName(), info));
        graph.getOutputList().forEach(info -> declared.put(info.getName(), info));
        scope = new Scope(outer, this);
    }

    /** Says what an input's elements are. */
    void give(int place, Contents known) {
        if (place < graph.getInputCount()) {
            scope.put(graph.getInput(place).getName(), known);
        }
    }

    /** Goes through it with inputs of these types. */
    InnerGraph run(List<ValueType> inputs) {
        for (int i = 0; i < graph.getInputCount(); i++) {
            ValueInfoProto input = graph.getInput(i);
            ValueType given = i < inputs.size() ? inputs.get(i) : ValueType.UNKNOWN;
            scope.put(input.getName(), given);
        }
        Inference.run(graph.getNodeList().stream().map(OnnxNode::of).toList(), scope);
        return this;
    }

    ValueType result(int place) {
        return place < graph.getOutputCount()
                ? scope.type(graph.getOutput(place).getName())
                : ValueType.UNKNOWN;
    }

    @Nullable Contents contents(int place) {
        return place < graph.getOutputCount()
                ? scope.contents(graph.getOutput(place).getName())
                : null;
    }

    @Override
    public @Nullable ConstantTensor constant(String name) {
        TensorProto tensor = constants.get(name);
        return tensor == null ? null : ConstantTensor.of(tensor);
    }

    @Override
    public @Nullable ValueInfoProto declared(String name) {
        return declared.get(name);
    }
}

package io.espalier.onnx.export;

import io.espalier.graph.Graph;
import io.espalier.graph.GraphModule;
import io.espalier.graph.Node;
import io.espalier.graph.Node.ModuleCall;
import io.espalier.graph.Node.OperatorCall;
import io.espalier.graph.Node.StateRead;
import io.espalier.graph.Size;
import io.espalier.graph.TensorType;
import io.espalier.graph.Value;
import io.espalier.nn.Module;
import io.espalier.tensor.EspalierException;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** Writes the steps of a graph module, one after the other. */
final class GraphWriter {
    private final Draft draft;
    private final String prefix;
    private final Graph graph;
    private final Map<String, Module> modules;
    private final ExampleRun example;
    private final Map<Value, String> names = new HashMap<>();

    /**
     * For one module.
     *
     * @param prefix where it stands in the model, empty or ending with a dot
     * @param example what its values are in a run
     */
    GraphWriter(Draft draft, String prefix, GraphModule module, ExampleRun example) {
        this.draft = draft;
        this.prefix = prefix;
        this.graph = module.graph();
        this.modules = module.modules();
        this.example = example;
    }

    /**
     * Writes all steps.
     *
     * @param inputs the values of the graph's inputs
     * @return those of its outputs
     */
    List<String> write(List<String> inputs) {
        for (int i = 0; i < inputs.size(); i++) {
            names.put(graph.inputs().get(i), inputs.get(i));
        }
        var sizes = new Sizes(draft, freePlaces(inputs));
        for (Node node : graph.nodes()) {
            int since = draft.begin(Alone.nameOf(prefix + node.result().name()));
            List<String> results = named(node, since, written(node, sizes));
            for (int i = 0; i < results.size(); i++) {
                names.put(node.results().get(i), results.get(i));
            }
        }
        return graph.outputs().stream().map(this::name).toList();
    }

    private Map<String, Sizes.Place> freePlaces(List<String> inputs) {
        var places = new LinkedHashMap<String, Sizes.Place>();
        int i = 0;
        for (TensorType type : graph.signature().types().values()) {
            for (int dim = 0; dim < type.shape().size(); dim++) {
                if (type.shape().get(dim) instanceof Size.Free(String name)) {
                    places.putIfAbsent(name, new Sizes.Place(inputs.get(i), dim));
                }
            }
            i++;
        }
        return places;
    }

    private String name(Value value) {
        return Objects.requireNonNull(names.get(value));
    }

    private List<String> written(Node node, Sizes sizes) {
        try {
            return switch (node) {
                case OperatorCall call -> operator(call, sizes);
                case StateRead read -> List.of(state(read));
                case ModuleCall call -> layer(call);
            };
        } catch (EspalierException e) {
            String reason = String.valueOf(e.getMessage());
            throw reason.startsWith("Can't export ")
                    ? e
                    : new EspalierException("Can't export '" + prefix + node + "': " + reason, e);
        }
    }

    /** What was quantized in the run is rounded here, and the step's result has its name. */
    private List<String> named(Node node, int since, List<String> results) {
        List<String> rounded = new ArrayList<>();
        for (int i = 0; i < results.size(); i++) {
            Range range = example.of(node.results().get(i)).range();
            rounded.add(range == null ? results.get(i) : draft.rounded(results.get(i), range));
        }
        if (rounded.size() == 1) {
            return List.of(draft.named(since, rounded.getFirst()));
        }
        return rounded;
    }

    private List<String> operator(OperatorCall call, Sizes sizes) {
        List<String> operands = new ArrayList<>();
        List<@Nullable Seen> seen = new ArrayList<>();
        List<Value> places = new ArrayList<>();
        for (Value operand : call.operands()) {
            operands.add(operand == null ? "" : name(operand));
            seen.add(operand == null ? null : example.of(operand));
            places.add(operand == null ? new Value("") : operand);
        }
        var step =
                new Step(
                        draft,
                        sizes,
                        call,
                        operands,
                        seen,
                        call.results().stream().map(example::of).toList(),
                        (operand, dim) -> example.isFixed(places.get(operand), dim));
        return OperatorTable.of(call.operator()).write(step);
    }

    private String state(StateRead read) {
        Module owner = Objects.requireNonNull(modules.get(read.owner())).current();
        return new ModuleState(
                        draft, prefix + (read.owner().isEmpty() ? "" : read.owner() + "."), owner)
                .tensor(read.name());
    }

    private List<String> layer(ModuleCall call) {
        Module module = Objects.requireNonNull(modules.get(call.path())).current();
        var layer =
                new LayerCall(
                        draft,
                        Alone.placeOf(prefix + call.path()),
                        module,
                        call.inputs().stream().map(this::name).toList(),
                        call.inputs().stream().map(example::of).toList(),
                        call.results().stream().map(example::of).toList(),
                        example.operands(call));
        return LayerTable.write(layer);
    }
}

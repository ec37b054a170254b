package io.espalier.slim;

import io.espalier.graph.Graph;
import io.espalier.graph.Node;
import io.espalier.graph.Node.ModuleCall;
import io.espalier.graph.Node.OperatorCall;
import io.espalier.graph.Node.StateRead;
import io.espalier.graph.Value;
import io.espalier.nn.Module;
import io.espalier.slim.ModelTensors.Held;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.Set;
import java.util.function.Function;
import java.util.function.ToLongFunction;
import java.util.stream.LongStream;

/** The channels along each dimension of each value of a model, as it computes on an example. */
final class ModelAnalysis {
    private final Module model;
    private final TracedModel traced;
    private final ModelTensors tensors;
    private final Set<WrittenCount.Place> written;
    private final ChannelFlow flow = new ChannelFlow();
    private final Map<Value, ChannelValue> values = new HashMap<>();
    private final Map<Value, String> read = new HashMap<>();
    private final Map<String, long[]> shapes = new HashMap<>();
    private final SequencedMap<String, List<Axis>> constants = new LinkedHashMap<>();
    private final SequencedMap<String, Function<Cut, long[]>> sizes = new LinkedHashMap<>();
    private final List<WrittenCount> counts = new ArrayList<>();
    private final List<ModelEnd> ends = new ArrayList<>();
    private int at;

    private ModelAnalysis(Module model, TracedModel traced, Set<WrittenCount.Place> written) {
        this.model = model;
        this.traced = traced;
        this.written = written;
        tensors = new ModelTensors(model);
    }

    /**
     * What becomes of the channels of a model's tensors.
     *
     * @param written numbers that are known to be written in the model's code
     */
    static ModelAnalysis of(Module model, TracedModel traced, Set<WrittenCount.Place> written) {
        var analysis = new ModelAnalysis(model, traced, written);
        Graph graph = traced.graph();
        graph.inputs()
                .forEach(input ->
                        analysis.give(input, ChannelCall.plain(traced.extents(input).length)));
        for (; analysis.at < graph.nodes().size(); analysis.at++) {
            analysis.go(graph.nodes().get(analysis.at));
        }
        graph.outputs()
                .forEach(output ->
                        analysis.pin(analysis.value(output), "'%s' is a result".formatted(output)));
        graph.nodes().stream().filter(ModuleCall.class::isInstance).forEach(analysis::pinUnused);
        return analysis;
    }

    /** Lets a layer whose results nobody uses lose only what goes of its inputs. */
    private void pinUnused(Node layer) {
        if (layer.results().stream().noneMatch(this::isUsed)) {
            String reason = "nobody uses what '%s' gives".formatted(layer.result());
            layer.results().forEach(result -> pin(value(result), reason));
        }
    }

    private void go(Node node) {
        String why;
        int countsBefore = counts.size();
        int endsBefore = ends.size();
        try {
            switch (node) {
                case StateRead read -> read(read);
                case ModuleCall call -> ModelLayerRules.apply(this, call);
                case OperatorCall call -> ModelOperatorRules.apply(call(call));
            }
            return;
        } catch (NotUnderstood e) {
            why = String.valueOf(e.getMessage());
        }
        counts.subList(countsBefore, counts.size()).clear();
        ends.subList(endsBefore, ends.size()).clear();
        String reason =
                "'%s' is not understood: %s"
                        .formatted(node.modulePath().orElse(node.result().name()), why);
        node.inputs().forEach(input -> pin(value(input), reason));
        node.modulePath().stream()
                .flatMap(path -> tensors.below(path).stream())
                .forEach(name -> pin(constant(name), reason));
        node.results().forEach(values::remove);
    }

    private void read(StateRead read) {
        boolean known = model.namedModules().containsKey(read.owner());
        String name = known ? tensors.name(read.owner(), read.name()) : null;
        if (name != null) {
            values.put(read.result(), constant(name));
            this.read.put(read.result(), name);
        }
    }

    /** What a step reads of the model as it is now; null if it is nothing of the model's. */
    @Nullable Tensor valueOf(StateRead step) {
        String name = read.get(step.result());
        if (name == null) {
            return null;
        }
        Held held = tensors.held(name);
        return held.owner().valueOrBuffer(held.name()).detach();
    }

    /** A call of an operator for its rule. */
    private ModelCall call(OperatorCall call) {
        List<@Nullable ModelOperand> operands = new ArrayList<>();
        for (Value operand : call.operands()) {
            operands.add(operand == null ? null : operand(operand));
        }
        return new ModelCall(this, call, operands);
    }

    /** What a step is given. */
    ModelOperand operand(Value value) {
        return new ModelOperand(value(value), value, read.get(value));
    }

    /** A layer's own tensor; null if it has none of the name. */
    @Nullable ModelOperand own(String path, String name) {
        String full = tensors.name(path, name);
        return full == null ? null : new ModelOperand(constant(full), null, full);
    }

    /** What is known of a parameter or buffer. */
    ChannelValue constant(String name) {
        long[] extents = looked(name);
        List<Axis> axes =
                constants.computeIfAbsent(
                        name, k -> LongStream.of(extents).mapToObj(flow::fresh).toList());
        return new ChannelValue(axes, extents);
    }

    /** The extents of a parameter or buffer when it was looked into. */
    long[] looked(String name) {
        return shapes.computeIfAbsent(name, k -> Tensors.shape(tensors.held(k).tensor()));
    }

    private void pin(ChannelValue value, String reason) {
        value.axes().forEach(axis -> flow.pin(axis, reason));
    }

    /** What is known of a value; one that no rule gave has no channels. */
    ChannelValue value(Value value) {
        return values.computeIfAbsent(
                value,
                v -> {
                    long[] extents = traced.extents(v);
                    return new ChannelValue(ChannelCall.plain(extents.length), extents);
                });
    }

    void give(Value value, List<Axis> axes) {
        long[] extents = traced.extents(value);
        if (extents.length != axes.size()) {
            throw new NotUnderstood("its result has other dimensions than its rule says");
        }
        values.put(value, new ChannelValue(List.copyOf(axes), extents));
    }

    void ends(ModelEnd end) {
        ends.add(end);
    }

    void resizes(String path, Function<Cut, long[]> after) {
        sizes.put(path, after);
    }

    void counts(
            Node node, String attribute, int element, List<Axis> axes, ToLongFunction<Cut> after) {
        var place = new WrittenCount.Place(at, attribute, element);
        Long number = node instanceof OperatorCall call ? place.in(call) : null;
        if (number == null || number < 0 || axes.stream().allMatch(Axis::isPlain)) {
            return;
        }
        if (written.contains(place)) {
            String reason =
                    "the code gives '%s' the number %d".formatted(node.result().name(), number);
            axes.forEach(axis -> flow.pin(axis, reason));
        } else {
            counts.add(new WrittenCount(place, axes, after));
        }
    }

    ChannelFlow flow() {
        return flow;
    }

    Module model() {
        return model;
    }

    /** What it computes on the example. */
    TracedModel traced() {
        return traced;
    }

    long[] extents(Value value) {
        return traced.extents(value);
    }

    /** The type of a value's elements. */
    ScalarType type(Value value) {
        return traced.type(value);
    }

    boolean isUsed(Value value) {
        return traced.graph().returns(value)
                || traced.graph().nodes().stream().anyMatch(node -> node.inputs().contains(value));
    }

    ModelTensors tensors() {
        return tensors;
    }

    /** The channels along the dimensions of parameters and buffers that the program uses. */
    SequencedMap<String, List<Axis>> constants() {
        return constants;
    }

    /** The sizes of layers when channels have gone, by path. */
    SequencedMap<String, Function<Cut, long[]>> sizes() {
        return sizes;
    }

    /** Numbers of the program that count channels. */
    List<WrittenCount> counts() {
        return counts;
    }

    /** All values, with what is known of their channels. */
    Map<Value, ChannelValue> values() {
        return values;
    }

    /** Where channels end. */
    List<ModelEnd> ends() {
        return ends;
    }

    /** What can go. */
    Groups groups() {
        Map<String, long[]> extents = new HashMap<>();
        constants.keySet().forEach(name -> extents.put(name, looked(name)));
        return flow.groups(constants, extents);
    }
}

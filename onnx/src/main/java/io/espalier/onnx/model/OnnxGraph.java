package io.espalier.onnx.model;

import io.espalier.onnx.proto.GraphProto;
import io.espalier.onnx.proto.NodeProto;
import io.espalier.onnx.proto.TensorProto;
import io.espalier.onnx.proto.ValueInfoProto;
import io.espalier.tensor.EspalierException;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * ONNX's graph as a pass sees it: nodes in an order in which each can be computed, constants by
 * name, and who makes and who reads each value.
 *
 * <p>A value is known by its name and made once. Nodes may be added, taken out and replaced in any
 * order; {@link #nodes()} is sorted again when it is next asked for. What the graphs inside a node
 * read of this one counts as read by that node. Not safe for several threads.
 */
public final class OnnxGraph {
    private final GraphProto rest;
    private List<ValueInfoProto> inputs;
    private final List<ValueInfoProto> outputs;
    private final Map<String, ConstantTensor> constants = new LinkedHashMap<>();
    private final Map<String, ValueInfoProto> valueInfo = new LinkedHashMap<>();
    private final Set<String> inputNames = new LinkedHashSet<>();
    private final Set<String> outputNames = new LinkedHashSet<>();
    private final Set<String> innerNames = new HashSet<>();
    private final Map<OnnxNode, Double> places = new LinkedHashMap<>();
    private final Map<String, OnnxNode> producers = new HashMap<>();
    private final Map<String, Set<OnnxNode>> readers = new HashMap<>();
    private final boolean inputsOverride;
    private final boolean constantsAreInputs;
    private @Nullable List<OnnxNode> sorted;
    private double end;
    private int fresh;

    /**
     * The graph of a message.
     *
     * @param more constants that the message does not hold itself
     * @param inputsOverride whether a constant that is also an input is only its default
     * @throws EspalierException if a value is made twice, read and never made, or depends on itself
     */
    OnnxGraph(
            GraphProto proto,
            ExternalData external,
            Map<String, ConstantTensor> more,
            boolean inputsOverride) {
        this.inputsOverride = inputsOverride;
        var away = new ExternalTensors(external);
        GraphProto.Builder others =
                proto.toBuilder()
                        .clearNode()
                        .clearInitializer()
                        .clearInput()
                        .clearOutput()
                        .clearValueInfo();
        rest = others.build();
        inputs = List.copyOf(proto.getInputList());
        outputs = new ArrayList<>(proto.getOutputList());
        inputs.forEach(input -> inputNames.add(input.getName()));
        // The oldest versions name each constant as an input too, which nobody may give.
        constantsAreInputs =
                !inputsOverride
                        && proto.getInitializerList().stream()
                                .allMatch(tensor -> inputNames.contains(tensor.getName()));
        if (!inputsOverride) {
            proto.getInitializerList().forEach(tensor -> inputNames.remove(tensor.getName()));
        }
        outputs.forEach(output -> outputNames.add(output.getName()));
        proto.getValueInfoList().forEach(info -> valueInfo.put(info.getName(), info));
        for (TensorProto tensor : proto.getInitializerList()) {
            if (constants.put(tensor.getName(), ConstantTensor.of(tensor, external)) != null) {
                throw new EspalierException(
                        "The graph has two constants named '" + tensor.getName() + "'.");
            }
        }
        constants.putAll(more);
        for (NodeProto node : proto.getNodeList()) {
            add(new OnnxNode(away.held(node)));
        }
        GraphOrder.check(this);
    }

    /** A copy that can be rewritten while the other stays. */
    private OnnxGraph(OnnxGraph other) {
        inputsOverride = other.inputsOverride;
        constantsAreInputs = other.constantsAreInputs;
        rest = other.rest;
        inputs = other.inputs;
        outputs = new ArrayList<>(other.outputs);
        inputNames.addAll(other.inputNames);
        outputNames.addAll(other.outputNames);
        constants.putAll(other.constants);
        valueInfo.putAll(other.valueInfo);
        other.nodes().forEach(this::add);
        fresh = other.fresh;
    }

    /** A graph of the same nodes and constants that is rewritten by itself. */
    public OnnxGraph copy() {
        return new OnnxGraph(this);
    }

    /** Its name. */
    public String name() {
        return rest.getName();
    }

    /** What it is given: the inputs that have no constant as their value, in order. */
    public List<ValueInfoProto> inputs() {
        return inputs.stream()
                .filter(input -> inputNames.contains(input.getName()))
                .filter(input -> !constants.containsKey(input.getName()))
                .toList();
    }

    /** What it gives, in order. */
    public List<ValueInfoProto> outputs() {
        return Collections.unmodifiableList(outputs);
    }

    /** Lets the graph give one more of its values. */
    public void addOutput(String value) {
        if (!has(value)) {
            throw new EspalierException("The graph has no value '" + value + "' to give.");
        }
        if (outputNames.add(value)) {
            ValueInfoProto known = valueInfo.get(value);
            outputs.add(known == null ? ValueInfoProto.newBuilder().setName(value).build() : known);
        }
    }

    /** Lets the graph keep a value for itself that it gave. */
    public void removeOutput(String value) {
        if (!outputNames.remove(value)) {
            throw new EspalierException("The graph does not give a value '" + value + "'.");
        }
        outputs.removeIf(output -> output.getName().equals(value));
    }

    /** The nodes, each after those whose results it reads. */
    public List<OnnxNode> nodes() {
        if (sorted == null) {
            sorted = Collections.unmodifiableList(GraphOrder.sort(this, places));
        }
        return sorted;
    }

    /** The constants by name, in the file's order. */
    public Map<String, ConstantTensor> constants() {
        return Collections.unmodifiableMap(constants);
    }

    /**
     * The value of this name if it is the same in each run, else null. A constant that a caller may
     * replace, because it is an input too, is none.
     */
    public @Nullable ConstantTensor constant(String value) {
        return inputNames.contains(value) ? null : constants.get(value);
    }

    /** What the file says of a value's type; null if it says nothing. */
    public @Nullable ValueInfoProto valueInfo(String value) {
        return valueInfo.get(value);
    }

    /** The node that makes a value; null for inputs and constants. */
    public @Nullable OnnxNode producer(String value) {
        return producers.get(value);
    }

    /** The nodes that read a value, also from graphs inside them. */
    public List<OnnxNode> readers(String value) {
        return List.copyOf(readers.getOrDefault(value, Set.of()));
    }

    /** Whether the value is one of the graph's results. */
    public boolean isOutput(String value) {
        return outputNames.contains(value);
    }

    /** Whether the graph is given the value. */
    public boolean isInput(String value) {
        return inputNames.contains(value);
    }

    /** Whether a value of this name exists. */
    public boolean has(String value) {
        return producers.containsKey(value)
                || constants.containsKey(value)
                || inputNames.contains(value);
    }

    /** The only reader of a value that is no result of the graph; null if there is another. */
    public @Nullable OnnxNode onlyReader(String value) {
        Set<OnnxNode> all = readers.getOrDefault(value, Set.of());
        return all.size() == 1 && !isOutput(value) ? all.iterator().next() : null;
    }

    /** A name that no value has, here or in a node's own graph, like this one. */
    public String freshName(String like) {
        String name = like;
        while (name.isEmpty()
                || has(name)
                || outputNames.contains(name)
                || innerNames.contains(name)) {
            name = like + "_" + ++fresh;
        }
        return name;
    }

    /** Adds a constant under a name like this one, and gives its name. */
    public String addConstant(String like, ConstantTensor constant) {
        String name = freshName(like);
        constants.put(name, constant);
        return name;
    }

    /** Puts another tensor in the place of a constant. */
    public void setConstant(String name, ConstantTensor constant) {
        if (constants.replace(name, constant) == null) {
            throw new EspalierException("The graph has no constant '" + name + "'.");
        }
    }

    /** Takes the defaults of what could be given for constants like others. */
    public void takeDefaults() {
        takeDefaults(Set.copyOf(constants.keySet()));
    }

    /** Takes some of them. */
    void takeDefaults(Set<String> some) {
        inputs = inputs.stream().filter(i -> !some.contains(i.getName())).toList();
        inputNames.removeAll(some);
    }

    /** The inputs that have a default. */
    Set<String> defaults() {
        return inputNames.stream()
                .filter(constants::containsKey)
                .collect(Collectors.toUnmodifiableSet());
    }

    /** The inputs that have a default of more than one number, as weights of some exporters do. */
    Set<String> weightInputs() {
        return inputNames.stream()
                .filter(name -> constants.containsKey(name) && constants.get(name).elements() > 1)
                .collect(Collectors.toUnmodifiableSet());
    }

    /** Adds a node. */
    public void add(OnnxNode node) {
        add(node, end++);
    }

    private void add(OnnxNode node, double place) {
        for (String output : node.outputs()) {
            if (!output.isEmpty() && has(output)) {
                throw new EspalierException(
                        "The value '%s' is made twice; its second maker is %s."
                                .formatted(output, node.name()));
            }
        }
        node.outputs().stream().filter(o -> !o.isEmpty()).forEach(o -> producers.put(o, node));
        node.reads().forEach(r -> readers.computeIfAbsent(r, k -> new LinkedHashSet<>()).add(node));
        innerNames.addAll(Captures.inside(node));
        places.put(node, place);
        sorted = null;
    }

    /** Takes a node out; its results have no maker then. */
    public void remove(OnnxNode node) {
        if (places.remove(node) == null) {
            throw new EspalierException("The graph has no node " + node.name() + ".");
        }
        node.outputs().forEach(producers::remove);
        for (String read : node.reads()) {
            Set<OnnxNode> others = readers.get(read);
            if (others != null) {
                others.remove(node);
            }
        }
        sorted = null;
    }

    /** Puts nodes in the place of one; together they should make what it made. */
    public void replace(OnnxNode node, OnnxNode... by) {
        Double place = places.get(node);
        if (place == null) {
            throw new EspalierException("The graph has no node " + node.name() + ".");
        }
        remove(node);
        for (OnnxNode replacement : by) {
            add(replacement, place);
        }
    }

    /**
     * Lets all readers of a value read another, which has its type and numbers. A result of the
     * graph keeps its name.
     */
    public void replaceReads(String value, String by) {
        for (OnnxNode reader : readers(value)) {
            replace(reader, Captures.renamed(reading(reader, value, by), value, by));
        }
        if (isOutput(value)) {
            giveAs(value, by);
        }
    }

    /**
     * Gives a value another name, where it is made and wherever it is read. An input or a result of
     * the graph keeps its own, so that a node between the two names has to be added.
     */
    public void rename(String value, String name) {
        OnnxNode maker = producers.get(value);
        if (maker != null) {
            replace(maker, renamedOutput(maker, value, name));
        }
        for (OnnxNode reader : readers(value)) {
            replace(reader, Captures.renamed(reading(reader, value, name), value, name));
        }
    }

    private static OnnxNode reading(OnnxNode node, String value, String by) {
        if (!node.inputs().contains(value)) {
            return node;
        }
        return node.withInputs(
                node.inputs().stream().map(input -> input.equals(value) ? by : input).toList());
    }

    /** Makes the maker of one value give it under the name of a result of the graph. */
    private void giveAs(String output, String value) {
        OnnxNode old = producers.get(output);
        if (old != null) {
            // Its maker gives the name up; nobody reads it any more.
            replace(old, renamedOutput(old, output, freshName(output + "_old")));
        }
        OnnxNode maker = producers.get(value);
        if (maker == null || isOutput(value)) {
            add(OnnxNode.of("Identity", List.of(value), output));
            return;
        }
        replace(maker, renamedOutput(maker, value, output));
        for (OnnxNode reader : readers(value)) {
            replace(reader, Captures.renamed(reading(reader, value, output), value, output));
        }
    }

    private static OnnxNode renamedOutput(OnnxNode node, String from, String to) {
        return node.withOutputs(
                node.outputs().stream().map(output -> output.equals(from) ? to : output).toList());
    }

    /**
     * Takes out all nodes and constants that no result of the graph depends on; how many there
     * were.
     */
    public int removeUnused() {
        int before = places.size() + constants.size();
        List<OnnxNode> backwards = nodes().reversed();
        for (OnnxNode node : backwards) {
            if (node.outputs().stream().noneMatch(this::isUsed)) {
                remove(node);
            }
        }
        constants.keySet().removeIf(name -> !isUsed(name) && !isInput(name));
        valueInfo.keySet().removeIf(name -> !has(name));
        return before - places.size() - constants.size();
    }

    private boolean isUsed(String value) {
        return isOutput(value) || !readers.getOrDefault(value, Set.of()).isEmpty();
    }

    /** Forgets what the file said of a value's type. */
    public void forgetType(String value) {
        valueInfo.remove(value);
    }

    /** Forgets what the file said of values' types; what is computed anew takes its place. */
    public void setValueInfo(Collection<ValueInfoProto> infos) {
        valueInfo.clear();
        infos.forEach(info -> valueInfo.put(info.getName(), info));
    }

    /** The message of all this, constants as the given function writes them. */
    GraphProto toProto(ConstantWriter writer) {
        var proto = rest.toBuilder();
        nodes().forEach(node -> proto.addNode(node.toProto()));
        constants.forEach((name, constant) -> proto.addInitializer(writer.write(name, constant)));
        return proto.addAllInput(writtenInputs())
                .addAllOutput(outputs)
                .addAllValueInfo(valueInfo.values())
                .build();
    }

    /** The inputs as the file's version has them: the oldest ones name all constants too. */
    private List<ValueInfoProto> writtenInputs() {
        if (inputsOverride) {
            return inputs;
        }
        var written = new LinkedHashMap<String, ValueInfoProto>();
        for (ValueInfoProto input : inputs) {
            ConstantTensor constant = constants.get(input.getName());
            if (constant != null) {
                written.put(
                        input.getName(),
                        constant.isDeclaredBy(input)
                                ? input
                                : constant.declaration(input.getName()));
            } else if (inputNames.contains(input.getName())) {
                written.put(input.getName(), input);
            }
        }
        if (constantsAreInputs) {
            constants.forEach(
                    (name, constant) -> written.computeIfAbsent(name, constant::declaration));
        }
        return List.copyOf(written.values());
    }

    /** How a constant is put into a message. */
    interface ConstantWriter {
        TensorProto write(String name, ConstantTensor constant);
    }

    /** All names that are known without any node: inputs and constants. */
    List<String> given() {
        var given = new ArrayList<>(constants.keySet());
        given.addAll(inputNames);
        return given;
    }
}

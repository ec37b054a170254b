package io.espalier.graph;

import io.espalier.nn.CallRecorder;
import io.espalier.nn.Module;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.Supplier;

/**
 * Runs a model on an example and writes down its calls. Atomic layers and hooked modules are single
 * nodes; any other module is followed, and becomes a single node where what it does can't be
 * followed: it computes with tensors in ways that are not recorded, changes one in place, or only
 * looks at its input. Where that is the model itself, it is refused.
 */
final class Tracer implements CallRecorder {
    private final Module root;
    private final IdentityHashMap<Module, String> paths = new IdentityHashMap<>();
    private final boolean keepsUnused;
    private final Names names = new Names();
    private final List<Node> nodes = new ArrayList<>();
    private final KnownTensors known;
    private final ModelState state;
    private final Deque<Frame> frames = new ArrayDeque<>();
    private final Set<String> effective = new LinkedHashSet<>();
    private final Map<Value, long[]> shapes = new HashMap<>();
    private final List<FollowedCall> followed = new ArrayList<>();
    private boolean insideNode;

    /** A module that is being followed. */
    private static final class Frame {
        final Module module;
        final int nodesBefore;
        final int knownBefore;
        @Nullable String failure;

        Frame(Module module, int nodesBefore, int knownBefore) {
            this.module = module;
            this.nodesBefore = nodesBefore;
            this.knownBefore = knownBefore;
        }

        void fail(String why) {
            failure = failure == null ? why : failure;
        }
    }

    /**
     * @param constants tensors that are neither the model's parameters nor computed, and that it
     *     may use nevertheless
     * @param keepsUnused whether layers stay whose results nobody uses
     */
    Tracer(Module root, List<Tensor> constants, boolean keepsUnused) {
        this.root = root;
        this.keepsUnused = keepsUnused;
        this.known = new KnownTensors();
        this.state = new ModelState(root, constants);
        root.namedModules().forEach((path, module) -> paths.putIfAbsent(module, path));
    }

    /**
     * The program of one call.
     *
     * @throws EspalierException if the model's own code can't be followed
     */
    Graph trace(List<Tensor> example) {
        List<Value> inputs = new ArrayList<>();
        for (int i = 0; i < example.size(); i++) {
            Value input = names.fresh(example.size() == 1 ? "x" : "x" + i);
            define(example.get(i), input);
            inputs.add(input);
        }
        var frame = new Frame(root, 0, known.mark());
        frames.push(frame);
        List<Tensor> outputs = ScopedValue.where(CURRENT, this).call(() -> root.callAll(example));
        List<Value> returned = new ArrayList<>();
        for (Tensor output : outputs) {
            // The model's code is no longer on the stack.
            returned.add(valueOf(output, () -> "its forward returns"));
        }
        for (Tensor input : example) {
            valueOf(input, () -> "its forward leaves");
        }
        state.changed(root).ifPresent(name -> frame.fail("its forward changes '" + name + "'"));
        if (frame.failure != null) {
            throw new EspalierException(
                    "Can't trace " + root.getClass().getSimpleName() + ": " + frame.failure + ".");
        }
        return new Graph(inputs, nodes, returned).withoutUnused(node -> !stays(node));
    }

    private boolean stays(Node node) {
        return node instanceof Node.ModuleCall call
                && (keepsUnused || effective.contains(call.path()));
    }

    /** Tensors that turned up and that nobody made; the model may hold them. */
    List<Tensor> strangers() {
        return known.strangers();
    }

    /** The shapes of the values, those that were forgotten again too. */
    Map<Value, long[]> shapes() {
        return shapes;
    }

    /** The modules that were followed, unless what followed one couldn't be. */
    List<FollowedCall> followed() {
        return followed;
    }

    private void define(Tensor tensor, Value value) {
        known.define(tensor, value);
        if (tensor.defined()) {
            shapes.put(value, Tensors.shape(tensor));
        }
    }

    /** The constants that the program uses, by the names of the reads. */
    Map<String, Tensor> constants() {
        return state.constants();
    }

    @Override
    public List<Tensor> module(Module module, List<Tensor> inputs, Supplier<List<Tensor>> forward) {
        if (insideNode || module.equals(root)) {
            return forward.get();
        }
        List<@Nullable Value> arguments = new ArrayList<>();
        for (Tensor input : inputs) {
            arguments.add(valueIfSound(input));
        }
        var frame = new Frame(module, nodes.size(), known.mark());
        if (module.isAtomic() || module.isHooked()) {
            return asNode(frame, inputs, arguments, inside(forward));
        }
        frames.push(frame);
        List<Tensor> outputs;
        try {
            outputs = forward.get();
            finish(frame, inputs, outputs);
        } finally {
            frames.pop();
        }
        if (frame.failure != null) {
            return asNode(frame, inputs, arguments, outputs);
        }
        note(frame, outputs);
        return outputs;
    }

    private void note(Frame frame, List<Tensor> outputs) {
        String path = paths.get(frame.module);
        if (path != null) {
            Set<Value> within = new LinkedHashSet<>();
            nodes.subList(frame.nodesBefore, nodes.size())
                    .forEach(node -> within.addAll(node.results()));
            List<Value> results =
                    outputs.stream().map(known::value).filter(Objects::nonNull).toList();
            followed.add(new FollowedCall(path, results, within));
        }
    }

    private List<Tensor> inside(Supplier<List<Tensor>> forward) {
        insideNode = true;
        try {
            return forward.get();
        } finally {
            insideNode = false;
        }
    }

    /** Whether a module that was followed is all in the nodes recorded since. */
    private void finish(Frame frame, List<Tensor> inputs, List<Tensor> outputs) {
        boolean computed = frame.module.isPure();
        for (Tensor output : outputs) {
            valueOf(output, "returns");
            computed |= known.isSince(output, frame.knownBefore);
        }
        for (Tensor input : inputs) {
            if (known.isChanged(input)) {
                frame.fail("changes its input in place");
            }
        }
        state.changed(frame.module).ifPresent(name -> frame.fail("changes '" + name + "'"));
        if (!computed) {
            frame.fail("looks at its input only");
        }
    }

    private List<Tensor> asNode(
            Frame frame,
            List<Tensor> inputs,
            List<@Nullable Value> arguments,
            List<Tensor> outputs) {
        nodes.subList(frame.nodesBefore, nodes.size()).clear();
        known.forgetSince(frame.knownBefore);
        Module module = frame.module;
        String path = paths.get(module);
        if (path == null) {
            throw new EspalierException(
                    "Can't trace a call of "
                            + module
                            + ", which is not part of the model; register it with add(name, module)"
                            + " where it is used.");
        }
        List<Value> values = new ArrayList<>();
        for (int i = 0; i < inputs.size(); i++) {
            Value argument = arguments.get(i);
            values.add(
                    argument == null ? valueOf(inputs.get(i), "hands '" + path + "'") : argument);
        }
        List<Value> results = outputs.stream().map(output -> names.fresh(path)).toList();
        nodes.add(new Node.ModuleCall(path, values, results));
        if (!module.isAtomic() || module.isHooked()) {
            effective.add(path);
        }
        state.accept(module);
        for (int i = 0; i < results.size(); i++) {
            define(outputs.get(i), results.get(i));
        }
        return outputs;
    }

    @Override
    public void function(List<Tensor> results, String operator, List<@Nullable Object> arguments) {
        if (insideNode) {
            return;
        }
        List<@Nullable Object> recorded = new ArrayList<>();
        for (Object argument : arguments) {
            recorded.add(recorded(argument, operator));
        }
        List<Value> values = new ArrayList<>();
        for (int i = 0; i < results.size(); i++) {
            values.add(names.fresh(name(operator)));
        }
        nodes.add(LibtorchBinding.recorded(operator, recorded, values));
        for (int i = 0; i < results.size(); i++) {
            define(results.get(i), values.get(i));
        }
    }

    private static String name(String operator) {
        return GraphOperator.ofLibtorch(operator).map(GraphOperator::toString).orElse("value");
    }

    private @Nullable Object recorded(@Nullable Object argument, String operator) {
        String how = "hands " + name(operator);
        return switch (argument) {
            case Tensor tensor -> valueOf(tensor, how);
            case List<?> list when list.stream().allMatch(Tensor.class::isInstance) ->
                    list.stream().map(element -> valueOf((Tensor) element, how)).toList();
            case null, default -> argument;
        };
    }

    @Override
    public void parameter(Module owner, String name, Tensor value) {
        String path = paths.get(owner);
        if (!insideNode && path != null) {
            read(path, name, value);
        }
    }

    private Value read(String owner, String name, Tensor tensor) {
        Value value = names.fresh(owner.isEmpty() ? name : owner + "." + name);
        nodes.add(new Node.StateRead(owner, name, value));
        define(tensor, value);
        return value;
    }

    /** The value of a tensor if it is known and nobody changed it. */
    private @Nullable Value valueIfSound(Tensor tensor) {
        return known.isChanged(tensor) ? null : known.value(tensor);
    }

    private Value valueOf(Tensor tensor, String how) {
        return valueOf(tensor, () -> CallSite.ofUser() + " " + how);
    }

    /** The value of a tensor; where there is none, the module that is followed fails. */
    private Value valueOf(Tensor tensor, Supplier<String> how) {
        Value value = known.value(tensor);
        if (value == null) {
            ModelState.Place place = state.place(tensor);
            return place == null ? unknown(tensor, how) : read(place.owner(), place.name(), tensor);
        }
        if (known.isChanged(tensor)) {
            fail(
                    how.get()
                            + " '"
                            + value
                            + "', a tensor that was changed in place after it was computed; a graph"
                            + " holds no operation in place: use a function of Functional, whose"
                            + " result is another tensor, or put the operation into a module of its"
                            + " own, which is then left as it is");
        }
        return value;
    }

    private Value unknown(Tensor tensor, Supplier<String> how) {
        boolean defined = tensor.defined();
        fail(
                how.get()
                        + " a tensor of shape "
                        + (defined ? Arrays.toString(Tensors.shape(tensor)) : "[] (undefined)")
                        + " that no module made, nor a function of Functional that graphs have"
                        + " (they have no losses); compute it with Functional, or in a module of"
                        + " its own, which is then left as it is; a constant belongs in a buffer or"
                        + " a field, made once");
        Value stranger = names.fresh("unknown");
        if (defined) {
            known.stranger(tensor, stranger);
        }
        return stranger;
    }

    private void fail(String why) {
        if (frames.element().failure == null) {
            frames.element().fail(why);
        }
    }
}

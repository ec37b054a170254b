package io.espalier.graph;

import io.espalier.nn.CallRecorder;
import io.espalier.nn.Module;
import io.espalier.nn.Sequential;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;

/**
 * Runs a model on an example and writes down its calls. The library's layers with parameters are
 * single nodes; any other module is looked into, and becomes a single node where it computes with
 * tensors in ways that are not recorded.
 */
final class Tracer implements CallRecorder {
    private static final String LAYERS = Module.class.getPackageName();

    private final Module root;
    private final IdentityHashMap<Module, String> paths = new IdentityHashMap<>();
    private final Names names = new Names();
    private final List<Node> nodes = new ArrayList<>();
    private final List<Tensor> seen = new ArrayList<>();
    private Map<Long, Value> known = new HashMap<>();
    private boolean insideNode;

    /** A tensor turned up that no recorded call made. */
    @SuppressWarnings("serial") // never serialized
    private static final class UnknownTensor extends EspalierException {
        UnknownTensor(String message) {
            super(message);
        }
    }

    private Tracer(Module root) {
        this.root = root;
        root.namedModules().forEach((path, module) -> paths.putIfAbsent(module, path));
    }

    static Graph trace(Module model, List<Tensor> example) {
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            var tracer = new Tracer(model);
            List<Value> inputs = new ArrayList<>();
            for (int i = 0; i < example.size(); i++) {
                Value input = tracer.names.fresh(example.size() == 1 ? "x" : "x" + i);
                tracer.define(example.get(i), input);
                inputs.add(input);
            }
            List<Tensor> outputs =
                    ScopedValue.where(CURRENT, tracer).call(() -> model.callAll(example));
            List<Value> returned = new ArrayList<>();
            for (Tensor output : outputs) {
                // The model's code is no longer on the stack.
                returned.add(tracer.valueOf(output, () -> "its forward returns"));
            }
            return new Graph(inputs, tracer.nodes, returned).withoutUnused();
        }
    }

    @Override
    public List<Tensor> module(Module module, List<Tensor> inputs, Supplier<List<Tensor>> forward) {
        if (insideNode || module.equals(root)) {
            return forward.get();
        }
        if (!isNode(module)) {
            int mark = nodes.size();
            Map<Long, Value> before = new HashMap<>(known);
            try {
                List<Tensor> outputs = forward.get();
                outputs.forEach(output -> valueOf(output, "returns"));
                return outputs;
            } catch (UnknownTensor e) {
                nodes.subList(mark, nodes.size()).clear();
                known = before;
            }
        }
        return asNode(module, inputs, forward);
    }

    private List<Tensor> asNode(
            Module module, List<Tensor> inputs, Supplier<List<Tensor>> forward) {
        String path = paths.get(module);
        if (path == null) {
            throw new EspalierException(
                    "Can't trace a call of "
                            + module
                            + ", which is not part of the model; register it with add(name, module)"
                            + " where it is used.");
        }
        List<Value> arguments = new ArrayList<>();
        for (Tensor input : inputs) {
            arguments.add(valueOf(input, "hands '" + path + "'"));
        }
        List<Tensor> outputs;
        insideNode = true;
        try {
            outputs = forward.get();
        } finally {
            insideNode = false;
        }
        List<Value> results = outputs.stream().map(output -> names.fresh(path)).toList();
        nodes.add(new Node.ModuleCall(path, arguments, results));
        for (int i = 0; i < results.size(); i++) {
            define(outputs.get(i), results.get(i));
        }
        return outputs;
    }

    /** Whether a module is one of the library's layers with tensors of its own. */
    private static boolean isNode(Module module) {
        return module.getClass().getPackageName().equals(LAYERS)
                && !(module instanceof Sequential)
                && module.namedModules().values().stream()
                        .anyMatch(part ->
                                !part.ownParameters().isEmpty() || !part.ownBuffers().isEmpty());
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

    private void define(Tensor tensor, Value value) {
        seen.add(new Tensor(tensor)); // so that no later tensor gets its address
        known.put(address(tensor), value);
    }

    private Value valueOf(Tensor tensor, String how) {
        return valueOf(tensor, () -> CallSite.ofUser() + " " + how);
    }

    private Value valueOf(Tensor tensor, Supplier<String> how) {
        Value value = known.get(address(tensor));
        return value == null ? stored(tensor, how) : value;
    }

    /** A parameter or buffer of the model, which its code may use without a call. */
    private Value stored(Tensor tensor, Supplier<String> how) {
        long address = address(tensor);
        for (Map.Entry<String, Module> entry : root.namedModules().entrySet()) {
            for (Map<String, Tensor> own :
                    List.of(entry.getValue().ownParameters(), entry.getValue().ownBuffers())) {
                for (Map.Entry<String, Tensor> candidate : own.entrySet()) {
                    if (address(candidate.getValue()) == address) {
                        return read(entry.getKey(), candidate.getKey(), tensor);
                    }
                }
            }
        }
        throw new UnknownTensor(
                "Can't trace "
                        + root.getClass().getSimpleName()
                        + ": "
                        + how.get()
                        + " a tensor of shape "
                        + Arrays.toString(Tensors.shape(tensor))
                        + " that no module and no function of Functional made; compute it with"
                        + " Functional, or in a module of its own, which is then left as it is.");
    }

    private static long address(Tensor tensor) {
        return tensor.unsafeGetTensorImpl().address();
    }
}

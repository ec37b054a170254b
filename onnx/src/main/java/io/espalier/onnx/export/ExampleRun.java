package io.espalier.onnx.export;

import io.espalier.graph.GraphModule;
import io.espalier.graph.GraphTypes;
import io.espalier.graph.Node;
import io.espalier.graph.Node.ModuleCall;
import io.espalier.graph.Size;
import io.espalier.graph.StepWatcher;
import io.espalier.graph.Value;
import io.espalier.nn.Module;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** What the values of a graph are when it runs on an example. */
final class ExampleRun {
    private final GraphModule module;
    private final Map<Value, Seen> seen = new HashMap<>();
    private final IdentityHashMap<Node, List<Tensor>> operands = new IdentityHashMap<>();
    private @Nullable GraphTypes symbolic;
    private boolean isSymbolicKnown;

    private ExampleRun(GraphModule module) {
        this.module = module;
    }

    /**
     * Runs a graph. What is handed to modules that are looked into is kept in the caller's scope.
     */
    static ExampleRun of(GraphModule module, List<Tensor> example) {
        var run = new ExampleRun(module);
        List<Value> inputs = module.graph().inputs();
        for (int i = 0; i < inputs.size(); i++) {
            run.seen.put(inputs.get(i), Seen.of(example.get(i)));
        }
        PointerScope outer = PointerScope.getInnerScope();
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            StepWatcher watcher = (node, given, results) -> run.step(node, given, results, outer);
            watcher.run(module, example);
        }
        return run;
    }

    private void step(
            Node node, List<Tensor> given, List<Tensor> results, @Nullable PointerScope outer) {
        for (int i = 0; i < results.size(); i++) {
            seen.put(node.results().get(i), Seen.of(results.get(i)));
        }
        if (node instanceof ModuleCall call && LayerTable.looksInto(calledModule(call))) {
            operands.put(node, given.stream().map(tensor -> kept(tensor, outer)).toList());
        }
    }

    private Module calledModule(ModuleCall call) {
        return Objects.requireNonNull(module.modules().get(call.path())).current();
    }

    /** A copy in floats that outlives the run. */
    private static Tensor kept(Tensor tensor, @Nullable PointerScope outer) {
        Tensor copy = tensor.is_quantized() ? tensor.dequantize() : tensor.detach().clone();
        return Tensors.handOver(copy, outer);
    }

    /** What a value was. */
    Seen of(Value value) {
        return Objects.requireNonNull(seen.get(value));
    }

    /** What a module that is looked into was handed, in floats; nothing for others. */
    List<Tensor> operands(ModuleCall call) {
        return operands.getOrDefault(call, List.of());
    }

    /** A value's extent in each run. */
    Size size(Value value, int dim) {
        if (module.graph().signature().freeNames().isEmpty()) {
            return new Size.Fixed(of(value).shape().get(dim));
        }
        GraphTypes types = types();
        return types == null ? new Size.Unknown() : types.of(value).shape().get(dim);
    }

    /** Whether a value's extent is the same in each run. */
    boolean isFixed(Value value, int dim) {
        return size(value, dim) instanceof Size.Fixed;
    }

    /** The sizes in any run; null where they could not be found. */
    private @Nullable GraphTypes types() {
        if (!isSymbolicKnown) {
            isSymbolicKnown = true;
            try {
                symbolic = GraphTypes.of(module);
            } catch (EspalierException e) { // it runs on none of the sizes tried
                symbolic = null;
            }
        }
        return symbolic;
    }
}

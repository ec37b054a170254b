package io.espalier.onnx.lower;

import io.espalier.graph.Graph;
import io.espalier.graph.GraphOperator;
import io.espalier.graph.Node;
import io.espalier.graph.Value;
import io.espalier.onnx.run.RunningModel;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.time.Duration;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * A lowered model as libtorch runs it. Results are tensors of their own, row-major, whatever the
 * graph gives.
 */
public final class LibtorchSession implements RunningModel {
    private static final int WARM_RUNS = 60;
    private static final Duration MOST_WARMING = Duration.ofSeconds(3);

    private final LoweredModel model;
    private final Set<String> shared;
    private final AtomicInteger warmRuns = new AtomicInteger();

    /** Makes a model ready; its module must not be changed any more. */
    public LibtorchSession(LoweredModel model) {
        this.model = model;
        this.shared = shared(model);
    }

    /** Outputs that may be the memory of an input or a weight. */
    private static Set<String> shared(LoweredModel model) {
        Graph graph = model.module().graph();
        Map<Value, Node> producers = graph.producers();
        Set<String> shared = new HashSet<>();
        for (int i = 0; i < model.outputs().size(); i++) {
            Value output = graph.outputs().get(i);
            if (isShared(model, producers, output)
                    || graph.outputs().subList(0, i).contains(output)) {
                shared.add(model.outputs().get(i));
            }
        }
        return shared;
    }

    private static boolean isShared(LoweredModel model, Map<Value, Node> producers, Value value) {
        Node producer = producers.get(value);
        boolean mayPassOn =
                switch (producer) {
                    case null -> true;
                    case Node.StateRead read -> true;
                    case Node.OperatorCall call ->
                            call.operator().isView() || call.calls(GraphOperator.CAST);
                    case Node.ModuleCall call ->
                            model.module().module(call.path()).ownParameters().isEmpty();
                };
        return mayPassOn
                && (producer == null
                        || producer instanceof Node.StateRead
                        || producer.inputs().stream()
                                .anyMatch(in -> isShared(model, producers, in)));
    }

    @Override
    public Map<String, Tensor> run(Map<String, Tensor> inputs) {
        @Nullable PointerScope outer = PointerScope.getInnerScope();
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            Map<String, Tensor> results = new LinkedHashMap<>();
            model.run(inputs)
                    .forEach((name, tensor) -> {
                        Tensor own =
                                shared.contains(name)
                                        ? tensor.contiguous().clone()
                                        : tensor.contiguous();
                        results.put(name, Tensors.handOver(own, outer));
                    });
            return results;
        }
    }

    /**
     * {@inheritDoc}
     *
     * <p>Java compiles what is between the kernels while it runs, on the cores that they need.
     */
    @Override
    public void warmUp(Map<String, Tensor> inputs) {
        long end = System.nanoTime() + MOST_WARMING.toNanos();
        while (System.nanoTime() < end && warmRuns.getAndIncrement() < WARM_RUNS) {
            runOnly(inputs);
        }
    }

    /** Does nothing: the collector frees a model that nobody holds. */
    @Override
    public void close() {}
}

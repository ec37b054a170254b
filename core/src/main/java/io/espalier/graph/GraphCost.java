package io.espalier.graph;

import io.espalier.nn.CallRecorder;
import io.espalier.nn.IntegerWeighted;
import io.espalier.nn.Module;
import io.espalier.tensor.Needed;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Supplier;
import java.util.function.ToLongFunction;
import java.util.stream.Collectors;

/**
 * What a graph costs in one call, node by node. A module that was not looked into counts what the
 * layers and functions that it calls cost; what it computes in other ways is not seen.
 *
 * @param rows one for each node
 */
public record GraphCost(List<Row> rows) {
    /**
     * What one node costs.
     *
     * @param results the types of what it gives
     * @param parameters the weights that it holds; of a module that is called several times they
     *     count in the first
     * @param macs multiplications, each with an addition
     * @param bytes what is read and written: operands, weights and results; nothing for views
     */
    public record Row(
            Node node, List<TensorType> results, long parameters, long macs, long bytes) {}

    /** Copies the list. */
    public GraphCost {
        rows = List.copyOf(rows);
    }

    /** The cost of a call with this example, which is run once. */
    public static GraphCost of(GraphModule module, Tensor... example) {
        Needed.of(module, "the graph module");
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            List<Row> rows = new ArrayList<>();
            Set<String> counted = new HashSet<>();
            var inside = new Recorder();
            ScopedValue.where(CallRecorder.CURRENT, inside)
                    .call(() ->
                            module.run(
                                    Needed.all(example, "the example"),
                                    (node, operands, results) -> {
                                        long nested = inside.take();
                                        rows.add(
                                                row(
                                                        module, node, operands, results, counted,
                                                        nested));
                                    }));
            return new GraphCost(rows);
        }
    }

    /**
     * The cost of a call with one sample, other free dimensions as they were when it was traced.
     *
     * @throws io.espalier.tensor.EspalierException if nothing is known of the graph's inputs
     */
    public static GraphCost of(GraphModule module) {
        return GraphTypes.withZeros(module, inputs -> of(module, inputs.toArray(Tensor[]::new)));
    }

    private static Row row(
            GraphModule module,
            Node node,
            List<Tensor> operands,
            List<Tensor> results,
            Set<String> counted,
            long nested) {
        List<TensorType> types = results.stream().map(TensorType::of).toList();
        long moved = bytes(operands) + bytes(results);
        return switch (node) {
            case Node.ModuleCall call -> {
                Module called = module.module(call.path()).current();
                long parameters = counted.add(call.path()) ? parameters(called) : 0;
                yield new Row(node, types, parameters, nested, moved + stateBytes(called));
            }
            case Node.OperatorCall call ->
                    new Row(
                            node,
                            types,
                            0,
                            OperatorCost.macs(call.operator(), shapes(operands), shapes(results)),
                            call.operator().isView() ? 0 : moved);
            case Node.StateRead read -> {
                boolean parameter = module.module(read.owner()).hasParameter(read.name());
                boolean first = counted.add(read.owner() + "." + read.name());
                boolean held = counted.contains(read.owner());
                yield new Row(
                        node,
                        types,
                        parameter && first && !held ? results.getFirst().numel() : 0,
                        0,
                        0);
            }
        };
    }

    private static long parameters(Module module) {
        long parameters = 0;
        for (Module part : new HashSet<>(module.namedModules().values())) {
            parameters += sum(part.ownParameters().values(), Tensor::numel);
            if (part instanceof IntegerWeighted weighted) { // their biases are buffers
                for (Map.Entry<String, Tensor> buffer : part.ownBuffers().entrySet()) {
                    parameters +=
                            buffer.getKey().startsWith("bias") ? buffer.getValue().numel() : 0;
                }
                try (var scope = new PointerScope()) {
                    parameters += sum(weighted.floatWeights().values(), Tensor::numel);
                }
            }
        }
        return parameters;
    }

    private static long stateBytes(Module module) {
        return sum(module.namedParameters().values(), Tensor::nbytes)
                + sum(module.namedBuffers().values(), Tensor::nbytes);
    }

    private static long bytes(List<Tensor> tensors) {
        return sum(tensors, Tensor::nbytes);
    }

    private static <T> long sum(Iterable<T> all, ToLongFunction<T> of) {
        long sum = 0;
        for (T each : all) {
            sum += of.applyAsLong(each);
        }
        return sum;
    }

    private static List<long[]> shapes(List<Tensor> tensors) {
        return tensors.stream().filter(Tensor::defined).map(Tensors::shape).toList();
    }

    /** Adds up what the modules that are called cost. */
    private static final class Recorder implements CallRecorder {
        private long macs;
        private boolean inside;

        long take() {
            long taken = macs;
            macs = 0;
            return taken;
        }

        @Override
        public List<Tensor> module(
                Module module, List<Tensor> inputs, Supplier<List<Tensor>> forward) {
            if (inside || !module.isAtomic()) {
                return forward.get();
            }
            inside = true;
            try {
                List<Tensor> outputs = forward.get();
                macs += module.multiplications(shapes(inputs), shapes(outputs));
                return outputs;
            } finally {
                inside = false;
            }
        }

        @Override
        public void function(
                List<Tensor> results, String operator, List<@Nullable Object> arguments) {
            if (!inside) {
                List<Tensor> operands = new ArrayList<>();
                for (Object argument : arguments) {
                    if (argument instanceof Tensor tensor) {
                        operands.add(tensor);
                    }
                }
                GraphOperator.ofLibtorch(operator)
                        .ifPresent(of ->
                                macs += OperatorCost.macs(of, shapes(operands), shapes(results)));
            }
        }

        @Override
        public void parameter(Module owner, String name, Tensor value) {}
    }

    /** The weights of the whole graph, each once. */
    public long parameters() {
        return sum(rows, Row::parameters);
    }

    /** The multiplications of the whole graph. */
    public long macs() {
        return sum(rows, Row::macs);
    }

    /** The bytes that the whole graph reads and writes. */
    public long bytes() {
        return sum(rows, Row::bytes);
    }

    /** A line for each node with what it costs, and one for all. */
    @Override
    public String toString() {
        return rows.stream()
                        .map(row ->
                                "%,14d %,16d %,14d  %s  %s%n"
                                        .formatted(
                                                row.parameters,
                                                row.macs,
                                                row.bytes,
                                                row.node,
                                                row.results))
                        .collect(
                                Collectors.joining(
                                        "",
                                        "%14s %16s %14s%n".formatted("parameters", "MACs", "bytes"),
                                        ""))
                + "%,14d %,16d %,14d".formatted(parameters(), macs(), bytes());
    }
}

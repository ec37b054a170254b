package io.espalier.onnx.model;

import io.espalier.onnx.proto.FunctionProto;
import io.espalier.onnx.proto.GraphProto;
import io.espalier.onnx.proto.NodeProto;
import io.espalier.tensor.EspalierException;

import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * How many nodes the calls of a file's functions stand for, counted function by function: functions
 * that call the next one twice double them at each step, in a file of some kilobytes.
 */
public final class FunctionSizes {
    /** More than large exports have; of twice as many the runtime is busy for minutes. */
    private static final long MOST_NODES = 20_000;

    /** How deep functions may call functions; the runtime goes down by recursion. */
    private static final int DEEPEST = 200;

    private final Map<String, FunctionProto> functions = new HashMap<>();
    private final Map<String, Long> sizes = new HashMap<>();
    private final Set<String> open = new HashSet<>();

    private FunctionSizes(OnnxModel model) {
        model.functions().forEach(function -> functions.put(FunctionCalls.key(function), function));
    }

    /**
     * Refuses a model whose calls of functions nobody could take apart.
     *
     * @throws EspalierException if they stand for too many nodes, are nested too deep, or a
     *     function calls itself
     */
    public static void requireBounded(OnnxModel model) {
        if (!model.hasFunctions()) {
            return;
        }
        var sizes = new FunctionSizes(model);
        long written =
                model.graph().nodes().size()
                        + model.functions().stream().mapToLong(f -> f.getNodeCount()).sum();
        long all =
                model.graph().nodes().stream()
                        .mapToLong(node -> sizes.of(node.toProto()))
                        .reduce(0, FunctionSizes::plus);
        if (all > Math.max(MOST_NODES, 2 * written)) {
            throw new EspalierException(
                    "The model's calls of its own functions stand for %s nodes; at most %,d are taken apart."
                            .formatted(
                                    all == Long.MAX_VALUE ? "countless" : "%,d".formatted(all),
                                    Math.max(MOST_NODES, 2 * written)));
        }
    }

    private static long plus(long a, long b) {
        return a > Long.MAX_VALUE - b ? Long.MAX_VALUE : a + b;
    }

    private long of(NodeProto node) {
        String key = FunctionCalls.key(node);
        FunctionProto function = functions.get(key);
        if (function != null) {
            return of(key, function);
        }
        long size = 1;
        for (GraphProto inner : OnnxNode.of(node).subgraphs()) {
            size = plus(size, of(inner.getNodeList()));
        }
        return size;
    }

    private long of(List<NodeProto> nodes) {
        return nodes.stream().mapToLong(this::of).reduce(0, FunctionSizes::plus);
    }

    private long of(String key, FunctionProto function) {
        Long known = sizes.get(key);
        if (known != null) {
            return known;
        }
        if (!open.add(key)) {
            throw new EspalierException(
                    "The function '%s' of the model calls itself.".formatted(function.getName()));
        }
        if (open.size() > DEEPEST) {
            throw new EspalierException(
                    "The model's functions call one another more than %d deep.".formatted(DEEPEST));
        }
        long size = of(function.getNodeList());
        open.remove(key);
        sizes.put(key, size);
        return size;
    }
}

package io.espalier.quant.graph;

import io.espalier.graph.Graph;
import io.espalier.graph.Node;
import io.espalier.graph.Node.ModuleCall;
import io.espalier.graph.Node.OperatorCall;
import io.espalier.graph.Value;
import io.espalier.nn.Module;
import io.espalier.quant.layer.FusedChain;
import io.espalier.quant.layer.IntegerKernels;

import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;

/**
 * Which nodes of a graph compute in integers, and which values are integers between them. A layer
 * does if it has a kernel and a qconfig; what only moves values about (reshaping, taking the
 * largest) goes along with what it stands before. All else stays in floats, averages, sums and
 * products too: their integer kernels are slower than computing in floats and quantizing again.
 */
final class IntegerPlacement {
    /** What a node may be among integers. */
    enum Role {
        /** A linear layer or convolution. */
        LAYER,
        /** It keeps the scale of its input. */
        PASSING,
        /** It computes in floats. */
        FLOAT
    }

    private final Graph graph;
    private final Set<Node> integersOnly = new HashSet<>();
    private final Map<Value, Node> producers;
    private final Map<Node, Role> roles = new HashMap<>();
    private final Set<Value> wanted;

    IntegerPlacement(
            Graph graph,
            Map<String, Module> modules,
            Set<String> configured,
            IntegerKernels kernels) {
        this.graph = graph;
        this.producers = graph.producers();
        for (Node node : graph.nodes()) {
            roles.put(
                    node,
                    switch (node) {
                        case ModuleCall call ->
                                modules.get(call.path()) instanceof FusedChain chain
                                                && configured.contains(call.path())
                                                && kernels.computes(chain.layer())
                                        ? Role.LAYER
                                        : Role.FLOAT;
                        case OperatorCall call -> isPassing(call) ? Role.PASSING : Role.FLOAT;
                        case Node.StateRead read -> Role.FLOAT;
                    });
        }
        for (Node node : graph.nodes()) {
            if (node instanceof ModuleCall call
                    && role(node) == Role.LAYER
                    && modules.get(call.path()) instanceof FusedChain chain
                    && !kernels.givesFloats(chain)) {
                integersOnly.add(node);
            }
        }
        wanted = wanted();
    }

    /** Whether it keeps its operand's scale and has a kernel for integers. */
    static boolean isPassing(OperatorCall call) {
        return switch (call.operator()) {
            case RESHAPE,
                    FLATTEN,
                    TRANSPOSE,
                    PERMUTE,
                    UNSQUEEZE,
                    SQUEEZE,
                    NARROW,
                    MAX_POOL1D,
                    MAX_POOL2D,
                    UPSAMPLE_NEAREST2D ->
                    true;
            default -> false;
        };
    }

    private Set<Value> wanted() {
        Set<Value> found = new HashSet<>();
        for (Node node : graph.nodes().reversed()) {
            switch (role(node)) {
                case LAYER -> found.addAll(node.inputs());
                case PASSING -> {
                    if (found.contains(node.result())) {
                        found.add(node.inputs().getFirst());
                    }
                }
                case FLOAT -> {}
            }
        }
        return found;
    }

    private Role role(Node node) {
        return roles.getOrDefault(node, Role.FLOAT);
    }

    /** Whether a node computes in integers. */
    boolean isInteger(Node node) {
        return switch (role(node)) {
            case LAYER -> true;
            case PASSING -> isInteger(node.result());
            case FLOAT -> false;
        };
    }

    /** Whether a value is integers. */
    boolean isInteger(Value value) {
        return wanted.contains(value) || integersOnly.contains(producers.get(value));
    }

    /** Whether a value's range must be known: it does not follow from another's. */
    boolean needsRange(Value value) {
        Node producer = producers.get(value);
        boolean follows = producer != null && role(producer) == Role.PASSING;
        return isInteger(value) && !follows;
    }

    /** Whether a value is computed in integers, so that no float form of it exists. */
    boolean isComputedInIntegers(Value value) {
        Node producer = producers.get(value);
        return producer != null && isInteger(producer);
    }
}

package io.espalier.quant.graph;

import io.espalier.graph.Graph;
import io.espalier.graph.GraphModule;
import io.espalier.graph.GraphOperator;
import io.espalier.graph.Names;
import io.espalier.graph.Node;
import io.espalier.graph.Node.ModuleCall;
import io.espalier.graph.Node.OperatorCall;
import io.espalier.graph.Value;
import io.espalier.nn.Module;
import io.espalier.quant.layer.ChainActivation;
import io.espalier.quant.layer.FusedChain;
import io.espalier.quant.layer.IntegerKernels;
import io.espalier.quant.layer.Packing;
import io.espalier.quant.layer.Quantize;
import io.espalier.quant.layer.QuantizedLayer.Range;
import io.espalier.quant.observer.Observer;
import io.espalier.tensor.EspalierException;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SequencedMap;

/**
 * Turns a prepared and calibrated graph into one of integer kernels, node by node. Each value has a
 * form, integers or floats; where a node needs the other form it is computed, once.
 */
public final class Lowering {
    private final GraphModule prepared;
    private final Map<String, Module> before;
    private final Map<Value, List<Node>> consumers;
    private final IntegerKernels kernels;
    private final SequencedMap<String, Module> modules = new LinkedHashMap<>();
    private final Names names;
    private final List<Node> nodes = new ArrayList<>();
    private final Map<Value, Form> forms = new HashMap<>();
    private final Map<Value, Value> floats = new HashMap<>();

    /**
     * What a value of the prepared graph is in the new one.
     *
     * @param value the new value
     * @param range how its integers stand for numbers; null for floats
     */
    private record Form(Value value, @Nullable Range range) {}

    private Lowering(GraphModule prepared, IntegerKernels kernels) {
        this.prepared = prepared;
        this.before = prepared.modules();
        this.consumers = prepared.graph().consumers();
        this.kernels = kernels;
        this.names = Names.beside(prepared.graph());
    }

    /**
     * The graph of integer kernels.
     *
     * @throws EspalierException if the graph is not prepared, an observer has seen no data, or a
     *     layer has no int8 kernel
     */
    public static GraphModule lower(GraphModule prepared) {
        Packing packing =
                prepared.modules().values().stream()
                        .filter(FusedChain.class::isInstance)
                        .flatMap(chain -> ((FusedChain) chain).packing().stream())
                        .findFirst()
                        .orElseThrow(() ->
                                new EspalierException(
                                        "The graph is not prepared, so no range is known; call"
                                                + " GraphQuantization.prepare and run calibration"
                                                + " data through it before convert."));
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            return new Lowering(prepared, IntegerKernels.of(packing)).lower();
        }
    }

    private GraphModule lower() {
        Graph graph = prepared.graph();
        graph.inputs().forEach(input -> forms.put(input, new Form(input, null)));
        for (Node node : graph.nodes()) {
            switch (node) {
                case ModuleCall call when before.get(call.path()) instanceof Observer observer ->
                        quantize(call, range(observer));
                case ModuleCall call
                        when before.get(call.path()) instanceof FusedChain chain
                                && hasKernel(chain)
                                && allIntegers(call) ->
                        layer(call, chain);
                case OperatorCall call when isPassing(call) -> passing(call);
                default -> inFloats(node);
            }
        }
        List<Value> outputs = graph.outputs().stream().map(this::inFloats).toList();
        Graph converted = graph.with(nodes, outputs).withoutUnused(this::mayGo);
        MemoryReuse.apply(converted, modules);
        return new GraphModule(converted, modules);
    }

    /** What was put in here for nobody; what the model did stays. */
    private boolean mayGo(Node node) {
        return node instanceof OperatorCall
                || (node instanceof ModuleCall call
                        && modules.get(call.path()) instanceof Quantize);
    }

    private static Range range(Observer observer) {
        return Range.of(observer.name(), observer.quantizationParameters());
    }

    private @Nullable Observer observer(Value value) {
        for (Node node : consumers.getOrDefault(value, List.of())) {
            if (node instanceof ModuleCall call
                    && before.get(call.path()) instanceof Observer observer) {
                return observer;
            }
        }
        return null;
    }

    private @Nullable Range rangeOf(Value value) {
        Observer observer = observer(value);
        return observer == null ? null : range(observer);
    }

    private Form form(Value value) {
        return Objects.requireNonNull(forms.get(value));
    }

    private boolean hasKernel(FusedChain chain) {
        return chain.packing().isPresent() && kernels.computes(chain.layer());
    }

    private boolean allIntegers(Node node) {
        return node.inputs().stream().allMatch(input -> form(input).range() != null);
    }

    /** An observer's place: the value is integers already, or is quantized here. */
    private void quantize(ModuleCall call, Range range) {
        Form given = form(call.inputs().getFirst());
        if (given.range() != null) {
            forms.put(call.result(), given);
            return;
        }
        String path = call.path().replace("activation_post_process", "quantize");
        modules.put(path, new Quantize(range));
        Value quantized = names.fresh(given.value().name() + "_quantized");
        nodes.add(new ModuleCall(path, List.of(given.value()), quantized));
        forms.put(call.result(), new Form(quantized, range));
    }

    private void layer(ModuleCall call, FusedChain chain) {
        Packing packing = chain.packing().orElseThrow();
        List<Form> inputs = call.inputs().stream().map(this::form).toList();
        @Nullable Range output = rangeOf(call.result());
        Range input = Objects.requireNonNull(inputs.getFirst().range());
        @Nullable Range added = chain.adds() ? inputs.get(1).range() : null;
        modules.put(call.path(), kernels.layer(call.path(), chain, packing, input, added, output));
        nodes.add(
                new ModuleCall(
                        call.path(), inputs.stream().map(Form::value).toList(), call.result()));
        forms.put(call.result(), new Form(call.result(), output));
    }

    private boolean isPassing(OperatorCall call) {
        return IntegerPlacement.isPassing(call) && form(call.inputs().getFirst()).range() != null;
    }

    /** Its result has the range of its input. */
    private void passing(OperatorCall call) {
        nodes.add(call.withInputs(value -> form(value).value()));
        forms.put(call.result(), new Form(call.result(), form(call.inputs().getFirst()).range()));
    }

    private void inFloats(Node node) {
        nodes.add(node.withInputs(this::inFloats));
        if (node instanceof ModuleCall call) {
            modules.put(call.path(), floatModule(call));
        } else if (node instanceof Node.StateRead read) {
            modules.putIfAbsent(read.owner(), before.get(read.owner()));
        }
        node.results().forEach(result -> forms.put(result, new Form(result, null)));
    }

    /** A chain that stays in floats keeps what was folded into it. */
    private Module floatModule(ModuleCall call) {
        Module module = Objects.requireNonNull(before.get(call.path()));
        return module instanceof FusedChain chain && isAlone(chain) ? chain.layer() : module;
    }

    private static boolean isAlone(FusedChain chain) {
        return !chain.adds() && chain.activation() == ChainActivation.NONE;
    }

    private Value inFloats(Value value) {
        Form form = form(value);
        if (form.range() == null) {
            return form.value();
        }
        return floats.computeIfAbsent(
                form.value(),
                integers -> {
                    Value result = names.fresh(value.name() + "_floats");
                    nodes.add(new OperatorCall(GraphOperator.DEQUANTIZE, integers, result));
                    return result;
                });
    }
}

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
import io.espalier.quant.layer.FusedChain;
import io.espalier.quant.layer.IntegerKernels;
import io.espalier.quant.layer.Packing;
import io.espalier.quant.layer.Quantize;
import io.espalier.quant.layer.QuantizedLayer.Range;
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
import java.util.Optional;
import java.util.SequencedMap;

/**
 * Turns a graph with explicit ranges into one of an engine's integer kernels, node by node. Each
 * value has a form, integers or floats; where a node needs the other form it is computed, once.
 */
final class Lowering {
    private final GraphModule explicit;
    private final Map<String, Module> before;
    private final Map<Value, Node> producers;
    private final Map<Value, List<Node>> consumers;
    private final IntegerKernels kernels;
    private final SequencedMap<String, Module> modules = new LinkedHashMap<>();
    private final Names names;
    private final List<Node> nodes = new ArrayList<>();
    private final Map<Value, Form> forms = new HashMap<>();
    private final Map<Value, Value> floats = new HashMap<>();
    private int ranges;

    /**
     * What a value of the prepared graph is in the new one.
     *
     * @param value the new value
     * @param range how its integers stand for numbers; null for floats
     */
    private record Form(Value value, @Nullable Range range) {}

    private Lowering(GraphModule explicit, IntegerKernels kernels) {
        this.explicit = explicit;
        this.before = explicit.modules();
        this.producers = explicit.graph().producers();
        this.consumers = explicit.graph().consumers();
        this.kernels = kernels;
        this.names = Names.beside(explicit.graph());
    }

    static GraphModule apply(GraphModule explicit) {
        Packing packing =
                explicit.modules().values().stream()
                        .filter(FusedChain.class::isInstance)
                        .map(FusedChain.class::cast)
                        .filter(chain -> chain.weightParameters().isPresent())
                        .flatMap(chain -> chain.packing().stream())
                        .findFirst()
                        .orElseThrow(() ->
                                new EspalierException(
                                        "The graph has no layer with a rounded weight, so there is"
                                                + " nothing to lower; make it by"
                                                + " GraphQuantization.convertToReference."));
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            return new Lowering(explicit, IntegerKernels.of(packing)).lower();
        }
    }

    private GraphModule lower() {
        Graph graph = explicit.graph();
        graph.inputs().forEach(input -> forms.put(input, new Form(input, null)));
        for (Node node : graph.nodes()) {
            switch (node) {
                case OperatorCall call when call.calls(GraphOperator.QUANTIZE) ->
                        quantize(call, RoundedValue.range(call));
                case OperatorCall call when call.calls(GraphOperator.DEQUANTIZE) ->
                        forms.put(call.result(), form(call.inputs().getFirst()));
                case ModuleCall call
                        when before.get(call.path()) instanceof FusedChain chain
                                && hasKernel(chain)
                                && allIntegers(call) ->
                        layer(call, chain);
                case ModuleCall call when shifted(call).isPresent() ->
                        forms.put(
                                call.result(),
                                new Form(
                                        form(call.inputs().getFirst()).value(),
                                        shifted(call).orElseThrow()));
                case OperatorCall call when isPassing(call) -> passing(call);
                default -> inFloats(node);
            }
        }
        List<Value> outputs = graph.outputs().stream().map(this::inFloats).toList();
        Graph lowered = graph.with(nodes, outputs).withoutUnused(this::mayGo);
        return new GraphModule(lowered, modules);
    }

    /** What was put in here for nobody; what the model did stays. */
    private boolean mayGo(Node node) {
        return node instanceof OperatorCall
                || (node instanceof ModuleCall call
                        && modules.get(call.path()) instanceof Quantize);
    }

    /** The range that a value is given, if it is quantized. */
    private @Nullable Range rangeOf(Value value) {
        for (Node node : consumers.getOrDefault(value, List.of())) {
            if (node instanceof OperatorCall call && call.calls(GraphOperator.QUANTIZE)) {
                return RoundedValue.range(call);
            }
        }
        return null;
    }

    private Form form(Value value) {
        return Objects.requireNonNull(forms.get(value));
    }

    private boolean hasKernel(FusedChain chain) {
        return chain.weightParameters().isPresent() && kernels.computes(chain.layer());
    }

    private boolean allIntegers(Node node) {
        return node.inputs().stream().allMatch(input -> form(input).range() != null);
    }

    /** The value is integers already, or is quantized here. */
    private void quantize(OperatorCall call, Range range) {
        Form given = form(call.inputs().getFirst());
        String path = "quantize_" + ranges;
        if (!followsFromInput(call)) {
            ranges++;
        }
        if (given.range() != null) {
            forms.put(call.result(), given);
            return;
        }
        modules.put(path, new Quantize(range));
        nodes.add(new ModuleCall(path, List.of(given.value()), call.result()));
        forms.put(call.result(), new Form(call.result(), range));
    }

    /** Whether a value has the range that what it was chosen from has. */
    private boolean followsFromInput(OperatorCall quantize) {
        return producers.get(quantize.inputs().getFirst()) instanceof OperatorCall call
                && isPassing(call);
    }

    private void layer(ModuleCall call, FusedChain chain) {
        Packing packing = chain.packing().orElseThrow();
        List<Form> inputs = call.inputs().stream().map(this::form).toList();
        @Nullable Range output = rangeOf(call.result());
        Range input = Objects.requireNonNull(inputs.getFirst().range());
        @Nullable Range added = chain.adds() ? inputs.get(1).range() : null;
        modules.put(
                call.path(),
                kernels.layer(call.path(), chain.unrounded(), packing, input, added, output));
        nodes.add(
                new ModuleCall(
                        call.path(), inputs.stream().map(Form::value).toList(), call.result()));
        forms.put(call.result(), new Form(call.result(), output));
    }

    /**
     * The range of a shift's result that has the codes of its input, if it is quantized so: then
     * there is nothing to compute.
     */
    private Optional<Range> shifted(ModuleCall call) {
        @Nullable Range input = form(call.inputs().getFirst()).range();
        @Nullable Range output = rangeOf(call.result());
        return input == null || output == null
                ? Optional.empty()
                : UniformAffine.of(before.get(call.path()))
                        .flatMap(affine -> affine.after(input))
                        .filter(output::equals);
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
            modules.put(call.path(), before.get(call.path()));
        } else if (node instanceof Node.StateRead read) {
            modules.putIfAbsent(read.owner(), before.get(read.owner()));
        }
        node.results().forEach(result -> forms.put(result, new Form(result, null)));
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

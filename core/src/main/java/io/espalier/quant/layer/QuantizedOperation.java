package io.espalier.quant.layer;

import io.espalier.nn.Module;
import io.espalier.tensor.BoundOperator;
import io.espalier.tensor.Operator;
import io.espalier.tensor.Operators;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/**
 * An activation or a normalization with an int8 kernel, whose output has a range of its own. The
 * parameters of a normalization stay floats, in buffers of the same names.
 */
public final class QuantizedOperation extends QuantizedLayer {
    private final Operation operation;
    private volatile @Nullable BoundOperator kernel;

    private QuantizedOperation(Operation operation, Range output, @Nullable Range input) {
        super(output, input);
        this.operation = operation;
    }

    /** A float layer as an operation, with the tensors that the layer has. */
    static QuantizedOperation of(
            Module layer, Operation operation, Range output, @Nullable Range input) {
        var made = new QuantizedOperation(operation, output, input);
        layer.ownParameters()
                .keySet()
                .forEach(parameter -> {
                    String name = HalfPrecision.publicName(layer, parameter);
                    made.addBuffer(name, layer.value(name).detach().clone());
                });
        for (String statistic : List.of("running_mean", "running_var")) {
            if (layer.hasBuffer(statistic)) {
                made.addBuffer(statistic, layer.buffer(statistic).clone());
            }
        }
        operation.completed().accept(made);
        return made;
    }

    /** An operator that takes the input first and ends with the output's scale and zero point. */
    BoundOperator bind(String operator, @Nullable Object... between) {
        List<@Nullable Object> arguments = new ArrayList<>();
        arguments.add(Operator.TENSOR);
        arguments.addAll(Arrays.asList(between));
        arguments.add(scale());
        arguments.add(zeroPoint());
        return Operators.find(operator).bind(arguments.toArray());
    }

    /** A tensor of the float layer, if it has it. */
    @Nullable Tensor optional(String buffer) {
        return hasBuffer(buffer) ? buffer(buffer) : null;
    }

    @Override
    protected Tensor forward(Tensor x) {
        if (operation.rank() > 0 && x.dim() != operation.rank()) {
            throw wrongInput(
                    x, "the int8 kernel needs " + operation.rank() + " dimensions, with a batch.");
        }
        long channels = operation.channels();
        if (channels > 1 && (x.dim() < 2 || x.size(1) != channels)) {
            throw wrongInput(x, "the input must have " + channels + " channels.");
        }
        BoundOperator known = kernel;
        if (known == null) {
            known = operation.kernel().apply(this);
            kernel = known;
        }
        return known.call(quantized(x));
    }

    /** What it would give if it rounded nothing: floats of floats. */
    public Tensor inFloats(Tensor x) {
        return operation.floats().apply(this, x);
    }

    @Override
    protected void stateLoaded() {
        super.stateLoaded();
        kernel = null;
    }

    @Override
    public boolean standsFor(Module layer) {
        return true; // it was made of the layer
    }

    @Override
    public Map<String, String> attributes() {
        return Map.of();
    }

    @Override
    protected String typeName() {
        return operation.name();
    }

    @Override
    protected String extraRepr() {
        return operation.printed();
    }
}

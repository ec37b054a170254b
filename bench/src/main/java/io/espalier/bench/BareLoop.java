package io.espalier.bench;

import io.espalier.nn.Convolution;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.tensor.BoundOperator;
import io.espalier.tensor.Engine;
import io.espalier.tensor.Operator;
import io.espalier.tensor.Operators;
import io.espalier.tensor.PackedObject;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.UnaryOperator;

/**
 * The kernels of a converted network in a loop, with nothing around them: no module is called and
 * no hook asked. The weights are packed anew from the converted network's integers and scales;
 * where they are convolved comes from the float network, which was fused in the same way.
 */
final class BareLoop {
    private final Module plain;
    private final Module converted;
    private final List<Step> steps = new ArrayList<>();

    /** One kernel, given what two steps gave; most ask for the first alone. */
    private record Step(Kernel kernel, int first, int second) {}

    @FunctionalInterface
    private interface Kernel {
        Tensor apply(Tensor first, Tensor second);
    }

    /**
     * A loop without steps; its value 0 is the network's input.
     *
     * @param plain the fused network in floats
     * @param converted the same network in integers, by the engine x86
     */
    BareLoop(Module plain, Module converted) {
        this.plain = plain;
        this.converted = converted;
    }

    /** Computes all steps; the result is the last one's. */
    Tensor run(Tensor x) {
        Tensor[] values = new Tensor[steps.size() + 1];
        values[0] = x;
        for (int i = 0; i < steps.size(); i++) {
            Step step = steps.get(i);
            values[i + 1] = step.kernel.apply(values[step.first], values[step.second]);
        }
        return values[steps.size()];
    }

    private int step(int first, int second, Kernel kernel) {
        steps.add(new Step(kernel, first, second));
        return steps.size();
    }

    /** Any other kernel. */
    int function(UnaryOperator<Tensor> function, int x) {
        return step(x, x, (first, second) -> function.apply(first));
    }

    /** Floats in integers, as the layer at a path expects its input. */
    int quantized(String path, int x) {
        Module layer = converted.module(path);
        double scale = Tensors.floats(layer.buffer("input_scale"))[0];
        long zeroPoint = Tensors.longs(layer.buffer("input_zero_point"))[0];
        return function(
                floats -> torch.quantize_per_tensor(floats, scale, zeroPoint, ScalarType.QUInt8),
                x);
    }

    /** The linear layer or convolution at a path, with the ReLU that was fused into it. */
    int layer(String path, int x) {
        Module layer = plain.module(path);
        boolean relu = !layer.namedChildren().isEmpty();
        String suffix = relu ? "_relu" : "";
        return switch (relu ? layer.module("0") : layer) {
            case Linear linear ->
                    unary("quantized::linear" + suffix, path, x, packed(path, "linear"));
            case Convolution convolution ->
                    unary(
                            "quantized::conv2d" + suffix + ".new",
                            path,
                            x,
                            packed(
                                    path,
                                    "conv2d",
                                    convolution.stride(),
                                    convolution.padding(),
                                    convolution.dilation(),
                                    convolution.groups()));
            default -> throw new IllegalArgumentException(path);
        };
    }

    /** A kernel of one tensor that rounds as the module at a path does. */
    int unary(String operator, String path, int x, @Nullable Object... arguments) {
        BoundOperator bound = bound(operator, path, 1, arguments);
        return function(bound::call, x);
    }

    /** A kernel of two tensors that rounds as the module at a path does. */
    int binary(String operator, String path, int first, int second) {
        return step(first, second, bound(operator, path, 2)::call);
    }

    private BoundOperator bound(
            String operator, String path, int tensors, @Nullable Object... arguments) {
        Module layer = converted.module(path);
        List<@Nullable Object> all = new ArrayList<>();
        for (int i = 0; i < tensors; i++) {
            all.add(Operator.TENSOR);
        }
        all.addAll(Arrays.asList(arguments));
        all.add((double) Tensors.floats(layer.buffer("scale"))[0]);
        all.add(Tensors.longs(layer.buffer("zero_point"))[0]);
        return Operators.find(operator).bind(all.toArray());
    }

    private PackedObject packed(String path, String kind, Object... geometry) {
        Module layer = converted.module(path);
        Tensor weight =
                Operators.call(
                        "aten::_make_per_channel_quantized_tensor",
                        "",
                        layer.buffer("weight"),
                        layer.buffer("weight_scale").to(ScalarType.Double),
                        layer.buffer("weight_zero_point"),
                        0);
        List<@Nullable Object> arguments = new ArrayList<>();
        arguments.add(weight);
        arguments.add(layer.hasBuffer("bias") ? layer.buffer("bias") : null);
        arguments.addAll(List.of(geometry));
        return Engine.X86.during(() ->
                Operators.find("quantized::" + kind + "_prepack").packed(arguments.toArray()));
    }
}

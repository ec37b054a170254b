package io.espalier.onnx.lower;

import io.espalier.graph.GraphOperator;
import io.espalier.graph.Value;
import io.espalier.nn.Conv1d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Conv3d;
import io.espalier.nn.ConvTranspose1d;
import io.espalier.nn.ConvTranspose2d;
import io.espalier.nn.ConvTranspose3d;
import io.espalier.nn.Convolution;
import io.espalier.nn.Module;
import io.espalier.onnx.model.ConstantTensor;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;

/** Convolutions and transposed ones: layers where their weight is constant. */
final class ConvolutionOperators {
    private ConvolutionOperators() {}

    static void addTo(Map<String, OperatorLowering> table) {
        table.put("Conv", ConvolutionOperators::convolution);
        table.put("ConvTranspose", ConvolutionOperators::transposed);
    }

    /**
     * @param weight the place of the weight among the inputs
     */
    private static List<Long> kernel(Call call, int weight) {
        List<Long> given = call.node.integers("kernel_shape");
        if (!given.isEmpty()) {
            return given;
        }
        List<Long> kernel = new ArrayList<>();
        for (int dim = 2; dim < call.rank(weight); dim++) {
            kernel.add(call.length(weight, dim));
        }
        return kernel;
    }

    private static void convolution(Call call) {
        long groups = call.node.integer("group", 1);
        ConstantTensor weight = call.weight(1);
        if (weight == null || !hasVector(call, 2, weight.shape().getFirst())) {
            Value bias = call.has(2) ? call.in(2) : null;
            call.give(convolved(call, call.in(0), call.in(1), bias, 1));
            return;
        }
        Window given = Window.of(call, kernel(call, 1));
        requireOperator(call, given);
        Value x = given.isNegative() ? given.pad(call, call.in(0), 0) : call.in(0);
        Window window = given.isNegative() ? given.unpadded() : given;
        call.give(
                call.call(
                        1,
                        Arrays.asList(
                                "Conv", call.node.input(1), call.node.input(2), window, groups),
                        () -> layer(call, weight, window, groups),
                        x));
    }

    private static GraphOperator requireOperator(Call call, Window window) {
        return Window.byRank(
                call,
                window.rank(),
                GraphOperator.CONV1D,
                GraphOperator.CONV2D,
                GraphOperator.CONV3D);
    }

    /**
     * A convolution by a node's attributes, of values that are computed.
     *
     * @param place of the weight among the node's inputs
     */
    static Value convolved(Call call, Value x, Value weight, @Nullable Value bias, int place) {
        Window given = Window.of(call, kernel(call, place));
        boolean pads = given.isNegative() || !given.isEven();
        Window window = pads ? given.unpadded() : given;
        List<Value> operands = new ArrayList<>(List.of(pads ? given.pad(call, x, 0) : x, weight));
        if (bias != null) {
            operands.add(bias);
        }
        return call.apply(
                requireOperator(call, given),
                Map.of(
                        "stride", window.strides(),
                        "padding", window.before(),
                        "dilation", window.dilations(),
                        "groups", call.node.integer("group", 1)),
                operands.toArray(Value[]::new));
    }

    /** Whether an input is left out, or constant with so many elements. */
    private static boolean hasVector(Call call, int place, long length) {
        ConstantTensor vector = call.weight(place);
        return !call.has(place) || (vector != null && vector.elements() == length);
    }

    private static @Nullable Tensor bias(Call call, long length) {
        ConstantTensor bias = call.weight(2);
        return bias == null ? null : Constants.vector(bias, length);
    }

    private static Module layer(Call call, ConstantTensor constant, Window window, long groups) {
        Tensor weight = constant.toTensor();
        Tensor bias = bias(call, constant.shape().getFirst());
        UnaryOperator<Convolution.Options> with =
                options -> {
                    Convolution.Options moved =
                            options.stride(Window.array(window.strides()))
                                    .dilation(Window.array(window.dilations()))
                                    .groups(groups);
                    long[] before = Window.array(window.before());
                    return window.isEven()
                            ? moved.padding(before)
                            : moved.padding(before, Window.array(window.after()));
                };
        return switch (window.rank()) {
            case 1 -> Conv1d.of(weight, bias, with);
            case 2 -> Conv2d.of(weight, bias, with);
            default -> Conv3d.of(weight, bias, with);
        };
    }

    private static void transposed(Call call) {
        List<Long> kernel = kernel(call, 1);
        GraphOperator operator =
                Window.byRank(
                        call,
                        kernel.size(),
                        GraphOperator.CONV_TRANSPOSE1D,
                        GraphOperator.CONV_TRANSPOSE2D,
                        GraphOperator.CONV_TRANSPOSE3D);
        TransposedWindow window = TransposedWindow.of(call, kernel);
        long groups = call.node.integer("group", 1);
        ConstantTensor weight = call.weight(1);
        Value full;
        if (weight != null && hasVector(call, 2, weight.shape().get(1) * groups)) {
            full =
                    call.call(
                            1,
                            Arrays.asList(
                                    "ConvTranspose",
                                    call.node.input(1),
                                    call.node.input(2),
                                    window,
                                    groups),
                            () -> transposedLayer(call, weight, window, groups),
                            call.in(0));
        } else {
            List<Value> operands = new ArrayList<>(List.of(call.in(0), call.in(1)));
            if (call.has(2)) {
                operands.add(call.in(2));
            }
            full =
                    call.apply(
                            operator,
                            Map.of(
                                    "stride", window.strides(),
                                    "padding", window.padding(),
                                    "output_padding", window.outputPadding(),
                                    "groups", groups,
                                    "dilation", window.dilations()),
                            operands.toArray(Value[]::new));
        }
        call.give(window.cut(call, full));
    }

    private static Module transposedLayer(
            Call call, ConstantTensor constant, TransposedWindow window, long groups) {
        Tensor weight = constant.toTensor();
        Tensor bias = bias(call, constant.shape().get(1) * groups);
        UnaryOperator<Convolution.Options> with =
                options ->
                        options.stride(Window.array(window.strides()))
                                .padding(Window.array(window.padding()))
                                .dilation(Window.array(window.dilations()))
                                .outputPadding(Window.array(window.outputPadding()))
                                .groups(groups);
        return switch (window.strides().size()) {
            case 1 -> ConvTranspose1d.of(weight, bias, with);
            case 2 -> ConvTranspose2d.of(weight, bias, with);
            default -> ConvTranspose3d.of(weight, bias, with);
        };
    }
}

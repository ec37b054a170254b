package io.espalier.conformance;

import io.espalier.nn.BatchNorm1d;
import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.BatchNorm3d;
import io.espalier.nn.Conv1d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Conv3d;
import io.espalier.nn.ConvTranspose1d;
import io.espalier.nn.ConvTranspose2d;
import io.espalier.nn.ConvTranspose3d;
import io.espalier.nn.Convolution;
import io.espalier.nn.Identity;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.PaddingMode;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sigmoid;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;

import java.util.Arrays;
import java.util.function.UnaryOperator;

/** Layers of the sizes that the cases' tensors have. */
final class Layers {
    private Layers() {}

    /**
     * A layer whose weight has a given shape.
     *
     * @param kind such as {@code linear} or {@code conv_transpose2d}
     * @param params how a convolution goes over its input, where that is not written as usual
     */
    static Module of(String kind, Tensor weight, boolean bias, Values params) {
        long groups = whole(params, "groups", 1, 1 << 16);
        UnaryOperator<Convolution.Options> with =
                options ->
                        options.padding(whole(params, "padding", 0, 16))
                                .stride(whole(params, "stride", 1, 16))
                                .dilation(whole(params, "dilation", 1, 16))
                                .groups(groups)
                                .paddingMode(paddingMode(params))
                                .bias(bias);
        long[] shape = Tensors.shape(weight);
        requireDims(kind, shape);
        long first = shape[0];
        long second = shape[1];
        long[] kernel = Arrays.copyOfRange(shape, 2, shape.length);
        return switch (kind) {
            case "linear" -> {
                whole(params, "padding", 0, 16); // is written, and means nothing
                yield new Linear(second, first, o -> o.bias(bias));
            }
            case "conv1d" -> new Conv1d(second * groups, first, kernel[0], with);
            case "conv2d" -> new Conv2d(second * groups, first, kernel, with);
            case "conv3d" -> new Conv3d(second * groups, first, kernel, with);
            case "conv_transpose1d" -> new ConvTranspose1d(first, second * groups, kernel[0], with);
            case "conv_transpose2d" -> new ConvTranspose2d(first, second * groups, kernel, with);
            case "conv_transpose3d" -> new ConvTranspose3d(first, second * groups, kernel, with);
            default -> throw Group.unknown("layer", kind);
        };
    }

    private static long whole(Values params, String name, int usual, int most) {
        return params.has(name) ? params.integer(name, 0, most) : usual;
    }

    private static PaddingMode paddingMode(Values params) {
        String name = params.has("padding_mode") ? params.text("padding_mode") : "zeros";
        return Arrays.stream(PaddingMode.values())
                .filter(mode -> mode.toString().equals(name))
                .findFirst()
                .orElseThrow(() -> Group.unknown("padding mode", name));
    }

    private static void requireDims(String kind, long[] shape) {
        int dims = 2 + spatial(kind);
        if (shape.length != dims) {
            throw new MalformedCase(
                    "the weight of a "
                            + kind
                            + " has "
                            + dims
                            + " dimensions, not "
                            + shape.length);
        }
    }

    /** The batch normalization after a layer. */
    static Module norm(String kind, Tensor weight, double eps) {
        long features = weight.numel();
        return switch (spatial(kind)) {
            case 0, 1 -> new BatchNorm1d(features, options -> options.eps(eps));
            case 2 -> new BatchNorm2d(features, options -> options.eps(eps));
            default -> new BatchNorm3d(features, options -> options.eps(eps));
        };
    }

    private static int spatial(String kind) {
        return kind.matches(".*[123]d") ? kind.charAt(kind.length() - 2) - '0' : 0;
    }

    /** A layer of any size, for calls that must fail whatever it is. */
    static Module small(String type) {
        return switch (type) {
            case "Linear" -> new Linear(4, 4);
            case "Conv2d" -> new Conv2d(4, 4, 1);
            case "BatchNorm1d" -> new BatchNorm1d(4);
            case "BatchNorm2d" -> new BatchNorm2d(4);
            case "ReLU" -> new ReLU();
            case "Sigmoid" -> new Sigmoid();
            case "Identity" -> new Identity();
            default -> throw Group.unknown("layer", type);
        };
    }

    /** Copies a tensor into the parameter or buffer at a dotted path. */
    static void set(Module model, String path, Tensor value) {
        int dot = path.lastIndexOf('.');
        String name = path.substring(dot + 1);
        try (var guard = new NoGradGuard()) {
            Module owner = model.module(path.substring(0, Math.max(dot, 0)));
            Tensor place = owner.hasBuffer(name) ? owner.buffer(name) : owner.parameter(name);
            if (!Arrays.equals(Tensors.shape(place), Tensors.shape(value))) {
                throw new MalformedCase(path + " does not have the shape that its model needs");
            }
            place.copy_(value);
        } catch (EspalierException e) {
            throw new MalformedCase("the model has no " + path);
        }
    }
}

package io.espalier.bench;

import io.espalier.nn.Module;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** The networks of {@link io.espalier.bench.models} as loops over their kernels. */
final class BareNetworks {
    private BareNetworks() {}

    /** A ResNet-18, fused in floats and converted to integers. */
    static BareLoop resNet18(Module plain, Module converted) {
        var loop = new BareLoop(plain, converted);
        int x = loop.layer("conv1", loop.quantized("conv1", 0));
        x =
                loop.function(
                        y ->
                                torch.max_pool2d(
                                        y,
                                        new long[] {3, 3},
                                        new long[] {2, 2},
                                        new long[] {1, 1},
                                        new long[] {1, 1},
                                        false),
                        x);
        for (int stage = 1; stage <= 4; stage++) {
            for (int block = 0; block < 2; block++) {
                String at = "layer" + stage + "." + block;
                int y = loop.layer(at + ".conv2", loop.layer(at + ".conv1", x));
                int past = stage > 1 && block == 0 ? loop.layer(at + ".downsample.0", x) : x;
                x = loop.binary("quantized::add_relu", at + ".add_relu", y, past);
            }
        }
        x = loop.layer("fc", flat(loop, x));
        loop.function(Tensor::dequantize, x);
        return loop;
    }

    /** A MobileNetV3-Large, fused in floats and converted to integers. */
    static BareLoop mobileNetV3(Module plain, Module converted) {
        var loop = new BareLoop(plain, converted);
        Module features = converted.module("features");
        int last = features.namedChildren().size() - 1;
        int x = convolution(loop, converted, "features.0", loop.quantized("features.0.0", 0));
        for (int i = 1; i < last; i++) {
            int y = x;
            for (String part : features.module(i + ".block").namedChildren().keySet()) {
                String at = "features." + i + ".block." + part;
                y =
                        converted.module(at).namedChildren().containsKey("fc1")
                                ? excitation(loop, at, y)
                                : convolution(loop, converted, at, y);
            }
            String add = "features." + i + ".skip_add";
            boolean residual = features.module("" + i).namedChildren().containsKey("skip_add");
            x = residual ? loop.binary("quantized::add", add, x, y) : y;
        }
        x = flat(loop, convolution(loop, converted, "features." + last, x));
        x = loop.layer("classifier.0", x);
        x = loop.unary("quantized::hardswish", "classifier.1", x);
        loop.function(Tensor::dequantize, loop.layer("classifier.3", x));
        return loop;
    }

    /** A convolution with its ReLU inside it, or with the hardswish after it. */
    private static int convolution(BareLoop loop, Module converted, String at, int x) {
        int y = loop.layer(at + ".0", x);
        boolean hardswish =
                converted.module(at).namedChildren().containsKey("2")
                        && converted.module(at + ".2").hasBuffer("scale");
        return hardswish ? loop.unary("quantized::hardswish", at + ".2", y) : y;
    }

    private static int excitation(BareLoop loop, String at, int x) {
        int y = loop.function(z -> torch.adaptive_avg_pool2d(z, 1, 1), x);
        y = loop.layer(at + ".fc2", loop.layer(at + ".fc1", y));
        y = loop.function(torch::hardsigmoid, y);
        return loop.binary("quantized::mul", at + ".skip_mul", y, x);
    }

    private static int flat(BareLoop loop, int x) {
        int y = loop.function(z -> torch.adaptive_avg_pool2d(z, 1, 1), x);
        return loop.function(z -> z.flatten(1, -1), y);
    }
}

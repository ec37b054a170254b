package io.espalier.bench.models;

import io.espalier.nn.AdaptiveAvgPool2d;
import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Dropout;
import io.espalier.nn.Flatten;
import io.espalier.nn.FloatFunctional;
import io.espalier.nn.Hardsigmoid;
import io.espalier.nn.Hardswish;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;

import org.bytedeco.pytorch.Tensor;

import java.util.List;

/**
 * MobileNetV3-Large for images of 224x224, [N, 3, 224, 224] to [N, 1000]: 5.5 million parameters,
 * 217 million multiplications an image; depthwise convolutions of 3x3 and 5x5, hardswish, and
 * channels weighted by squeeze and excitation.
 *
 * <p>Source: Howard et al., <a href="https://arxiv.org/abs/1905.02244">Searching for
 * MobileNetV3</a>, 2019, table 1.
 */
public final class MobileNetV3 extends Module {
    private static final List<Shape> BLOCKS =
            List.of(
                    new Shape(3, 16, 16, false, false, 1),
                    new Shape(3, 64, 24, false, false, 2),
                    new Shape(3, 72, 24, false, false, 1),
                    new Shape(5, 72, 40, true, false, 2),
                    new Shape(5, 120, 40, true, false, 1),
                    new Shape(5, 120, 40, true, false, 1),
                    new Shape(3, 240, 80, false, true, 2),
                    new Shape(3, 200, 80, false, true, 1),
                    new Shape(3, 184, 80, false, true, 1),
                    new Shape(3, 184, 80, false, true, 1),
                    new Shape(3, 480, 112, true, true, 1),
                    new Shape(3, 672, 112, true, true, 1),
                    new Shape(5, 672, 160, true, true, 2),
                    new Shape(5, 960, 160, true, true, 1),
                    new Shape(5, 960, 160, true, true, 1));

    private final Sequential features = add("features", new Sequential());
    private final AdaptiveAvgPool2d avgpool = add("avgpool", new AdaptiveAvgPool2d(1));
    private final Flatten flatten = add("flatten", new Flatten());
    private final Sequential classifier;

    /** One row of the paper's table. */
    private record Shape(
            long kernel, long expanded, long out, boolean squeeze, boolean hardswish, long stride) {
        Module activation() {
            return hardswish ? new Hardswish() : new ReLU();
        }
    }

    /** The network for a thousand classes. */
    public MobileNetV3() {
        this(1000);
    }

    /** The network for so many classes. */
    public MobileNetV3(long classes) {
        features.append(convolution(3, 16, 3, 2, 1).append(new Hardswish()));
        long in = 16;
        for (Shape shape : BLOCKS) {
            features.append(new Block(in, shape));
            in = shape.out;
        }
        features.append(convolution(in, 6 * in, 1, 1, 1).append(new Hardswish()));
        classifier =
                add(
                        "classifier",
                        new Sequential(
                                new Linear(6 * in, 1280),
                                new Hardswish(),
                                new Dropout(0.2),
                                new Linear(1280, classes)));
    }

    @Override
    protected Tensor forward(Tensor x) {
        return classifier.call(flatten.call(avgpool.call(features.call(x))));
    }

    /** A convolution that keeps the size of the image but for its stride, and its normalization. */
    private static Sequential convolution(
            long in, long out, long kernel, long stride, long groups) {
        return new Sequential(
                new Conv2d(
                        in,
                        out,
                        kernel,
                        with -> with.stride(stride).padding(kernel / 2).groups(groups).bias(false)),
                new BatchNorm2d(out, with -> with.eps(0.001)));
    }

    /** More channels, a convolution of each, fewer channels, and the input added. */
    private static final class Block extends Module {
        private final Sequential block = add("block", new Sequential());
        private final FloatFunctional skipAdd = new FloatFunctional();
        private final boolean residual;

        Block(long in, Shape shape) {
            long expanded = shape.expanded;
            residual = shape.stride == 1 && in == shape.out;
            if (expanded != in) {
                block.append(convolution(in, expanded, 1, 1, 1).append(shape.activation()));
            }
            block.append(
                    convolution(expanded, expanded, shape.kernel, shape.stride, expanded)
                            .append(shape.activation()));
            if (shape.squeeze) {
                block.append(new SqueezeExcitation(expanded, toEights(expanded / 4)));
            }
            block.append(convolution(expanded, shape.out, 1, 1, 1));
            if (residual) {
                add("skip_add", skipAdd);
            }
        }

        /** The nearest multiple of eight that is not less by a tenth or more. */
        private static long toEights(long channels) {
            long nearest = (channels + 4) / 8 * 8;
            return nearest < 0.9 * channels ? nearest + 8 : nearest;
        }

        @Override
        protected Tensor forward(Tensor x) {
            Tensor y = block.call(x);
            return residual ? skipAdd.add(x, y) : y;
        }
    }

    /** Weights each channel by what all channels are on average. */
    private static final class SqueezeExcitation extends Module {
        private final AdaptiveAvgPool2d avgpool = add("avgpool", new AdaptiveAvgPool2d(1));
        private final Conv2d fc1;
        private final ReLU activation = add("activation", new ReLU());
        private final Conv2d fc2;
        private final Hardsigmoid scaleActivation = add("scale_activation", new Hardsigmoid());
        private final FloatFunctional skipMul = add("skip_mul", new FloatFunctional());

        SqueezeExcitation(long channels, long squeezed) {
            fc1 = add("fc1", new Conv2d(channels, squeezed, 1));
            fc2 = add("fc2", new Conv2d(squeezed, channels, 1));
        }

        @Override
        protected Tensor forward(Tensor x) {
            Tensor weights = fc2.call(activation.call(fc1.call(avgpool.call(x))));
            return skipMul.mul(scaleActivation.call(weights), x);
        }
    }
}

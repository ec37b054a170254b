package io.espalier.bench.models;

import io.espalier.nn.AdaptiveAvgPool2d;
import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Flatten;
import io.espalier.nn.FloatFunctional;
import io.espalier.nn.Linear;
import io.espalier.nn.MaxPool2d;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;

import org.bytedeco.pytorch.Tensor;

/**
 * ResNet-18 for images of 224x224, [N, 3, 224, 224] to [N, 1000]: 11.7 million parameters, 1.8
 * billion multiplications an image.
 *
 * <p>Source: He et al., <a href="https://arxiv.org/abs/1512.03385">Deep Residual Learning for Image
 * Recognition</a>, 2016.
 */
public final class ResNet18 extends Module {
    private final Conv2d conv1 =
            add("conv1", new Conv2d(3, 64, 7, with -> with.stride(2).padding(3).bias(false)));
    private final BatchNorm2d bn1 = add("bn1", new BatchNorm2d(64));
    private final ReLU relu = add("relu", new ReLU());
    private final MaxPool2d maxpool =
            add("maxpool", new MaxPool2d(3, with -> with.stride(2).padding(1)));
    private final Sequential layer1 = add("layer1", stage(64, 64, 1));
    private final Sequential layer2 = add("layer2", stage(64, 128, 2));
    private final Sequential layer3 = add("layer3", stage(128, 256, 2));
    private final Sequential layer4 = add("layer4", stage(256, 512, 2));
    private final AdaptiveAvgPool2d avgpool = add("avgpool", new AdaptiveAvgPool2d(1));
    private final Flatten flatten = add("flatten", new Flatten());
    private final Linear fc;

    /** The network for a thousand classes. */
    public ResNet18() {
        this(1000);
    }

    /** The network for so many classes. */
    public ResNet18(long classes) {
        fc = add("fc", new Linear(512, classes));
    }

    private static Sequential stage(long in, long out, long stride) {
        return new Sequential(new Block(in, out, stride), new Block(out, out, 1));
    }

    @Override
    protected Tensor forward(Tensor x) {
        Tensor y = maxpool.call(relu.call(bn1.call(conv1.call(x))));
        y = layer4.call(layer3.call(layer2.call(layer1.call(y))));
        return fc.call(flatten.call(avgpool.call(y)));
    }

    /** Two convolutions and the way past them. */
    private static final class Block extends Module {
        private final Conv2d conv1;
        private final BatchNorm2d bn1;
        private final ReLU relu = add("relu", new ReLU());
        private final Conv2d conv2;
        private final BatchNorm2d bn2;
        private final Sequential downsample;
        private final FloatFunctional addRelu = add("add_relu", new FloatFunctional());

        Block(long in, long out, long stride) {
            conv1 =
                    add(
                            "conv1",
                            new Conv2d(
                                    in,
                                    out,
                                    3,
                                    with -> with.stride(stride).padding(1).bias(false)));
            bn1 = add("bn1", new BatchNorm2d(out));
            conv2 = add("conv2", new Conv2d(out, out, 3, with -> with.padding(1).bias(false)));
            bn2 = add("bn2", new BatchNorm2d(out));
            downsample = new Sequential();
            if (stride != 1 || in != out) {
                add("downsample", downsample)
                        .append(new Conv2d(in, out, 1, with -> with.stride(stride).bias(false)))
                        .append(new BatchNorm2d(out));
            }
        }

        @Override
        protected Tensor forward(Tensor x) {
            Tensor y = bn2.call(conv2.call(relu.call(bn1.call(conv1.call(x)))));
            return addRelu.addRelu(y, downsample.call(x));
        }
    }
}

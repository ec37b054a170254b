package io.espalier.demo;

import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Flatten;
import io.espalier.nn.Linear;
import io.espalier.nn.MaxPool2d;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;

import org.bytedeco.pytorch.Tensor;

import java.util.List;

/** Two convolutions with batch normalization and two linear layers: [N, 1, 28, 28] to [N, 10]. */
public final class DigitNet extends Module {
    /** Layers that become one when the network is quantized. */
    static final List<List<String>> FUSED =
            List.of(
                    List.of("conv1", "bn1", "relu1"),
                    List.of("conv2", "bn2", "relu2"),
                    List.of("fc1", "relu3"));

    private final Conv2d conv1;
    private final BatchNorm2d bn1;
    private final ReLU relu1;
    private final MaxPool2d pool1;
    private final Conv2d conv2;
    private final BatchNorm2d bn2;
    private final ReLU relu2;
    private final MaxPool2d pool2;
    private final Flatten flatten;
    private final Linear fc1;
    private final ReLU relu3;
    private final Linear fc2;

    /** One with 16 and 32 channels and 128 neurons. */
    public DigitNet() {
        this(16, 32, 128);
    }

    private DigitNet(long first, long second, long neurons) {
        conv1 = add("conv1", new Conv2d(1, first, 3, with -> with.padding(1)));
        bn1 = add("bn1", new BatchNorm2d(first));
        relu1 = add("relu1", new ReLU());
        pool1 = add("pool1", new MaxPool2d(2));
        conv2 = add("conv2", new Conv2d(first, second, 3, with -> with.padding(1)));
        bn2 = add("bn2", new BatchNorm2d(second));
        relu2 = add("relu2", new ReLU());
        pool2 = add("pool2", new MaxPool2d(2));
        flatten = add("flatten", new Flatten());
        fc1 = add("fc1", new Linear(second * 7 * 7, neurons));
        relu3 = add("relu3", new ReLU());
        fc2 = add("fc2", new Linear(neurons, 10));
    }

    /** One of the same widths, with weights drawn anew. */
    DigitNet alike() {
        return new DigitNet(conv1.outChannels(), conv2.outChannels(), fc1.outFeatures());
    }

    @Override
    protected Tensor forward(Tensor images) {
        Tensor x = pool1.call(relu1.call(bn1.call(conv1.call(images))));
        x = pool2.call(relu2.call(bn2.call(conv2.call(x))));
        return fc2.call(relu3.call(fc1.call(flatten.call(x))));
    }
}

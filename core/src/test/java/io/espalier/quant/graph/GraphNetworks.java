package io.espalier.quant.graph;

import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Flatten;
import io.espalier.nn.FloatFunctional;
import io.espalier.nn.Functional;
import io.espalier.nn.Hardswish;
import io.espalier.nn.Linear;
import io.espalier.nn.MaxPool2d;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;

/** Networks and pictures for tests of graphs. */
public final class GraphNetworks {
    private GraphNetworks() {}

    /** Convolutions, a residual sum, squeeze and excitation, a pooling and a classifier. */
    public static final class Net extends Module {
        private final Sequential stem =
                add(
                        "stem",
                        new Sequential(
                                new Conv2d(3, 8, 3, o -> o.padding(1)),
                                new BatchNorm2d(8),
                                new Hardswish()));
        private final Conv2d conv = add("conv", new Conv2d(8, 8, 3, o -> o.padding(1)));
        private final BatchNorm2d norm = add("norm", new BatchNorm2d(8));
        private final FloatFunctional sum = add("sum", new FloatFunctional());
        private final Conv2d squeeze = add("squeeze", new Conv2d(8, 8, 1));
        private final MaxPool2d pool = add("pool", new MaxPool2d(2));
        private final Linear fc = add("fc", new Linear(8 * 4 * 4, 5));

        @Override
        protected Tensor forward(Tensor input) {
            Tensor x = stem.call(input);
            x = Functional.relu(sum.add(norm.call(conv.call(x)), x));
            Tensor gate = Functional.sigmoid(squeeze.call(Functional.adaptiveAvgPool2d(x, 1, 1)));
            x = pool.call(Functional.mul(x, gate));
            return fc.call(Functional.flatten(x, 1, -1));
        }
    }

    public static Sequential plain() {
        return new Sequential(
                new Conv2d(3, 8, 3, o -> o.padding(1)),
                new BatchNorm2d(8),
                new ReLU(),
                new MaxPool2d(2),
                new Conv2d(8, 8, 3),
                new ReLU(),
                new Flatten(),
                new Linear(32, 5));
    }

    public static Tensor images() {
        return Tensors.randn(16, 3, 8, 8);
    }

    public static <M extends Module> M settled(M model) {
        try (var noGrad = new NoGradGuard()) {
            model.train();
            for (int i = 0; i < 20; i++) {
                model.call(images());
            }
        }
        model.eval();
        return model;
    }

    public static double decibels(Tensor expected, Tensor actual) {
        double signal = expected.pow(new Scalar(2.0)).sum().item_double();
        double noise = expected.sub(actual).pow(new Scalar(2.0)).sum().item_double();
        return 10 * Math.log10(signal / noise);
    }
}

package io.espalier.bench;

import io.espalier.data.DataLoader;
import io.espalier.data.Dataset;
import io.espalier.nn.AdaptiveAvgPool2d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Flatten;
import io.espalier.nn.Functional;
import io.espalier.nn.Linear;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.prune.L1Unstructured;
import io.espalier.prune.Prune;
import io.espalier.prune.Target;
import io.espalier.tensor.Tensors;
import io.espalier.train.Losses;
import io.espalier.train.Optimizers;
import io.espalier.train.Trainer;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.SGD;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;

import java.util.List;

/**
 * Training steps of a small convolutional network on pictures of 3x32x32, by the library and by
 * bare calls of libtorch.
 */
final class Training {
    private static final long[] ONE = {1, 1};
    private static final long[] TWO = {2, 2};

    private final Sequential model;
    private final SGD optimizer;
    private final Dataset data;
    private final int batch;

    /** Steps over {@code batches} batches of {@code batch} pictures. */
    Training(int batch, int batches) {
        this.batch = batch;
        this.data =
                Dataset.of(
                        Tensors.randn((long) batch * batches, 3, 32, 32),
                        Tensors.rand((long) batch * batches)
                                .mul(new Scalar(10))
                                .to(torch.ScalarType.Long));
        this.model =
                new Sequential(
                        new Conv2d(3, 32, 3, with -> with.padding(1)),
                        new ReLU(),
                        new Conv2d(32, 64, 3, with -> with.padding(1).stride(2)),
                        new ReLU(),
                        new Conv2d(64, 128, 3, with -> with.padding(1).stride(2)),
                        new ReLU(),
                        new AdaptiveAvgPool2d(1),
                        new Flatten(),
                        new Linear(128, 10));
        this.optimizer = Optimizers.sgd(model.parameters(), 0.001, 0.9);
    }

    /** The same with masks on nine tenths of the weights of every layer. */
    Training masked() {
        Prune.globalUnstructured(Target.weights(model), L1Unstructured::new, 0.9);
        return this;
    }

    /** A step of a hand-written loop. */
    void step() {
        try (var scope = new PointerScope()) {
            optimizer.zero_grad();
            Tensor output = model.call(data.all().input().narrow(0, 0, batch));
            Functional.crossEntropy(output, data.all().target().narrow(0, 0, batch)).backward();
            optimizer.step();
        }
    }

    /** An epoch of the trainer. */
    void epoch() {
        Trainer.of(model, Losses.crossEntropy(), optimizer).train(new DataLoader(data, batch), 1);
    }

    /** An epoch of bare calls. */
    void bareEpoch() {
        List<Tensor> parameters = model.parameters();
        for (long from = 0; from < data.size(); from += batch) {
            bareStep(parameters, optimizer, from);
        }
    }

    /** A step of bare calls. */
    void bareStep() {
        bareStep(model.parameters(), optimizer, 0);
    }

    private void bareStep(List<Tensor> p, Optimizer with, long from) {
        try (var scope = new PointerScope()) {
            with.zero_grad();
            Tensor x = data.all().input().narrow(0, from, batch);
            x = torch.relu(conv(x, p.get(0), p.get(1), ONE));
            x = torch.relu(conv(x, p.get(2), p.get(3), TWO));
            x = torch.relu(conv(x, p.get(4), p.get(5), TWO));
            x = torch.adaptive_avg_pool2d(x, 1, 1).flatten(1, -1);
            x = torch.linear(x, p.get(6), new TensorOptional(p.get(7)));
            torch.cross_entropy_loss(x, data.all().target().narrow(0, from, batch)).backward();
            with.step();
        }
    }

    private static Tensor conv(Tensor x, Tensor weight, Tensor bias, long[] stride) {
        return torch.conv2d(x, weight, new TensorOptional(bias), stride, ONE, ONE, 1);
    }
}

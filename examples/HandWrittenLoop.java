// A training loop written by hand: your own dataset, a loader, libtorch's optimizer, one scope per
// step.

import io.espalier.data.Batch;
import io.espalier.data.DataLoader;
import io.espalier.data.MapDataset;
import io.espalier.data.Sample;
import io.espalier.nn.Functional;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;
import io.espalier.train.Evaluator;
import io.espalier.train.Losses;
import io.espalier.train.Metrics;
import io.espalier.train.Optimizers;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

/** Points of a sine curve: a dataset is its size and one example by number. */
record Sine(int size) implements MapDataset {
    @Override
    public Sample get(int index) {
        float x = (float) (2 * Math.PI * index / size - Math.PI);
        return new Sample(Tensors.of(x), Tensors.of((float) Math.sin(x)));
    }
}

/** One hidden layer. */
static class Curve extends Module {
    final Linear hidden = add("hidden", new Linear(1, 32));
    final Linear out = add("out", new Linear(32, 1));

    @Override
    protected Tensor forward(Tensor x) {
        return out.call(Functional.relu(hidden.call(x)));
    }
}

void main() {
    Libtorch.seed(1);
    var model = new Curve();
    var loss = Losses.mse();
    var optimizer = Optimizers.adam(model.parameters(), 0.01);
    var data = new Sine(256);
    var loader = new DataLoader(data, 32).shuffled(1);
    var evaluator = Evaluator.of(data, Metrics.meanAbsoluteError());

    IO.println("Mean absolute error before: %.3f".formatted(evaluator.evaluate(model)));
    for (int epoch = 1; epoch <= 40; epoch++) {
        double sum = 0;
        for (Batch batch : loader) {
            // What a step makes is freed when it ends.
            try (var step = new PointerScope()) {
                optimizer.zero_grad();
                Tensor value = loss.of(model.call(batch.input()), batch.target());
                value.backward();
                optimizer.step();
                sum += value.item_double();
            }
        }
        if (epoch % 10 == 0) {
            IO.println("Epoch %d, loss %.4f".formatted(epoch, sum / loader.batches()));
        }
    }
    IO.println("Mean absolute error after: %.3f".formatted(evaluator.evaluate(model)));
}

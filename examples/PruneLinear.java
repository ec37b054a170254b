// Prunes half the weights of a linear layer and trains what is left: the mask holds all along.

import io.espalier.nn.Functional;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.prune.Prune;
import io.espalier.tensor.Tensors;
import io.espalier.train.Optimizers;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

/** A simple linear model. */
static class SimpleModel extends Module {
    final Linear fc = add("fc", new Linear(10, 10));

    @Override
    protected Tensor forward(Tensor x) {
        return fc.call(x);
    }
}

void main() {
    var model = new SimpleModel();

    // L1 unstructured pruning: the half of the weights with the smallest magnitudes.
    Prune.l1Unstructured(model.fc, "weight", 0.5);

    IO.println("Weight mask after pruning:");
    IO.println(Tensors.toString(model.fc.buffer("weight_mask")));

    var optimizer = Optimizers.sgd(model.parameters(), 0.01);

    // Random data to train on.
    Tensor x = Tensors.randn(1, 10);
    Tensor y = Tensors.randn(1, 10);

    for (int epoch = 1; epoch <= 10; epoch++) {
        try (var step = new PointerScope()) {
            optimizer.zero_grad();
            Tensor output = model.call(x);
            Tensor loss = Functional.mseLoss(output, y);
            loss.backward();
            optimizer.step();

            IO.println("Epoch %d, Loss: %.6f".formatted(epoch, loss.item_float()));
        }
    }

    IO.println("Weights after training:");
    IO.println(Tensors.toString(model.fc.weight()));
}

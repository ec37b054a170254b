// Every way to prune a parameter, one after another, with the mask that each leaves.

import static io.espalier.prune.Prune.target;

import io.espalier.nn.Conv2d;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.prune.Amount;
import io.espalier.prune.L1Unstructured;
import io.espalier.prune.LnStructured;
import io.espalier.prune.Prune;
import io.espalier.prune.PruningContainer;
import io.espalier.prune.PruningMethod;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;

import java.util.List;

/** A method of one's own: keeps what a threshold lets through. */
record Threshold(double limit) implements PruningMethod.Unstructured {
    @Override
    public Tensor computeMask(Tensor scores, Tensor defaultMask) {
        return defaultMask.mul(scores.abs().gt(new Scalar(limit)));
    }
}

void show(String title, Module layer) {
    IO.println("\n" + title);
    IO.println(Tensors.toString(layer.buffer("weight_mask")));
}

static Sequential network() {
    return new Sequential(new Linear(4, 3), new ReLU(), new Linear(3, 2));
}

void main() {
    Libtorch.seed(1);

    // An amount with a decimal point is a share; an integer is a count.
    var layer = new Linear(4, 3);
    Prune.l1Unstructured(layer, "weight", 0.5);
    show("l1Unstructured, 0.5: the half with the smallest magnitudes goes", layer);

    layer = new Linear(4, 3);
    Prune.l1Unstructured(layer, "weight", 3);
    show("l1Unstructured, 3: three weights go", layer);

    layer = new Linear(4, 3);
    Prune.randomUnstructured(layer, "weight", 0.25);
    show("randomUnstructured, 0.25", layer);

    layer = new Linear(4, 3);
    Prune.lnStructured(layer, "weight", 1, 2, 0);
    show("lnStructured, 1 row by its L2 norm (n = 2, dim = 0)", layer);

    layer = new Linear(4, 3);
    Prune.lnStructured(layer, "weight", 0.5, Double.POSITIVE_INFINITY, -1);
    show(
            "lnStructured, half the columns by their largest magnitude (n = infinity, dim = -1)",
            layer);

    var conv = new Conv2d(2, 4, 1);
    Prune.lnStructured(conv, "weight", 0.5, 1, 0);
    IO.println("\nlnStructured, half the output channels of a convolution (one a row) by L1 norm");
    IO.println(Tensors.toString(conv.buffer("weight_mask").flatten(1, -1)));

    layer = new Linear(4, 3);
    Prune.randomStructured(layer, "weight", 2, 1);
    show("randomStructured, 2 columns", layer);

    // 0 prunes an entry, 1 keeps it.
    layer = new Linear(3, 1);
    Prune.customFromMask(layer, "weight", Tensors.of(new float[] {0, 1, 0}, 1, 3));
    show("customFromMask", layer);

    layer = new Linear(3, 1);
    Prune.identity(layer, "weight");
    show("identity: a mask, and nothing pruned", layer);

    layer = new Linear(4, 3);
    Prune.apply(layer, "weight", new Threshold(0.2));
    show("a method of one's own: what is not above 0.2 goes", layer);

    // Scores from elsewhere rank the weights in place of their own values.
    layer = new Linear(4, 1);
    Tensor importance = Tensors.of(new float[] {4, 3, 2, 1}, 1, 4);
    Prune.l1Unstructured(layer, "weight", 2, importance);
    show("l1Unstructured by importance scores 4, 3, 2, 1", layer);

    // Again and again: each acts on what is still kept, and a share is a share of that.
    layer = new Linear(4, 4);
    Prune.l1Unstructured(layer, "weight", 0.5);
    Prune.l1Unstructured(layer, "weight", 0.5);
    show("0.5, then 0.5 of the rest: 4 of 16 stay", layer);

    layer = new Linear(4, 4);
    Prune.apply(
            layer,
            "weight",
            new PruningContainer(new L1Unstructured(0.25), new LnStructured(1, 2, 0)));
    show("a PruningContainer: a quarter of the weights, then a row of the rest", layer);

    // Many parameters as one.
    var model = network();
    Prune.globalUnstructured(
            List.of(target(model.get(0), "weight"), target(model.get(2), "weight")),
            L1Unstructured::new,
            0.5);
    show("globalUnstructured, 0.5 of two layers: the first", model.get(0));
    show("and the second", model.get(2));

    IO.println("\nisPruned: " + Prune.isPruned(model));
    IO.println("the state: " + model.stateDict().sequencedKeySet());
    Prune.remove(model.get(0), "weight");
    Prune.remove(model.get(2), "weight");
    IO.println("after remove, isPruned: " + Prune.isPruned(model));
    IO.println("the state: " + model.stateDict().sequencedKeySet());
    IO.println("the zeros stay:\n" + Tensors.toString(model.get(2).parameter("weight")));

    IO.println(
            "\nAn amount as a value: "
                    + Amount.share(0.3).of(10)
                    + " of 10 is "
                    + Amount.share(0.3));
    try {
        Prune.l1Unstructured(new Linear(2, 2), "weight", 5);
    } catch (EspalierException e) {
        IO.println("Too much is refused: " + e.getMessage());
    }
}

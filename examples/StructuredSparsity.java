// Sparsity with a structure that hardware can use: 2 of every 4 weights, whole blocks, and both in
// one layer.

import io.espalier.nn.Linear;
import io.espalier.prune.BlockSparsity;
import io.espalier.prune.NmSparsity;
import io.espalier.prune.Prune;
import io.espalier.prune.Sparsity;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

void main() {
    Libtorch.seed(1);

    var twoOfFour = new Linear(8, 4);
    Prune.apply(twoOfFour, "weight", new NmSparsity(2, 4));
    IO.println("2:4, two of every four inputs stay:");
    IO.println(Tensors.toString(twoOfFour.buffer("weight_mask")));

    var alongOutputs = new Linear(4, 6);
    Prune.apply(alongOutputs, "weight", new NmSparsity(1, 3, 0));
    IO.println("\n1:3 along dimension 0, one of every three outputs stays:");
    IO.println(Tensors.toString(alongOutputs.buffer("weight_mask")));

    var blocks = new Linear(8, 4);
    Prune.apply(blocks, "weight", new BlockSparsity(0.5, 2, 4));
    IO.println("\nHalf of the blocks of 2x4 stay:");
    IO.println(Tensors.toString(blocks.buffer("weight_mask")));

    // What one method pruned stays pruned in the next.
    Prune.apply(blocks, "weight", new NmSparsity(2, 4));
    IO.println("\nThen 2:4 inside these blocks:");
    IO.println(Tensors.toString(blocks.buffer("weight_mask")));
    IO.println();
    IO.println(Sparsity.of(blocks));

    try {
        Prune.apply(new Linear(10, 4), "weight", new NmSparsity(2, 4));
    } catch (RuntimeException e) {
        IO.println("\nGroups that don't fit are refused:\n" + e.getMessage());
    }
}

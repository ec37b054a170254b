package io.espalier.bench;

import io.espalier.prune.Prune;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** Masks of channels by their L2 norm, by the library and by PyTorch's steps in libtorch. */
final class Channels {
    private final Tensor weight;
    private final int dim;

    /** Half the channels of a matrix along a dimension. */
    Channels(long rows, long columns, int dim) {
        this.weight = Tensors.randn(rows, columns);
        this.dim = dim;
    }

    void byPrune() {
        try (var scope = new PointerScope()) {
            var layer = new Layer(weight.detach());
            Prune.lnStructured(layer, "weight", 0.5, 2, dim);
            layer.buffer("weight_mask").releaseReference();
        }
    }

    /** The norms of the channels, the larger half of them, and a mask with ones there. */
    void byLibtorch() {
        try (var scope = new PointerScope();
                var guard = new NoGradGuard()) {
            Tensor norms =
                    torch.linalg_vector_norm(
                            weight,
                            new Scalar(2.0),
                            new long[] {1 - dim},
                            false,
                            new ScalarTypeOptional());
            Tensor largest = norms.topk(weight.size(dim) / 2).get1();
            Tensor mask = torch.zeros_like(weight);
            mask.index_fill_(dim, largest, new Scalar(1));
        }
    }
}

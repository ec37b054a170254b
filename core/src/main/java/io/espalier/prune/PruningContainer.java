package io.espalier.prune;

import io.espalier.tensor.Needed;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

import java.util.List;

/**
 * Several methods, one after the other: each sees, and prunes, only what those before it kept, just
 * as if {@link Prune#apply} had been called with each in turn. As {@code
 * torch.nn.utils.prune.PruningContainer}.
 *
 * @param methods the methods in the order they act
 */
public record PruningContainer(List<PruningMethod> methods) implements PruningMethod {
    public PruningContainer {
        methods = List.copyOf(Needed.all(methods, "the pruning methods"));
    }

    /** A container of these methods. */
    public PruningContainer(PruningMethod... methods) {
        this(Needed.all(methods, "the pruning methods"));
    }

    @Override
    public Tensor computeMask(Tensor scores, Tensor defaultMask) {
        return MaskComputation.of(
                this,
                new MaskInput(
                        Tensors.requireLive(scores).detach(),
                        null,
                        Needed.of(defaultMask, "the mask")));
    }
}

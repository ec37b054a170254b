package io.espalier.train;

import org.bytedeco.pytorch.Tensor;

/** How far a model's output is from what was wanted: the number that training makes smaller. */
@FunctionalInterface
public interface Loss {
    /**
     * The loss of a batch.
     *
     * @param output what the model gave, [N, …]
     * @param target what was wanted, [N, …]
     * @return one number as a tensor without dimensions, through which gradients flow back
     */
    Tensor of(Tensor output, Tensor target);
}

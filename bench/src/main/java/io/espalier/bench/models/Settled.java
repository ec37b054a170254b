package io.espalier.bench.models;

import io.espalier.nn.Module;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;

/** Fresh networks whose activations have the sizes that a trained network's have. */
public final class Settled {
    private static final int BATCHES = 20;

    private Settled() {}

    /**
     * Lets the batch normalizations see random images, then puts the network in eval mode: with the
     * statistics that are there at first, deep layers would give next to nothing.
     *
     * @param shape an input's, such as 2, 3, 224, 224
     */
    public static <M extends Module> M of(M network, long... shape) {
        network.train();
        for (int i = 0; i < BATCHES; i++) {
            try (var scope = new PointerScope();
                    var noGrad = new NoGradGuard()) {
                network.call(Tensors.randn(shape));
            }
        }
        network.eval();
        return network;
    }
}

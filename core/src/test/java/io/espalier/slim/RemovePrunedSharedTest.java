package io.espalier.slim;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.espalier.compress.WeightSharing;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.Parametrization;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.prune.Prune;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

@DisplayName("Emptied channels whose reader computes its weight")
class RemovePrunedSharedTest {
    private final Tensor x = Tensors.randn(16, 6);
    private final Linear first = new Linear(6, 16);
    private final Linear reader = new Linear(16, 20);
    private final Sequential model =
            new Sequential(first, new ReLU(), reader, new ReLU(), new Linear(20, 3));

    /** Takes the mean of all from each. */
    private static final class Centred implements Parametrization {
        @Override
        public Tensor apply(Module owner, Tensor value) {
            return value.sub(value.mean());
        }
    }

    @BeforeEach
    void halfPruned() {
        Libtorch.seed(2);
        Prune.lnStructured(first, "weight", 0.5, 1, 0);
        try (var noGrad = new NoGradGuard()) {
            first.parameter("bias").fill_(new Scalar(0.5));
        }
    }

    private void assertLeft(long channels) {
        Tensor before = model.call(x).detach().clone();

        Slimming.removePruned(model, x);

        assertEquals(channels, first.weight().size(0));
        assertEquals(channels, reader.weight().size(1));
        assertEquals(0, before.sub(model.call(x)).abs().max().item_double(), 1e-5);
    }

    @Test
    @DisplayName("go where it shares its values, which stay shared")
    void shared() {
        WeightSharing.share(reader, "weight", 3);
        assertLeft(8);
        assertEquals(8, reader.buffer("weight_codes").size(1));
    }

    @Test
    @DisplayName("stay where a zero changes its other weights")
    void centred() {
        reader.parametrize("weight", new Centred());
        assertLeft(16);
    }
}

package io.espalier.quant.qat;

import static io.espalier.Errors.messageOf;
import static io.espalier.TensorAssertions.assertClose;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.RandomTensor;
import io.espalier.nn.Conv2d;
import io.espalier.nn.ConvTranspose2d;
import io.espalier.nn.Linear;
import io.espalier.nn.ReLU;
import io.espalier.quant.fusion.FusedReLU;
import io.espalier.quant.observer.MinMaxObserver;
import io.espalier.quant.observer.Observer;
import io.espalier.quant.observer.QuantizedType;
import io.espalier.tensor.Libtorch;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

/** A layer that trains with its weight rounded. */
class QatLayerTest {
    @BeforeEach
    void seed() {
        Libtorch.seed(41);
    }

    private static Observer rounding() {
        return FakeQuantize.with(MinMaxObserver.with().dtype(QuantizedType.QINT8)).make();
    }

    @Test
    @DisplayName("it computes with the rounded weight, and folded gives the unrounded layer back")
    void roundsTheWeight() {
        var linear = new Linear(6, 3);
        Tensor x = RandomTensor.of(3, 5, 6);
        Tensor exact = linear.call(x);
        QatLayer layer = QatLayer.of(linear, rounding());
        Tensor rounded = layer.call(x);
        assertFalse(rounded.equal(exact));
        assertClose(exact, rounded, 0.05f);
        assertTrue(layer.folded().call(x).equal(exact));
        assertEquals("Linear", layer.toString().split("\\(", -1)[0]);
    }

    @Test
    @DisplayName("a fused pair keeps its name and its ReLU")
    void keepsTheReLU() {
        var fused = new FusedReLU("ConvReLU2d", new Conv2d(2, 3, 3), new ReLU());
        QatLayer layer = QatLayer.of(fused, rounding());
        assertTrue(layer.hasReLU());
        assertEquals("ConvReLU2d", layer.toString().split("\\(", -1)[0]);
        Tensor y = layer.call(RandomTensor.of(4, 2, 2, 6, 6));
        assertEquals(0, y.min().item_float());
    }

    @Test
    @DisplayName("a layer that can't train rounded is refused, and named")
    void refusesOthers() {
        assertTrue(
                messageOf(() -> QatLayer.of(new ConvTranspose2d(2, 3, 3), rounding()))
                        .startsWith("No quantization-aware training for a ConvTranspose2d(2, 3"));
    }
}

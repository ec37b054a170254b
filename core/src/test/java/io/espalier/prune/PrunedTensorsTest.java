package io.espalier.prune;

import static io.espalier.prune.Prune.target;
import static io.espalier.prune.PruneLawsTest.anyMethod;
import static io.espalier.prune.PruneLawsTest.mask;
import static io.espalier.prune.PruneLawsTest.pruned;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;

import io.espalier.nn.Linear;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

import java.util.List;
import java.util.Random;

/** Whatever type and layout a parameter has. */
class PrunedTensorsTest {
    @ParameterizedTest
    @EnumSource(
            value = ScalarType.class,
            names = {"Float", "Double", "Half", "BFloat16"})
    @DisplayName("a mask has its parameter's type, whatever prunes")
    void types(ScalarType type) {
        var random = new Random(5);
        Tensor weight = Tensors.randn(3, 4, 2, 2).to(type);
        for (int trial = 0; trial < 12; trial++) {
            var holder = new PruneErrorsTest.Holder(weight.clone());
            PruningMethod method = anyMethod(random);

            Prune.apply(holder, "weight", method);
            Prune.apply(holder, "weight", method);

            assertSame(type, Tensors.type(mask(holder)));
            assertSame(type, Tensors.type(holder.value("weight")));
        }
    }

    @Test
    @DisplayName("weights of 64 bits are ranked by all of them, equals by their index")
    void doubles() {
        Tensor weight = Tensors.ones(4).to(ScalarType.Double);
        weight.select(0, 0).add_(new Scalar(1e-12));
        var holder = new PruneErrorsTest.Holder(weight);

        Prune.l1Unstructured(holder, "weight", 2);

        assertArrayEquals(new float[] {1, 0, 0, 1}, Tensors.floats(mask(holder)));
    }

    @Test
    @DisplayName("a parameter that lies transposed in memory is pruned by its own indices")
    void transposed() {
        Tensor weight = Tensors.of(new float[] {1, 2, 3, 4, 5, 6}, 2, 3).t();
        var holder = new PruneErrorsTest.Holder(weight);

        Prune.l1Unstructured(holder, "weight", 2);
        Prune.lnStructured(holder, "weight", 1, 1, 1);

        assertArrayEquals(new float[] {0, 1, 0, 1, 0, 1}, Tensors.floats(mask(holder)));
    }

    @Test
    @DisplayName("global pruning prunes any mixture of types and masks as one list")
    void globalMixture() {
        var a = new PruneErrorsTest.Holder(Tensors.of(5, 1, 4));
        var b = new PruneErrorsTest.Holder(Tensors.of(2, 3, 6).to(ScalarType.Double));
        Prune.customFromMask(a, "weight", Tensors.of(0, 1, 1));

        Prune.globalUnstructured(
                List.of(target(a, "weight"), target(b, "weight")), L1Unstructured::new, 3);

        assertArrayEquals(new float[] {0, 0, 1}, Tensors.floats(mask(a)));
        assertArrayEquals(new float[] {0, 0, 1}, Tensors.floats(mask(b)));
    }

    @Test
    @DisplayName("a layer pruned inside a scope keeps its mask after the scope")
    void scopes() {
        Linear linear = new Linear(3, 3);
        try (var scope = new PointerScope()) {
            Prune.l1Unstructured(linear, "weight", 4);
            Prune.l1Unstructured(linear, "weight", 1);
        }

        assertEquals(5, pruned(linear));
        assertEquals(3, linear.call(Tensors.ones(1, 3)).numel());
    }
}

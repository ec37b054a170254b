package io.espalier.prune;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.Conv2d;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.Sequential;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.List;
import java.util.Map;

class RankedTest {
    /** Ranks as magnitudes do, and is none of ours. */
    record Cubed(Amount amount) implements PruningMethod.Ranked {
        @Override
        public Choice choice() {
            return Choice.lowest(amount);
        }

        @Override
        public Tensor rank(Tensor scores) {
            return scores.mul(scores.abs());
        }

        @Override
        public Tensor computeMask(Tensor scores, Tensor defaultMask) {
            throw new AssertionError("nobody needs it");
        }
    }

    /** The same, as a mask computed over all entries at once. */
    record ByMask(Amount amount) implements PruningMethod.Unstructured {
        @Override
        public Tensor computeMask(Tensor scores, Tensor defaultMask) {
            return new L1Unstructured(amount).computeMask(scores, defaultMask);
        }
    }

    record Below(double limit) implements PruningMethod.Ranked {
        @Override
        public Choice choice() {
            return Choice.below(limit);
        }
    }

    record ByL2(Amount amount, int dim) implements PruningMethod.RankedChannels {
        @Override
        public Choice choice() {
            return Choice.lowest(amount);
        }
    }

    private static Sequential two(ScalarType type) {
        Libtorch.seed(3);
        var model =
                new Sequential(
                        new Linear(40, 30, o -> o.bias(false)),
                        new Linear(30, 20, o -> o.bias(false)));
        model.parameters().forEach(p -> p.set_data(p.detach().to(type)));
        return model;
    }

    private static Tensor mask(Module layer) {
        return layer.buffer("weight_mask");
    }

    @ParameterizedTest
    @EnumSource(
            value = ScalarType.class,
            names = {"Float", "Double", "Half"})
    @DisplayName("a ranked method of one's own prunes what the same mask would, one tensor or many")
    void sameAsMask(ScalarType type) {
        Sequential ranked = two(type);
        Sequential masked = two(type);
        for (double amount : new double[] {0.3, 0.5}) {
            Prune.apply(ranked.get(0), "weight", new Cubed(Amount.share(amount)));
            Prune.apply(masked.get(0), "weight", new ByMask(Amount.share(amount)));
            Prune.globalUnstructured(Target.weights(ranked), Cubed::new, amount);
            Prune.globalUnstructured(Target.weights(masked), ByMask::new, amount);
            for (int i = 0; i < 2; i++) {
                assertTrue(Tensors.equal(mask(masked.get(i)), mask(ranked.get(i))));
            }
        }
    }

    @Test
    @DisplayName("a method made for an amount takes importance scores for many parameters too")
    void importanceForFactory() {
        Sequential shares = two(ScalarType.Float);
        Sequential counts = two(ScalarType.Float);
        Sequential expected = two(ScalarType.Float);
        for (Sequential model : List.of(shares, counts, expected)) {
            List<Target> targets = Target.weights(model);
            // The first layer by its values, the second by how near an entry is to 0.1.
            Tensor near = model.get(1).parameter("weight").detach().sub(new Scalar(0.1)).abs();
            Map<Target, Tensor> importance = Map.of(targets.get(1), near);
            if (model.equals(shares)) {
                Prune.globalUnstructured(targets, Cubed::new, 0.25, importance);
            } else if (model.equals(counts)) {
                Prune.globalUnstructured(targets, L1Unstructured::new, 450L, importance);
            } else {
                Prune.globalUnstructured(targets, new ByMask(Amount.share(0.25)), importance);
            }
        }
        for (int i = 0; i < 2; i++) {
            assertTrue(Tensors.equal(mask(expected.get(i)), mask(shares.get(i))));
            assertTrue(Tensors.equal(mask(expected.get(i)), mask(counts.get(i))));
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    @DisplayName("what ranks below a limit goes, and nothing that was pruned comes back")
    void below(boolean prunedBefore) {
        Sequential model = two(ScalarType.Float);
        if (prunedBefore) {
            Prune.customFromMask(model.get(0), "weight", Tensors.zeros(30, 40));
        }
        Prune.globalUnstructured(Target.weights(model), new Below(0.05));
        for (int i = prunedBefore ? 1 : 0; i < 2; i++) {
            Tensor weight = model.get(i).parameter("weight_orig").detach();
            Tensor kept = weight.abs().ge(new Scalar(0.05)).to(ScalarType.Float);
            assertTrue(Tensors.equal(kept, mask(model.get(i))));
        }
        if (prunedBefore) {
            assertEquals(0, mask(model.get(0)).count_nonzero().item_long());
        }
    }

    @Test
    @DisplayName("channels rank by their L2 norm unless said otherwise")
    void channels() {
        var own = new Conv2d(4, 6, 3);
        Conv2d ours = own.copy();
        for (int dim : new int[] {0, 1}) {
            Prune.apply(own, "weight", new ByL2(Amount.count(2), dim));
            Prune.lnStructured(ours, "weight", 2L, 2, dim);
            assertTrue(Tensors.equal(mask(ours), mask(own)));
        }
    }

    @Test
    @DisplayName("ranks of another shape, a limit that is no number and NaN are refused")
    void wrongRanks() {
        record TooFew() implements PruningMethod.Ranked {
            @Override
            public Choice choice() {
                return Choice.lowest(Amount.count(1));
            }

            @Override
            public Tensor rank(Tensor scores) {
                return scores.sum(1);
            }
        }
        var layer = new Linear(3, 2);
        String message = messageOf(() -> Prune.apply(layer, "weight", new TooFew()));
        assertTrue(
                message.endsWith(
                        "The ranks have shape [2]; give one for each that is ranked, in shape [2,"
                                + " 3]."),
                message);
        assertEquals(
                "Nothing ranks below NaN; give a number as limit.",
                messageOf(() -> new Below(Double.NaN).choice()));
        layer.parameter("weight").detach().select(0, 1).fill_(new Scalar(Double.NaN));
        assertTrue(
                messageOf(() -> Prune.apply(layer, "weight", new Below(0.1)))
                        .contains("NaN at index [1, 0]"));
        assertFalse(Prune.isPruned(layer));
    }
}

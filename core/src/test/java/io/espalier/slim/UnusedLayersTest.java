package io.espalier.slim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.Functional;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.List;
import java.util.function.UnaryOperator;

@DisplayName("A layer whose result nobody uses")
class UnusedLayersTest {
    private final Tensor x = Tensors.randn(32, 6);

    @BeforeEach
    void seed() {
        Libtorch.seed(2);
    }

    /** Asks a second layer too, and forgets its answer. */
    private static final class Forgetful extends Module {
        private final Linear first = add("first", new Linear(6, 16));
        private final Linear unused = add("unused", new Linear(16, 5));
        private final Linear last = add("last", new Linear(16, 3));

        @Override
        protected Tensor forward(Tensor x) {
            Tensor hidden = Functional.relu(first.call(x));
            Tensor part = Functional.narrow(hidden, 0, 0, 2);
            unused.call(part);
            return last.call(hidden);
        }
    }

    private void assertNarrowed(UnaryOperator<Slimming> how) {
        var model = new Forgetful();

        how.apply(Slimming.of(model, x)).run();

        long left = model.first.weight().size(0);
        assertTrue(left < 16, () -> "left " + left);
        assertArrayEquals(new long[] {5, left}, Tensors.shape(model.unused.weight()));
        assertEquals(3, model.call(x).size(1));
    }

    @Test
    @DisplayName("is narrowed with what it reads and keeps what it gives")
    void narrowed() {
        String groups = Slimming.of(new Forgetful(), x).groups().toString();
        assertTrue(
                groups.contains("16 units of first.weight[0], first.bias[0], unused.weight[1]"),
                groups);
        assertTrue(groups.contains("nobody uses what 'unused' gives"), groups);
        assertNarrowed(slimming -> slimming.ratio(0.5));
        assertNarrowed(slimming ->
                slimming.macs(0.5).importance(ChannelImportance.secondOrder(List.of(x))));
    }

    @Test
    @DisplayName("is narrowed where what it reads is empty")
    void pruned() {
        var model = new Forgetful();
        try (var noGrad = new NoGradGuard()) {
            model.first.weight().narrow(0, 3, 2).zero_();
            model.first.value("bias").narrow(0, 3, 2).zero_();
        }
        Tensor before = model.call(x).detach().clone();

        Slimming.removePruned(model, x);

        assertArrayEquals(new long[] {5, 14}, Tensors.shape(model.unused.weight()));
        assertEquals(0, before.sub(model.call(x)).abs().max().item_double(), 1e-6);
    }
}

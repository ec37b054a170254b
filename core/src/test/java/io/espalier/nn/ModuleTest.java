package io.espalier.nn;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.List;

class ModuleTest {
    static final class Two extends Module {
        final Linear fc = add("fc", new Linear(4, 3));
        final List<Linear> more =
                List.of(add("a", new Linear(3, 3)), add("b", new Linear(3, 2, false)));

        @Override
        protected Tensor forward(Tensor x) {
            Tensor y = fc.call(x);
            for (Linear layer : more) {
                y = layer.call(y);
            }
            return y;
        }
    }

    record Twice() implements Parametrization {
        @Override
        public Tensor apply(Module owner, Tensor value) {
            return value.mul(new Scalar(2.0f));
        }
    }

    @Test
    @DisplayName("prints PyTorch's tree")
    void printsTree() {
        assertEquals(
                """
                Two(
                  (fc): Linear(in_features=4, out_features=3, bias=True)
                  (a): Linear(in_features=3, out_features=3, bias=True)
                  (b): Linear(in_features=3, out_features=2, bias=False)
                )\
                """,
                new Two().toString());
    }

    @Test
    @DisplayName(
            "a copy computes the same and shares no tensor, also through fields that hold lists")
    void copyIsIndependent() {
        Two model = new Two();
        Tensor x = Tensors.randn(2, 4);
        Tensor before = model.call(x);
        Two copy = model.copy();
        assertTrue(Tensors.equal(before, copy.call(x)));
        assertNotSame(model.fc, copy.fc);
        assertSame(copy.module("a"), copy.more.getFirst());
        copy.parameters().forEach(p -> p.detach().zero_());
        assertTrue(Tensors.equal(before, model.call(x)));
        assertFalse(Tensors.equal(before, copy.call(x)));
    }

    @Test
    @DisplayName("a replaced layer is run through the field that declared it, in copies too")
    void replacementIsSeenThroughField() {
        Two model = new Two();
        Linear other = new Linear(4, 3);
        Tensor x = Tensors.randn(2, 4);
        model.replace("fc", other);
        assertTrue(Tensors.equal(other.call(x), model.fc.call(x)));
        Two copy = model.copy();
        assertTrue(Tensors.equal(model.call(x), copy.call(x)));
        assertSame(copy.module("fc"), copy.fc.current());
    }

    @Test
    @DisplayName("an alias of a replaced layer stands alone and shares the tensors")
    void aliasStandsAlone() {
        Two model = new Two();
        Linear alias = model.fc.alias();
        model.replace("fc", new Linear(4, 3));
        assertSame(model.fc.parameter("weight"), alias.parameter("weight"));
        Tensor x = Tensors.randn(2, 4);
        assertFalse(Tensors.equal(model.fc.call(x), alias.call(x)));
    }

    @Test
    @DisplayName(
            "a parametrized parameter is stored under another name and computed in every forward")
    void parametrization() {
        Linear layer = new Linear(4, 3, false);
        Tensor x = Tensors.randn(2, 4);
        Tensor before = layer.call(x);
        layer.storeAs("weight", "weight_orig");
        layer.parametrize("weight", new Twice());
        assertEquals(List.of("weight_orig"), List.copyOf(layer.namedParameters().keySet()));
        assertTrue(Tensors.equal(before.mul(new Scalar(2.0f)), layer.call(x)));
        layer.unparametrize("weight", new Twice());
        layer.storeAs("weight", "weight");
        assertTrue(Tensors.equal(before, layer.call(x)));
        assertEquals(List.of(), layer.parametrizedNames());
    }

    @Test
    @DisplayName("parameters outlive the scope they were made in")
    void parametersOutliveScope() {
        Linear layer;
        try (var scope = new PointerScope()) {
            layer = new Linear(4, 3);
        }
        assertEquals(12, layer.weight().numel());
    }

    @Test
    @DisplayName("a wrong name, a wrong shape and a wrong number of inputs are named")
    void wrongUse() {
        Two model = new Two();
        assertEquals(
                "No module 'linear' in Two; it has: fc, a, b.",
                messageOf(() -> model.module("linear")));
        String shape = messageOf(() -> model.call(Tensors.randn(1, 5)));
        assertTrue(
                shape.startsWith(
                        "Linear(in_features=4, out_features=3, bias=True) on shape [1, 5]: "),
                shape);
        assertEquals(
                "Two takes 1 tensor; it was called with 2.",
                messageOf(() -> model.call(Tensors.ones(1), Tensors.ones(1))));
    }
}

package io.espalier.nn;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.graph.GraphModule;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.ArrayList;
import java.util.List;

class ModuleTest {
    static final class Two extends Module {
        final Linear fc = add("fc", new Linear(4, 3));
        final List<Linear> more =
                List.of(add("a", new Linear(3, 3)), add("b", new Linear(3, 2, o -> o.bias(false))));

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
    @DisplayName("a hook is found by its class until it is taken off")
    void findsHooks() {
        Linear layer = new Linear(2, 2);
        assertFalse(layer.hasHook(Hook.class));
        Hook.Registration registration = layer.onOutput((module, tensors) -> tensors);
        assertTrue(layer.hasHook(Hook.class));
        registration.close();
        assertFalse(layer.hasHook(Hook.class));
    }

    @Test
    @DisplayName("hooks run in order, and a registration finds its hook at what took the place")
    void hooksGoOn() {
        var model = new Sequential(new Linear(2, 2));
        var old = model.get(0);
        List<String> order = new ArrayList<>();
        old.onOutput(noting(order, "second"));
        old.onOutputFirst(noting(order, "first"));
        Hook.Registration input = old.onInput(noting(order, "input"));
        var fresh = new Linear(2, 2);
        fresh.takeInputHooks(old);
        fresh.takeOutputHooks(old);
        model.replace("0", fresh);

        model.call(Tensors.ones(1, 2));
        assertEquals(List.of("input", "first", "second"), order);
        order.clear();
        input.close();
        fresh.wrapHooks(hook ->
                (module, tensors) -> {
                    order.add("around");
                    return hook.apply(module, tensors);
                });
        model.call(Tensors.ones(1, 2));
        assertEquals(List.of("around", "first", "around", "second"), order);
    }

    private static Hook noting(List<String> order, String name) {
        return (module, tensors) -> {
            order.add(name);
            return tensors;
        };
    }

    @Test
    @DisplayName(
            "a parametrized parameter is stored under another name and computed in every forward")
    void parametrization() {
        Linear layer = new Linear(4, 3, o -> o.bias(false));
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

    /** Sum and difference. */
    static final class SumAndDifference extends Module {
        @Override
        protected List<Tensor> forwardAll(List<Tensor> inputs) {
            return List.of(inputs.get(0).add(inputs.get(1)), inputs.get(0).sub(inputs.get(1)));
        }
    }

    @Test
    @DisplayName("several inputs and outputs pass through calls, sequences and hooks")
    void severalInputsAndOutputs() {
        var model = new Sequential(new SumAndDifference(), new Identity(), new SumAndDifference());
        Tensor a = Tensors.of(1, 2);
        Tensor b = Tensors.of(3, 5);
        List<Tensor> outputs = model.callAll(List.of(a, b));
        assertTrue(Tensors.equal(a.mul(new Scalar(2.0f)), outputs.getFirst()));
        assertTrue(Tensors.equal(b.mul(new Scalar(2.0f)), outputs.getLast()));
        assertTrue(Tensors.equal(outputs.getFirst(), model.call(a, b)));
    }

    @Test
    @DisplayName("hooks see inputs and outputs, may change them, and come off again")
    void hooks() {
        Linear layer = new Linear(2, 2);
        Tensor x = Tensors.randn(1, 2);
        Tensor plain = layer.call(x);
        Hook.Registration in =
                layer.onInput((module, tensors) -> {
                    assertSame(layer, module);
                    return List.of(tensors.getFirst().mul(new Scalar(0.0f)));
                });
        Tensor bias = layer.parameter("bias");
        assertTrue(Tensors.equal(bias.unsqueeze(0), layer.call(x)));
        Hook.Registration out =
                layer.onOutput(
                        (module, tensors) -> List.of(tensors.getFirst().sub(bias.unsqueeze(0))));
        assertTrue(Tensors.equal(Tensors.zeros(1, 2), layer.call(x)));
        in.close();
        out.close();
        assertTrue(Tensors.equal(plain, layer.call(x)));
    }

    @Test
    @DisplayName("training and inference mode reach every module")
    void modes() {
        Two model = new Two();
        model.eval();
        assertTrue(model.namedModules().values().stream().noneMatch(Module::isTraining));
        model.train();
        assertTrue(model.namedModules().values().stream().allMatch(Module::isTraining));
    }

    @Test
    @DisplayName("a name that is taken, empty or dotted, and an integer parameter, are refused")
    void wrongNames() {
        Linear layer = new Linear(2, 2);
        assertEquals(
                "Linear already has 'bias'; choose another name.",
                messageOf(() -> layer.addBuffer("bias", Tensors.ones(1))));
        assertEquals(
                "A name must not be empty or contain a dot; asked for 'a.b'.",
                messageOf(() -> layer.addBuffer("a.b", Tensors.ones(1))));
        assertEquals(
                "A parameter is trained and so needs a floating-point tensor; 'x' is Long."
                        + " Register it with addBuffer.",
                messageOf(() -> layer.addParameter("x", Tensors.of(new long[] {1}, 1))));
        assertEquals(
                "No buffer 'mask' in Linear; it has none.", messageOf(() -> layer.buffer("mask")));
    }

    @Test
    @DisplayName("a mistake in a module's own code stays the exception it is")
    void ownMistake() {
        var model =
                new Module() {
                    @Override
                    protected Tensor forward(Tensor x) {
                        throw new IllegalStateException("mine");
                    }
                };
        assertThrows(
                IllegalStateException.class, () -> new Sequential(model).call(Tensors.ones(1)));
    }

    @Test
    @DisplayName("are refused where they stand too deep in one another, however they are put in")
    void depth() {
        Sequential deep = new Sequential(new Linear(2, 2));
        for (int i = 0; i < 254; i++) {
            deep = new Sequential(deep);
        }
        Sequential deepest = deep;
        deepest.eval();
        Tensor x = Tensors.ones(1, 2);
        assertTrue(Tensors.equal(deepest.call(x), GraphModule.trace(deepest, x).call(x)));
        assertTrue(Tensors.equal(deepest.call(x), deepest.copy().call(x)));
        Sequential around = new Sequential(deepest);

        String message = messageOf(() -> new Sequential(around));

        assertTrue(message.contains("at most 256 deep in one another"), message);
        Sequential top = new Sequential();
        Sequential bottom = top;
        for (int i = 0; i < 256; i++) {
            Sequential next = new Sequential();
            bottom.append(next);
            bottom = next;
        }
        Sequential last = bottom;
        assertEquals(message, messageOf(() -> last.append(new ReLU())));
        assertEquals(0, last.size());
    }
}

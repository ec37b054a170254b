package io.espalier.graph;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.Conv2d;
import io.espalier.nn.Dropout;
import io.espalier.nn.Flatten;
import io.espalier.nn.FloatFunctional;
import io.espalier.nn.Functional;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.List;

@DisplayName("A traced model")
class GraphModuleTest {
    /** Adds its input back to what a convolution makes of it. */
    private static final class Residual extends Module {
        private final Conv2d conv = add("conv", new Conv2d(3, 3, 3, o -> o.padding(1)));
        private final FloatFunctional sum = add("sum", new FloatFunctional());

        @Override
        protected Tensor forward(Tensor x) {
            return Functional.relu(sum.add(conv.call(x), x));
        }
    }

    /** Computes with a tensor's own methods, which nothing records. */
    private static final class Doubled extends Module {
        private final Linear linear = add("linear", new Linear(4, 4));

        @Override
        protected Tensor forward(Tensor x) {
            return linear.call(x.mul(new Scalar(2.0)));
        }
    }

    /** Uses a parameter of its own. */
    private static final class Shifted extends Module {
        private final Tensor shift = addParameter("shift", Tensors.randn(4));

        @Override
        protected Tensor forward(Tensor x) {
            return Functional.add(x, shift);
        }
    }

    /** Takes two tensors and gives two. */
    private static final class Crossed extends Module {
        private final Linear first = add("first", new Linear(4, 4));

        @Override
        protected List<Tensor> forwardAll(List<Tensor> inputs) {
            Tensor a = first.call(inputs.get(0));
            Tensor b = first.call(inputs.get(1));
            return List.of(Functional.cat(List.of(b, a), 1), a);
        }
    }

    private static GraphModule traced(Module model, Tensor... example) {
        model.eval();
        return GraphModule.trace(model, example);
    }

    private static void assertSameOutput(Module expected, Module actual, Tensor... inputs) {
        List<Tensor> a = expected.callAll(List.of(inputs));
        List<Tensor> b = actual.callAll(List.of(inputs));
        assertEquals(a.size(), b.size());
        for (int i = 0; i < a.size(); i++) {
            assertTrue(Tensors.equal(a.get(i), b.get(i)), "output " + i);
        }
    }

    @Test
    @DisplayName("prints as a program of layers and functions")
    void printsAsProgram() {
        var model =
                new Sequential(new Residual(), new Dropout(0.5), new Conv2d(3, 2, 1), new ReLU());

        GraphModule traced = traced(model, Tensors.randn(1, 3, 8, 8));

        assertEquals(
                """
                graph(x):
                    0_conv = self.0.conv(x)
                    add = add(0_conv, x)
                    relu = relu(add)
                    2 = self.2(relu)
                    relu_1 = relu(2)
                    return relu_1\
                """,
                traced.graph().toString());
    }

    @Test
    @DisplayName("computes what the model computes, on inputs of other sizes too")
    void computesTheSame() {
        var model = new Sequential(new Residual(), new Residual());
        GraphModule traced = traced(model, Tensors.randn(1, 3, 8, 8));

        assertSameOutput(model, traced, Tensors.randn(1, 3, 8, 8));
        assertSameOutput(model, traced, Tensors.randn(4, 3, 5, 9));
    }

    @Test
    @DisplayName("is traced itself as what it computes, alone and in another model")
    void tracedAgain() {
        var model = new Sequential(new Residual(), new Conv2d(3, 2, 1), new Flatten(2, -1));
        Tensor example = Tensors.randn(1, 3, 8, 8);
        GraphModule traced = traced(model, example);
        var around = new Sequential(traced, new ReLU());

        GraphModule again = traced(traced, example);
        GraphModule whole = traced(around, example);

        assertEquals(traced.graph().toString(), again.graph().toString());
        assertEquals(
                """
                graph(x):
                    0_0_conv = self.0.0.conv(x)
                    add = add(0_0_conv, x)
                    relu = relu(add)
                    0_1 = self.0.1(relu)
                    flatten = flatten(0_1, start_dim=2)
                    relu_1 = relu(flatten)
                    return relu_1\
                """,
                whole.graph().toString());
        Tensor other = Tensors.randn(4, 3, 5, 9);
        assertSameOutput(model, again, other);
        assertSameOutput(around, whole, other);
    }

    @Test
    @DisplayName("takes and returns several tensors, and calls a layer twice")
    void severalTensors() {
        var model = new Crossed();
        Tensor a = Tensors.randn(2, 4);
        Tensor b = Tensors.randn(2, 4);

        GraphModule traced = traced(model, a, b);

        assertSameOutput(model, traced, b, a);
    }

    @Test
    @DisplayName("keeps a module whose code can't be recorded as one node")
    void opaqueModule() {
        var model = new Sequential(new Linear(4, 4), new Doubled());

        GraphModule traced = traced(model, Tensors.randn(2, 4));

        assertTrue(traced.graph().toString().contains("1 = self.1(0)"), traced.graph().toString());
        assertSameOutput(model, traced, Tensors.randn(2, 4));
    }

    @Test
    @DisplayName("names the line of code where the whole model can't be recorded")
    void unknownTensor() {
        var model = new Doubled();

        String message = messageOf(() -> traced(model, Tensors.randn(2, 4)));

        assertTrue(message.contains("Doubled.forward (GraphModuleTest.java:"), message);
        assertTrue(message.contains("hands 'linear' a tensor of shape [2, 4]"), message);
        assertTrue(message.contains("compute it with Functional"), message);
    }

    @Test
    @DisplayName("takes parameters that the model's own code uses, and stays trainable")
    void parameters() {
        var model = new Sequential(new Shifted(), new Linear(4, 2));
        GraphModule traced = traced(model, Tensors.randn(2, 4));

        assertEquals(model.stateDict().keySet(), traced.stateDict().keySet());
        traced.call(Tensors.randn(2, 4)).sum().backward();
        assertTrue(((Shifted) model.get(0)).shift.grad().defined());
    }

    @Test
    @DisplayName("is copied whole: the copy's weights are its own")
    void copies() {
        var model = new Sequential(new Linear(4, 4), new ReLU());
        GraphModule traced = traced(model, Tensors.randn(2, 4));
        Tensor x = Tensors.randn(2, 4);
        Tensor before = traced.call(x);

        GraphModule copy = traced.copy();
        copy.namedParameters().values().forEach(p -> p.detach().zero_());

        assertTrue(Tensors.equal(before, traced.call(x)));
        assertEquals(0, copy.call(x).abs().max().item_float());
    }

    @Test
    @DisplayName("does not change when the model's layers are replaced")
    void independentOfTheModel() {
        var model = new Sequential(new Linear(4, 4), new ReLU());
        GraphModule traced = traced(model, Tensors.randn(2, 4));
        Tensor x = Tensors.randn(2, 4);
        Tensor before = traced.call(x);

        model.replace("0", new Linear(4, 4));

        assertTrue(Tensors.equal(before, traced.call(x)));
    }

    @Test
    @DisplayName(
            "frees what it computes on the way, and keeps the caller's tensors and its outputs")
    void memory() {
        var model = new Sequential(new Dropout(0.1), new Dropout(0.1));
        Tensor x = Tensors.randn(2, 4);
        GraphModule traced = traced(model, x);

        Tensor y;
        try (var scope = new PointerScope()) {
            y = traced.call(x);
        }

        assertTrue(Tensors.equal(x, y));
        assertEquals(8, Tensors.floats(x).length);
    }

    @Test
    @DisplayName("is refused in training mode and with a wrong number of inputs")
    void wrongUse() {
        var model = new Sequential(new Linear(4, 4));
        model.train();
        assertTrue(
                messageOf(() -> GraphModule.trace(model, Tensors.randn(2, 4)))
                        .contains("call eval() first"));
        GraphModule traced = traced(model, Tensors.randn(2, 4));
        assertTrue(
                messageOf(() -> traced.call(Tensors.randn(2, 4), Tensors.randn(2, 4)))
                        .contains("[x]; it was called with 2 tensors"));
    }

    @Test
    @DisplayName("says so where a module is called as a whole and a part of it by itself")
    void wholeAndPart() {
        var whole = new Doubled();
        Module model =
                new Module() {
                    private final Module doubled = add("doubled", whole);

                    @Override
                    protected Tensor forward(Tensor x) {
                        return Functional.add(doubled.call(x), whole.linear.call(x));
                    }
                };

        String message = messageOf(() -> traced(model, Tensors.randn(2, 4)));
        assertTrue(message.startsWith("The graph calls 'doubled' as a whole"), message);
        assertTrue(message.contains("its 'linear' by itself"), message);
    }
}

package io.espalier.graph;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.Conv2d;
import io.espalier.nn.Embedding;
import io.espalier.nn.Functional;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;

@DisplayName("Tracing")
class TracerTest {
    /** A module of one function. */
    private static final class Does extends Module {
        private final UnaryOperator<Tensor> function;

        Does(UnaryOperator<Tensor> function) {
            this.function = function;
        }

        @Override
        protected Tensor forward(Tensor x) {
            return function.apply(x);
        }
    }

    /** Two layers with something done to what lies between. */
    private static final class Between extends Module {
        private final Linear a = add("a", new Linear(4, 4));
        private final Linear b = add("b", new Linear(4, 4));
        private final UnaryOperator<Tensor> function;

        Between(UnaryOperator<Tensor> function) {
            this.function = function;
        }

        @Override
        protected Tensor forward(Tensor x) {
            return b.call(function.apply(a.call(x)));
        }
    }

    /** Takes its second layer where the first number is positive. */
    private static final class Branch extends Module {
        private final Linear a = add("a", new Linear(4, 4));
        private final Linear b = add("b", new Linear(4, 4));

        @Override
        protected Tensor forward(Tensor x) {
            Tensor y = a.call(x);
            return Tensors.floats(x)[0] > 0 ? b.call(y) : y;
        }
    }

    /** Looks at what passes. */
    private static final class Watch extends Module {
        private final List<Double> seen = new ArrayList<>();

        @Override
        protected Tensor forward(Tensor x) {
            seen.add(x.abs().max().item_double());
            return x;
        }
    }

    /** Counts its calls in a buffer. */
    private static final class Counts extends Module {
        private final Tensor count = addBuffer("count", Tensors.zeros(1));

        @Override
        protected Tensor forward(Tensor x) {
            count.add_(new Scalar(1));
            return Functional.relu(x);
        }
    }

    /** Uses an embedding's weight again. */
    private static final class Tied extends Module {
        private final Embedding emb = add("emb", new Embedding(12, 6));
        private final Linear fc = add("fc", new Linear(6, 6));

        @Override
        protected Tensor forward(Tensor words) {
            return Functional.linear(fc.call(emb.call(words)), emb.value("weight"), null);
        }
    }

    /** Uses a tensor that it only holds in a field. */
    private static final class Shifted extends Module {
        private final Linear fc = add("fc", new Linear(4, 4));
        private final Tensor shift = Tensors.keep(Tensors.randn(4));

        @Override
        protected Tensor forward(Tensor x) {
            return Functional.add(fc.call(x), shift);
        }
    }

    /** A layer that computes more than its class. */
    private static final class Doubling extends Linear {
        Doubling() {
            super(4, 4);
        }

        @Override
        protected Tensor forward(Tensor x) {
            return Functional.mul(super.forward(x), 2);
        }
    }

    @BeforeEach
    void seed() {
        Libtorch.seed(5);
    }

    private static GraphModule traced(Module model, Tensor... example) {
        model.eval();
        return GraphModule.trace(model, example);
    }

    private static void assertSame(Module model, GraphModule traced, Tensor x) {
        assertTrue(Tensors.equal(model.call(x), traced.call(x)), traced.graph().toString());
    }

    @Test
    @DisplayName(
            "refuses an operation in place between layers, with the line that meets its result")
    void inPlace() {
        for (UnaryOperator<Tensor> change :
                List.<UnaryOperator<Tensor>>of(
                        Tensor::relu_,
                        z -> z.add_(new Scalar(3)),
                        z -> {
                            z.narrow(1, 0, 2).zero_();
                            return z;
                        })) {
            String message = messageOf(() -> traced(new Between(change), Tensors.randn(2, 4)));

            assertTrue(message.contains("Between.forward (TracerTest.java:"), message);
            assertTrue(message.contains("hands 'b' 'a', a tensor that was changed"), message);
        }
    }

    @Test
    @DisplayName(
            "keeps a module whole that changes a tensor in place, and runs it once while tracing")
    void inPlaceInside() {
        var inside = new Sequential(new Linear(4, 4), new Does(x -> x.add_(new Scalar(3))));
        var model = new Sequential(inside, new Between(Functional::relu));

        GraphModule traced = traced(model, Tensors.randn(2, 4));

        assertTrue(traced.graph().toString().contains("self.0.1(0_0)"), traced.graph().toString());
        assertSame(model, traced, Tensors.randn(3, 4));
    }

    @Test
    @DisplayName(
            "refuses a model that changes its own input in place, and leaves the example as it was")
    void inPlaceInput() {
        var model = new Does(x -> Functional.relu(x.add_(new Scalar(1))));
        Tensor x = Tensors.ones(2, 4);

        String message = messageOf(() -> traced(model, x));

        assertTrue(message.contains("changed in place"), message);
        assertTrue(Tensors.equal(Tensors.ones(2, 4), x));
    }

    @Test
    @DisplayName("refuses what depends on numbers, and says what the model did otherwise")
    void branches() {
        String message = messageOf(() -> traced(new Branch(), Tensors.ones(1, 4)));

        assertTrue(message.startsWith("Can't trace Branch: with other numbers"), message);
        assertTrue(message.contains("it does not compute 'b = self.b(a)'"), message);
        assertTrue(message.endsWith("which is then called as it is."), message);
    }

    @Test
    @DisplayName("refuses numbers that were read and go back in as constants")
    void bakedNumbers() {
        var model = new Between(z -> Functional.mul(z, z.abs().max().item_double()));

        String message = messageOf(() -> traced(model, Tensors.randn(2, 4)));

        assertTrue(message.contains("with other numbers in its input it computes"), message);
    }

    @Test
    @DisplayName(
            "calls a module with a branch of its own as it is, where it computes otherwise too")
    void branchInside() {
        var model =
                new Sequential(
                        new Linear(4, 4),
                        new Does(x -> Tensors.floats(x)[0] > 0 ? x.abs() : x.neg()),
                        new Linear(4, 2));

        GraphModule traced = traced(model, Tensors.randn(2, 4));

        for (int i = 0; i < 4; i++) {
            assertSame(model, traced, Tensors.randn(2, 4));
        }
    }

    @Test
    @DisplayName(
            "keeps a module that only looks at its input, and leaves out those that do nothing")
    void watching() {
        var watch = new Watch();
        var model = new Sequential(new Linear(4, 4), watch, new Linear(4, 2));

        GraphModule traced = traced(model, Tensors.randn(2, 4));

        assertEquals(
                """
                graph(x):
                    0 = self.0(x)
                    1 = self.1(0)
                    2 = self.2(1)
                    return 2\
                """,
                traced.graph().toString());
        watch.seen.clear();
        traced.call(Tensors.randn(2, 4));
        assertEquals(1, watch.seen.size());
    }

    @Test
    @DisplayName("keeps a module whole that changes its own buffers")
    void counting() {
        var model = new Sequential(new Linear(4, 4), new Counts());

        GraphModule traced = traced(model, Tensors.randn(2, 4));

        assertTrue(traced.graph().toString().contains("1 = self.1(0)"), traced.graph().toString());
        assertTrue(
                messageOf(() -> traced(new Counts(), Tensors.randn(2, 4)))
                        .contains("its forward changes 'count'"));
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    @DisplayName(
            "keeps the hooks of layers, of modules that compute with functions, and of the model")
    void hooks(boolean replacing) {
        var model = new Sequential(new Linear(4, 4), new ReLU());
        List<String> calls = new ArrayList<>();
        for (String path : List.of("", "0", "1")) {
            model.module(path)
                    .onOutput((module, outputs) -> {
                        calls.add(path);
                        return replacing
                                ? outputs.stream().map(y -> y.mul(new Scalar(2))).toList()
                                : outputs;
                    });
        }
        Tensor x = Tensors.randn(2, 4);
        GraphModule traced = traced(model, x);
        calls.clear();

        Tensor y = traced.call(x);

        assertEquals(List.of("0", "1", ""), calls);
        assertTrue(Tensors.equal(model.call(x), y));
    }

    @Test
    @DisplayName("reads a tied weight from where it stands")
    void tied() {
        var model = new Tied();
        Tensor words = Tensors.of(new long[] {0, 3, 11, 5}, 4);

        GraphModule traced = traced(model, words);

        assertTrue(
                traced.graph().toString().contains("emb_weight = self.emb.weight"),
                traced.graph().toString());
        assertSame(model, traced, Tensors.of(new long[] {1, 2}, 2));
        traced.module("emb").parameter("weight").detach().zero_();
        assertEquals(0, traced.call(words).abs().max().item_float());
    }

    @Test
    @DisplayName(
            "holds a tensor that the model keeps in a field as a constant, which is copied and"
                    + " saved")
    void constants() {
        var model = new Shifted();

        GraphModule traced = traced(model, Tensors.randn(2, 4));

        assertTrue(
                traced.graph().toString().contains("constant = self.constant"),
                traced.graph().toString());
        assertTrue(Tensors.equal(model.shift, traced.buffer("constant")));
        assertSame(model, traced, Tensors.randn(3, 4));
        GraphModule copy = traced.copy();
        copy.buffer("constant").zero_();
        assertSame(model, traced, Tensors.randn(3, 4));
    }

    @Test
    @DisplayName("refuses a tensor that the model makes anew in each call")
    void madeAnew() {
        var model = new Between(z -> Functional.add(z, Tensors.ones(4)));

        assertTrue(
                messageOf(() -> traced(model, Tensors.randn(2, 4)))
                        .contains("hands add a tensor of shape [4] that no module"));
    }

    @Test
    @DisplayName(
            "looks into a subclass that computes more than its layer, and not into one that"
                    + " doesn't")
    void subclasses() {
        var plain = new Linear(4, 4) {};
        var model = new Sequential(new Doubling(), plain);

        GraphModule traced = traced(model, Tensors.randn(2, 4));

        assertFalse(traced.graph().toString().contains("self.0("), traced.graph().toString());
        assertTrue(traced.graph().toString().contains("1 = self.1("), traced.graph().toString());
        assertSame(model, traced, Tensors.randn(3, 4));
    }

    @Test
    @DisplayName("records several results, and those that nobody uses")
    void severalResults() {
        var model =
                new Between(z -> {
                    List<Tensor> parts = Functional.split(z, 3, 1);
                    Tensor most = Functional.max(z, 1, true).values();
                    return Functional.add(
                            Functional.cat(List.of(parts.get(1), parts.get(0)), 1), most);
                });

        GraphModule traced = traced(model, Tensors.randn(2, 4));

        String program = traced.graph().toString();
        assertTrue(program.contains("split, split_1 = split(a, split_size=3, dim=1)"), program);
        assertTrue(program.contains("max, max_1 = max(a, dim=1, keepdim=true)"), program);
        assertSame(model, traced, Tensors.randn(3, 4));
        assertSame(model, (GraphModule) traced.copy(), Tensors.randn(3, 4));
    }

    @Test
    @DisplayName("names a call of a module that is not part of the model")
    void strangeModule() {
        var other = new Conv2d(1, 1, 1);

        assertTrue(
                messageOf(() -> traced(new Does(other::call), Tensors.randn(1, 1, 2, 2)))
                        .contains("register it with add(name, module)"));
    }
}

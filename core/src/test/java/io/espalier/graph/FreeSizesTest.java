package io.espalier.graph;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.Conv2d;
import io.espalier.nn.Functional;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.List;

@DisplayName("A graph for inputs of other sizes than its example")
class FreeSizesTest {
    /** Attention with the sizes read off its input. */
    private static final class Attention extends Module {
        private final Linear q = add("q", new Linear(16, 16));
        private final Linear o = add("o", new Linear(16, 16));

        private static Tensor heads(Tensor x) {
            return Functional.transpose(Functional.reshape(x, x.size(0), x.size(1), 4, 4), 1, 2);
        }

        @Override
        protected Tensor forward(Tensor x) {
            Tensor h = heads(q.call(x));
            Tensor a = Functional.softmax(Functional.matmul(h, Functional.transpose(h, 2, 3)), -1);
            Tensor y = Functional.transpose(Functional.matmul(a, h), 1, 2);
            return o.call(Functional.reshape(y, x.size(0), x.size(1), 16));
        }
    }

    /** A picture's places as a sequence, with or without a vector for each position. */
    private static final class Patches extends Module {
        private final Conv2d conv = add("conv", new Conv2d(3, 8, 3, o -> o.stride(2)));
        private final Tensor positions = addParameter("positions", Tensors.randn(1, 400, 8));
        private final boolean placed;

        Patches(boolean placed) {
            this.placed = placed;
        }

        @Override
        protected Tensor forward(Tensor x) {
            Tensor z = conv.call(x);
            Tensor s =
                    Functional.transpose(
                            Functional.reshape(z, z.size(0), 8, z.size(2) * z.size(3)), 1, 2);
            return placed
                    ? Functional.add(s, Functional.narrow(positions, 1, 0, s.size(1)))
                    : Functional.softmax(s, 1);
        }
    }

    /** Averages over all of a picture by a window of its size. */
    private static final class Average extends Module {
        private final Conv2d conv = add("conv", new Conv2d(3, 8, 3));

        @Override
        protected Tensor forward(Tensor x) {
            Tensor z = conv.call(x);
            long[] all = {z.size(2), z.size(3)};
            return Functional.flatten(
                    Functional.avgPool2d(z, all, all, new long[] {0, 0}, false, true), 1, -1);
        }
    }

    /** Says in its code how many there are. */
    private static final class Literal extends Module {
        @Override
        protected Tensor forward(Tensor x) {
            return Functional.reshape(x, 6, -1);
        }
    }

    /** Does something else where there is one alone. */
    private static final class ByBatch extends Module {
        private final Linear fc = add("fc", new Linear(4, 4));

        @Override
        protected Tensor forward(Tensor x) {
            return x.size(0) == 1 ? fc.call(x) : Functional.relu(fc.call(x));
        }
    }

    private static void assertSame(Module model, GraphModule traced, Tensor x) {
        Tensor expected = model.call(x);
        Tensor given = traced.call(x);
        assertArrayEquals(Tensors.shape(expected), Tensors.shape(given), "" + traced.graph());
        assertTrue(Tensors.equal(expected, given), traced.graph().toString());
    }

    private static GraphModule traced(Module model, Tensor x) {
        model.eval();
        return GraphModule.trace(model, x);
    }

    @Test
    @DisplayName("takes the sizes that the model read off its tensors from each input")
    void attention() {
        var model = new Attention();

        GraphModule traced = traced(model, Tensors.randn(3, 10, 16));

        assertTrue(
                traced.graph().toString().contains("reshape(q, shape=[size(0), size(1), 4, 4])"),
                traced.graph().toString());
        assertSame(model, traced, Tensors.randn(10, 3, 16));
        assertSame(model, traced, Tensors.randn(1, 1, 16));
    }

    @Test
    @DisplayName("takes any number of sizes in turns")
    void inTurns() {
        var model = new Attention();
        GraphModule traced = traced(model, Tensors.randn(3, 10, 16));

        for (int turn = 0; turn < 2; turn++) {
            for (int size = 1; size <= 20; size++) {
                assertSame(model, traced, Tensors.randn(size, 21 - size, 16));
            }
        }
    }

    @Test
    @DisplayName("computes products of sizes")
    void products() {
        var model = new Patches(false);

        GraphModule traced = traced(model, Tensors.randn(2, 3, 16, 16));

        assertSame(model, traced, Tensors.randn(1, 3, 16, 16));
        assertSame(model, traced, Tensors.randn(3, 3, 21, 12));
    }

    @Test
    @DisplayName("refuses other sizes where numbers follow from them in a way that is not found")
    void notFound() {
        var model = new Patches(true);

        GraphModule traced = traced(model, Tensors.randn(2, 3, 16, 16));

        assertSame(model, traced, Tensors.randn(5, 3, 16, 16));
        assertTrue(
                messageOf(() -> traced.call(Tensors.randn(2, 3, 21, 12)))
                        .contains("it was called with [[2, 3, 21, 12]]"));
    }

    @Test
    @DisplayName("fits a window over all of a picture")
    void windows() {
        var model = new Average();

        GraphModule traced = traced(model, Tensors.randn(2, 3, 8, 8));

        assertSame(model, traced, Tensors.randn(3, 3, 12, 9));
    }

    @Test
    @DisplayName("is read back and copied with its sizes")
    void written() {
        var model = new Attention();
        GraphModule traced = traced(model, Tensors.randn(3, 10, 16));

        Graph read = Graph.fromJson(traced.graph().toJson());

        assertEquals(traced.graph(), read);
        assertSame(model, new GraphModule(read, traced.modules()), Tensors.randn(2, 5, 16));
        assertSame(model, traced.copy(), Tensors.randn(2, 5, 16));
    }

    @Test
    @DisplayName("refuses sizes that are frozen in the model's own code")
    void frozen() {
        GraphModule traced = traced(new Literal(), Tensors.randn(6, 4));

        assertArrayEquals(new long[] {6, 4}, Tensors.shape(traced.call(Tensors.randn(6, 4))));
        // With 12 rows the model itself gives [6, 8]: the program is the same there.
        assertArrayEquals(new long[] {6, 8}, Tensors.shape(traced.call(Tensors.randn(12, 4))));
        GraphModule one = traced(new ByBatch(), Tensors.randn(1, 4));
        String message = messageOf(() -> one.call(Tensors.randn(2, 4)));
        assertTrue(message.contains("it was called with [[2, 4]]"), message);
        assertTrue(message.contains("FreeDimensions"), message);
    }

    @Test
    @DisplayName("has the dimensions free that were named, and refuses those that can't be")
    void named() {
        var model = new Attention();
        model.eval();
        Tensor x = Tensors.randn(3, 10, 16);

        GraphModule traced =
                GraphModule.trace(model, List.of(x), FreeDimensions.of("batch", "tokens"));

        assertEquals(
                "[Float[batch, tokens, 16]]",
                traced.graph().signature().types().values().toString());
        assertSame(model, traced, Tensors.randn(4, 7, 16));
        assertTrue(
                messageOf(() ->
                                GraphModule.trace(
                                        model, List.of(x), FreeDimensions.of("", "", "size3")))
                        .contains("takes no other size of 'size3'"));
        assertTrue(
                messageOf(() -> GraphModule.trace(model, List.of(x), FreeDimensions.of("n", "n")))
                        .contains("does not have in the same size"));
        GraphModule onlyBatch = GraphModule.trace(model, List.of(x), FreeDimensions.of("batch"));
        assertSame(model, onlyBatch, Tensors.randn(5, 10, 16));
        assertTrue(
                messageOf(() -> onlyBatch.call(Tensors.randn(3, 9, 16)))
                        .contains("traced for {x=Float[batch, 10, 16]}"));
    }
}

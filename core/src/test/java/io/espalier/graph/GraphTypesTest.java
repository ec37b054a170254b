package io.espalier.graph;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.Conv2d;
import io.espalier.nn.Flatten;
import io.espalier.nn.Functional;
import io.espalier.nn.Linear;
import io.espalier.nn.MaxPool2d;
import io.espalier.nn.Module;
import io.espalier.nn.Sequential;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.List;
import java.util.Random;

@DisplayName("The types beside a graph")
class GraphTypesTest {
    /** The largest of what is left of a picture, and where it is. */
    private static final class Largest extends Module {
        private final Conv2d conv = add("conv", new Conv2d(3, 4, 3, o -> o.padding(1)));
        private final MaxPool2d pool = add("pool", new MaxPool2d(2));

        @Override
        protected Tensor forward(Tensor x) {
            Tensor flat = Functional.flatten(pool.call(conv.call(x)), 2, -1);
            return Functional.max(flat, 2, false).indices();
        }
    }

    private static GraphModule traced(Module model, Tensor example, String... free) {
        model.eval();
        return GraphModule.trace(model, List.of(example), FreeDimensions.of(free));
    }

    @Test
    @DisplayName("hold expressions where a dimension is free")
    void free() {
        var model = new Largest();
        GraphModule traced = traced(model, Tensors.randn(2, 3, 8, 10), "batch", "", "h", "");

        assertEquals(
                """
                x: Float[batch, 3, h, 10]
                conv: Float[batch, 4, h, 10]
                max_pool2d: Float[batch, 4, h / 2, 5]
                flatten: Float[batch, 4, ?]
                max: Float[batch, 4]
                max_1: Long[batch, 4]\
                """,
                GraphTypes.of(traced).toString());
    }

    @Test
    @DisplayName("are those of a call where an example is given")
    void example() {
        var model = new Sequential(new Conv2d(1, 2, 3), new Flatten(), new Linear(72, 5));
        model.eval();
        GraphModule traced = GraphModule.trace(model, Tensors.randn(4, 1, 8, 8));

        GraphTypes types = GraphTypes.of(traced, Tensors.randn(2, 1, 8, 8));

        assertEquals("Float[2, 72]", types.of(new Value("flatten")).toString());
        assertEquals("Float[batch, 72]", GraphTypes.of(traced).of(new Value("flatten")).toString());
        assertTrue(messageOf(() -> types.of(new Value("z"))).contains("no value 'z'"));
    }

    @Test
    @DisplayName("say of rows of windows what they give for any size, or that they don't know")
    void windows() {
        var random = new Random(7);
        int known = 0;
        for (int round = 0; round < 40; round++) {
            var model = new Sequential(rowOfWindows(random));
            int side = 16 + random.nextInt(9);
            GraphModule traced = traced(model, Tensors.randn(1, 2, side, 24), "batch", "", "h", "");
            GraphTypes general = GraphTypes.of(traced);
            for (long h : new long[] {17, 22, 31, 47, 90}) {
                GraphTypes seen = GraphTypes.of(traced, Tensors.zeros(3, 2, h, 24));
                for (Value value : general.types().keySet()) {
                    Size length = general.of(value).shape().get(2);
                    if (!(length instanceof Size.Unknown)) {
                        known++;
                        assertEquals(
                                seen.of(value).shape().get(2),
                                new Size.Fixed(length.resolve(name -> h, dim -> 0)),
                                () -> value + " of " + model + " for " + h);
                    }
                }
            }
        }
        assertTrue(known > 400, known + " lengths known");
    }

    private static Module[] rowOfWindows(Random random) {
        var row = new Module[1 + random.nextInt(2)];
        for (int i = 0; i < row.length; i++) {
            int kernel = 1 + random.nextInt(4);
            int stride = 1 + random.nextInt(3);
            row[i] =
                    random.nextInt(4) == 0
                            ? new MaxPool2d(2)
                            : new Conv2d(2, 2, kernel, o -> o.stride(stride).padding(1));
        }
        return row;
    }

    @Test
    @DisplayName("cost what a call like the example does, but of one sample")
    void costAsTraced() {
        var model = new Sequential(new Conv2d(3, 8, 3, o -> o.stride(2)));
        GraphModule traced =
                traced(model, Tensors.randn(2, 3, 16, 20), "batch", "", "height", "width");

        assertEquals("[Float[batch, 8, (height - 1) / 2, (width - 1) / 2]]", type(traced));
        GraphModule read =
                new GraphModule(Graph.fromJson(traced.graph().toJson()), traced.modules());
        assertEquals(7 * 9 * 8 * 27, GraphCost.of(traced).macs());
        assertEquals(7 * 9 * 8 * 27, GraphCost.of(read).macs());
    }

    private static String type(GraphModule traced) {
        GraphTypes types = GraphTypes.of(traced);
        return traced.graph().outputs().stream().map(types::of).toList().toString();
    }
}

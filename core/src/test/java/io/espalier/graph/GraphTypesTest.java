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

    @Test
    @DisplayName("hold expressions where a dimension is free")
    void free() {
        var model = new Largest();
        model.eval();
        GraphModule traced =
                GraphModule.trace(
                        model,
                        List.of(Tensors.randn(2, 3, 8, 10)),
                        FreeDimensions.of("batch", "", "h", ""));

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
}

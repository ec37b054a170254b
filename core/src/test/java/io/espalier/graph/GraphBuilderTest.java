package io.espalier.graph;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.LSTM;
import io.espalier.nn.ReLU;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.List;
import java.util.Map;
import java.util.Set;

@DisplayName("A graph built step by step")
class GraphBuilderTest {
    @Test
    @DisplayName("computes by the lengths of inputs whose types are given")
    void typedInputs() {
        var builder = new GraphBuilder();
        Size batch = new Size.Free("batch");
        Value x =
                builder.input(
                        "x", new TensorType(ScalarType.Float, List.of(batch, new Size.Fixed(3))));
        Value flat =
                builder.apply(
                        GraphOperator.RESHAPE,
                        Map.of("shape", List.of(new Size.Times(batch, new Size.Fixed(3)))),
                        x);
        Value numbers = builder.apply(GraphOperator.ARANGE, Map.of("start", 1, "end", batch));
        GraphModule module = builder.returning(flat, numbers);

        List<Tensor> results = module.callAll(List.of(Tensors.zeros(5, 3)));

        assertArrayEquals(new long[] {15}, Tensors.shape(results.getFirst()));
        assertArrayEquals(new long[] {1, 2, 3, 4}, Tensors.longs(results.getLast()));
        assertEquals("Float[batch, 3]", GraphTypes.of(module).of(x).toString());
    }

    @Test
    @DisplayName("holds tensors at the places that their names say")
    void places() {
        var builder = new GraphBuilder();
        Value x = builder.input("x");
        Value scale = builder.parameter("block.0.scale", Tensors.of(2));
        Value shift = builder.constant("block.0.shift", Tensors.of(1));
        Value y =
                builder.apply(GraphOperator.ADD, builder.apply(GraphOperator.MUL, x, scale), shift);
        GraphModule module = builder.returning(y);

        assertEquals(Set.of("block.0.scale"), module.namedParameters().keySet());
        assertEquals(Set.of("block.0.shift"), module.namedBuffers().keySet());
        assertArrayEquals(new float[] {7}, Tensors.floats(module.call(Tensors.of(3))), 0);
    }

    @Test
    @DisplayName("takes all that a module gives")
    void severalResults() {
        var builder = new GraphBuilder();
        Value x = builder.input("x");
        List<Value> all = builder.callAll("rnn", new LSTM(3, 4), 3, x);
        GraphModule module = builder.returning(all.get(2));

        assertArrayEquals(new long[] {1, 2, 4}, Tensors.shape(module.call(Tensors.zeros(5, 2, 3))));
    }

    @Test
    @DisplayName("refuses a tensor and a module of one name")
    void oneNameTwice() {
        var builder = new GraphBuilder();
        Value x = builder.input("x");
        Value scale = builder.parameter("block.act", Tensors.of(2));
        Value y = builder.call("block.act", new ReLU(), builder.apply(GraphOperator.MUL, x, scale));

        assertTrue(messageOf(() -> builder.returning(y)).contains("'act'"));
    }
}

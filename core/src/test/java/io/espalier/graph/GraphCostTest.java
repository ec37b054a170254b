package io.espalier.graph;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.Conv2d;
import io.espalier.nn.ConvTranspose2d;
import io.espalier.nn.Embedding;
import io.espalier.nn.Functional;
import io.espalier.nn.GRU;
import io.espalier.nn.LSTM;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.MultiheadAttention;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.quant.Quantization;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.List;
import java.util.Map;

@DisplayName("What a graph costs")
class GraphCostTest {
    private static long macs(Module layer, Tensor x) {
        var model = new Sequential(layer);
        model.eval();
        return GraphCost.of(GraphModule.trace(model, x), x).macs();
    }

    @Test
    @DisplayName("is the multiplications of its layers")
    void layers() {
        // output elements times what each is a sum of
        assertEquals(2 * 8 * 6 * 6 * 27, macs(new Conv2d(3, 8, 3), Tensors.randn(2, 3, 8, 8)));
        assertEquals(
                2 * 8 * 8 * 8 * 9,
                macs(new Conv2d(8, 8, 3, o -> o.groups(8).padding(1)), Tensors.randn(2, 8, 8, 8)));
        assertEquals(
                2 * 4 * 8 * 8 * 6 * 9,
                macs(new ConvTranspose2d(4, 6, 3, o -> o.stride(2)), Tensors.randn(2, 4, 8, 8)));
        assertEquals(2 * 5 * 7 * 4, macs(new Linear(4, 7), Tensors.randn(2, 5, 4)));
        // of each element: 4 gates of 6, each from 3 inputs and 6 of state
        assertEquals(5 * 2 * 24 * (3 + 6), macs(new LSTM(3, 6), Tensors.randn(5, 2, 3)));
        assertEquals(5 * 2 * 18 * (3 + 6), macs(new GRU(3, 6), Tensors.randn(5, 2, 3)));
        // four maps of 8x8 at 2·5 places; scores and sums: 5x5 pairs of 8 in each of 2
        assertEquals(
                4 * 10 * 64 + 2 * 2 * 25 * 8,
                macs(
                        new MultiheadAttention(8, 2, o -> o.batchFirst(true)),
                        Tensors.randn(2, 5, 8)));
        assertEquals(0, macs(new Embedding(9, 4), Tensors.of(new long[] {1, 2}, 2)));
    }

    @Test
    @DisplayName("counts operators, modules that were not looked into, and shared weights once")
    void nodes() {
        var shared = new Linear(4, 4);
        var opaque =
                new Module() {
                    private final Linear inside = add("inside", new Linear(4, 4));

                    @Override
                    protected Tensor forward(Tensor x) {
                        return Functional.matmul(inside.call(x.abs()), inside.value("weight"));
                    }
                };
        var model = new Sequential(shared, opaque, shared);
        model.eval();
        Tensor x = Tensors.randn(2, 4);

        GraphCost cost = GraphCost.of(GraphModule.trace(model, x), x);

        assertEquals(4 * 2 * 4 * 4, cost.macs());
        assertEquals(2 * (16 + 4), cost.parameters());
        assertEquals(3, cost.rows().size());
        assertEquals(4 * (8 + 8 + 20), cost.rows().getFirst().bytes());
        assertTrue(cost.toString().contains("MACs"), cost.toString());
    }

    @Test
    @DisplayName("is the same multiplications in integers")
    void integers() {
        var model = new Sequential(new Conv2d(3, 8, 3), new ReLU(), new Conv2d(8, 4, 3));
        model.eval();
        Tensor x = Tensors.randn(2, 3, 8, 8);
        GraphModule integers = Quantization.quantize(model, x, List.of(x));

        GraphCost cost = GraphCost.of(integers, x);

        assertEquals(macs(model, x), cost.macs());
        assertEquals(GraphCost.of(GraphModule.trace(model, x), x).parameters(), cost.parameters());
        assertEquals(macs(model, Tensors.randn(1, 3, 8, 8)), GraphCost.of(integers).macs());
    }

    @Test
    @DisplayName("is had for a graph built by hand, which prints and runs")
    void byHand() {
        var graph = new GraphBuilder();
        Value x = graph.input("x");
        Value hidden = graph.call("fc", new Linear(4, 8), x);
        Value scale = graph.constant("scale", Tensors.zeros(8));
        Value scaled = graph.apply(GraphOperator.MUL, hidden, scale);
        List<Value> parts =
                graph.applyAll(GraphOperator.CHUNK, 2, Map.of("chunks", 2, "dim", 1), scaled);
        GraphModule module = graph.returning(parts.getLast(), parts.getFirst());

        assertEquals(
                """
                graph(x):
                    fc = self.fc(x)
                    scale = self.scale
                    mul = mul(fc, scale)
                    chunk, chunk_1 = chunk(mul, chunks=2, dim=1)
                    return chunk_1, chunk\
                """,
                module.graph().toString());
        assertEquals(0, module.call(Tensors.randn(3, 4)).abs().max().item_float());
        assertEquals(3 * 8 * 4, GraphCost.of(module, Tensors.randn(3, 4)).macs());
        assertTrue(module.stateDict().containsKey("scale"));
        assertTrue(
                messageOf(() -> GraphCost.of(module))
                        .contains("Nothing is known of the graph's inputs"));
    }

    @Test
    @DisplayName("is read, printed and rewritten where libtorch can't run it")
    void notRunnable() {
        var graph = new GraphBuilder();
        Value x = graph.input("x");
        Value up =
                graph.apply(GraphOperator.UPSAMPLE_BILINEAR2D, Map.of("align_corners", false), x);
        GraphModule module = graph.returning(up);

        assertTrue(module.graph().toString().contains("upsample_bilinear2d(x, align_corners="));
        assertEquals(module.graph(), Graph.fromJson(module.graph().toJson()));
        assertTrue(messageOf(() -> module.call(Tensors.randn(1, 1, 2, 2))).contains("upsample"));
    }
}

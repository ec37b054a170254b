package io.espalier.graph;

import static io.espalier.TensorAssertions.assertClose;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.Linear;
import io.espalier.nn.MultiheadAttention;
import io.espalier.nn.Sequential;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.List;

@DisplayName("A traced attention")
class AttentionTracingTest {
    private static MultiheadAttention attention(boolean needWeights, boolean lookedInto) {
        Libtorch.seed(6);
        var layer =
                new MultiheadAttention(
                        8,
                        2,
                        o -> o.batchFirst(true).needWeights(needWeights).lookedInto(lookedInto));
        layer.eval();
        return layer;
    }

    @ParameterizedTest(name = "weights as output: {0}")
    @ValueSource(booleans = {true, false})
    @DisplayName(
            "that is looked into shows its linear maps, products and softmax, and computes the"
                    + " same")
    void lookedInto(boolean needWeights) {
        MultiheadAttention layer = attention(needWeights, true);
        Tensor x = Tensors.randn(3, 5, 8);
        GraphModule graph = GraphModule.trace(layer, x);
        List<Tensor> expected = layer.callAll(List.of(x));
        List<Tensor> actual = graph.callAll(List.of(x));
        assertEquals(expected.size(), actual.size());
        for (int i = 0; i < expected.size(); i++) {
            assertClose(expected.get(i), actual.get(i), 1e-6f);
        }
        String program = graph.graph().toString();
        for (String step : List.of("linear", "matmul", "softmax", "out_proj")) {
            assertTrue(program.contains(step), program);
        }
        assertEquals(layer.stateDict().keySet(), graph.stateDict().keySet());
    }

    @Test
    @DisplayName("that is looked into takes masks of booleans and of floats")
    void masks() {
        MultiheadAttention layer = attention(true, true);
        Tensor x = Tensors.randn(2, 3, 8);
        Tensor keys = Tensors.randn(2, 4, 8);
        Tensor left = Tensors.zeros(2, 4).to(ScalarType.Bool);
        left.select(1, 3).fill_(new Scalar(1));
        Tensor[] inputs = {x, keys, keys, left, Tensors.randn(3, 4)};
        GraphModule graph = GraphModule.trace(layer, inputs);
        assertClose(layer.call(inputs), graph.call(inputs), 1e-6f);
    }

    @Test
    @DisplayName("is one step of a graph where nothing else was asked for")
    void oneStep() {
        var model = new Sequential(new Linear(8, 8), attention(false, false));
        model.eval();
        Tensor x = Tensors.randn(3, 5, 8);
        GraphModule graph = GraphModule.trace(model, x);
        assertEquals(2, graph.graph().nodes().size());
        assertClose(model.call(x), graph.call(x), 0);
    }
}

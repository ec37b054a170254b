package io.espalier.slim;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.graph.GraphModule;
import io.espalier.nn.Functional;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.List;
import java.util.function.UnaryOperator;

@DisplayName("Slimming of a graph")
class GraphSlimmingTest {
    private final Tensor x = Tensors.randn(32, 6);

    @BeforeEach
    void seed() {
        Libtorch.seed(1);
    }

    /** What is given, and what two layers make of it. */
    private static final class Residual extends Module {
        private final Sequential inner =
                add("inner", new Sequential(new Linear(16, 32), new ReLU(), new Linear(32, 16)));

        @Override
        protected Tensor forward(Tensor x) {
            return Functional.add(x, inner.call(x));
        }
    }

    private GraphModule graph() {
        var model = new Sequential(new Linear(6, 16), new Residual(), new Linear(16, 3));
        model.eval();
        return GraphModule.trace(model, x);
    }

    private void assertSlims(UnaryOperator<Slimming> target) {
        GraphModule graph = graph();
        Tensor before = graph.call(x).detach().clone();

        SlimResult result = target.apply(Slimming.of(graph, x)).run();

        assertTrue(result.after().parameters() < result.before().parameters(), result.toString());
        assertEquals(3, graph.call(x).size(1));
        double apart = before.sub(graph.call(x)).abs().mean().item_double();
        assertTrue(apart < 0.5 * before.abs().mean().item_double(), () -> "apart " + apart);
    }

    @Test
    @DisplayName("takes channels by what they give on data, to any target")
    void anyTarget() {
        assertSlims(s -> s.macs(0.6).importance(ChannelImportance.secondOrder(List.of(x))));
        assertSlims(s -> s.parameters(0.6).importance(ChannelImportance.activation(List.of(x))));
        assertSlims(s -> s.maxDrop(0.05).importance(ChannelImportance.secondOrder(List.of(x))));
    }

    @Test
    @DisplayName("leaves its blocks, whose steps are written down")
    void noBlocks() {
        assertEquals(List.of(), Slimming.of(graph(), x).blocks());
    }

    @Test
    @DisplayName("takes blocks of one that is a layer of a model")
    void withinAModel() {
        GraphModule graph = graph();
        try (var noGrad = new NoGradGuard()) {
            graph.module("1.inner.2").parameters().forEach(each -> each.mul_(new Scalar(0.01)));
        }
        var model = new Sequential(graph, new ReLU(), new Linear(3, 2));
        model.eval();
        Slimming slimming = Slimming.of(model, x);
        assertEquals(
                "[[0.1.inner.0, 0.1.inner.2]]",
                slimming.blocks().stream().map(ResidualBlock::layers).toList().toString());

        SlimResult result =
                slimming.macs(0.15).importance(ChannelImportance.secondOrder(List.of(x))).run();

        assertTrue(
                result.rows().stream().anyMatch(row -> row.by().equals("block removed")),
                result.toString());
        assertEquals(2, model.call(x).size(1));
    }
}

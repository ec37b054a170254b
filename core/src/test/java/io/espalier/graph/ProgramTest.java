package io.espalier.graph;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

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

import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;

@DisplayName("A graph that runs")
class ProgramTest {
    /** A module that keeps what it is handed and what it gives. */
    private static final class Keeps extends Module {
        private final List<Tensor> kept = new ArrayList<>();
        private final UnaryOperator<Tensor> function;

        Keeps(UnaryOperator<Tensor> function) {
            this.function = function;
        }

        @Override
        protected Tensor forward(Tensor x) {
            Tensor y = function.apply(x);
            kept.add(x);
            kept.add(y);
            return y;
        }
    }

    private static GraphModule traced(Module model, Tensor example) {
        model.eval();
        return GraphModule.trace(model, example);
    }

    private static Sequential around(Module middle) {
        return new Sequential(new Linear(4, 4), new ReLU(), middle, new ReLU(), new Linear(4, 4));
    }

    @Test
    @DisplayName(
            "leaves to a user's module what it keeps: its input, a view of it, or another tensor")
    void keptByModules() {
        for (UnaryOperator<Tensor> function :
                List.<UnaryOperator<Tensor>>of(
                        x -> x, x -> x.view(x.size(0), -1), x -> x.mul(new Scalar(2)))) {
            var model = around(new Keeps(function));
            Tensor x = Tensors.randn(2, 4);
            GraphModule traced = traced(model, x);
            List<Tensor> kept = ((Keeps) traced.module("2")).kept;
            kept.clear();

            Tensor y = traced.call(x);

            assertTrue(Tensors.equal(model.call(x), y));
            Tensor between = Functional.relu(model.module("0").call(x));
            assertTrue(Tensors.equal(between, kept.getFirst()));
            assertTrue(Tensors.equal(function.apply(between), kept.getLast()));
        }
    }

    @Test
    @DisplayName("gives a tensor that a module holds each time, in a scope too")
    void heldByModules() {
        Tensor held = Tensors.keep(Tensors.ones(2, 4));
        var model = around(new Keeps(x -> held));
        Tensor x = Tensors.randn(2, 4);
        GraphModule traced = traced(model, x);
        for (int i = 0; i < 3; i++) {
            try (var scope = new PointerScope()) {
                assertTrue(Tensors.equal(model.call(x), traced.call(x)));
            }
        }
        assertEquals(8, held.sum().item_float());
    }

    @Test
    @DisplayName("frees what layers and operators gave as soon as nobody needs it")
    void frees() {
        // Each layer's result is 4 MB; the addresses of freed ones are taken again.
        var layers = new Sequential();
        for (int i = 0; i < 30; i++) {
            layers.append(new ReLU());
        }
        Tensor x = Tensors.randn(1 << 20);
        GraphModule traced = traced(layers, x);
        var places = new java.util.HashSet<Long>();
        try (var scope = new PointerScope()) {
            for (int i = 0; i < 5; i++) {
                places.add(traced.call(x).data_ptr().address());
            }
        }
        assertTrue(places.size() <= 5, places.toString());
    }

    @Test
    @DisplayName("returns a parameter, an input and one value twice as they are")
    void outputs() {
        var model =
                new Module() {
                    private final Linear fc = add("fc", new Linear(4, 4));

                    @Override
                    protected List<Tensor> forwardAll(List<Tensor> inputs) {
                        Tensor y = fc.call(inputs.getFirst());
                        return List.of(y, inputs.getFirst(), fc.value("weight"), y);
                    }
                };
        Tensor x = Tensors.randn(2, 4);
        GraphModule traced = traced(model, x);
        List<Tensor> results;
        for (int i = 0; i < 2; i++) {
            try (var scope = new PointerScope()) {
                results = traced.callAll(List.of(x));
                assertSame(x, results.get(1));
                assertTrue(Tensors.equal(results.get(0), results.get(3)));
            }
        }
        assertEquals(16, model.fc.parameter("weight").numel());
        assertEquals(8, x.numel());
    }
}

package io.espalier.graph;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.espalier.graph.Node.ModuleCall;
import io.espalier.graph.Node.OperatorCall;
import io.espalier.nn.Module;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

@DisplayName("A sum in a graph takes its second summand's memory")
class MemoryReuseTest {
    private static final Value X = new Value("x");
    private static final Value A = new Value("a");
    private static final Value B = new Value("b");
    private static final Value C = new Value("c");
    private static final Value D = new Value("d");

    /** Adds its inputs, and remembers whether it might have done so in place. */
    private static final class Adder extends Module implements MemoryUse {
        private final List<Boolean> allowed = new ArrayList<>();

        @Override
        protected List<Tensor> forwardAll(List<Tensor> inputs) {
            allowed.add(MemoryUse.mayOverwrite());
            return List.of(inputs.getFirst().add(inputs.getLast()));
        }

        @Override
        public boolean isAtomic() {
            return true;
        }

        @Override
        public boolean givesNewMemory() {
            return true;
        }

        @Override
        public boolean accumulates() {
            return true;
        }
    }

    /** A user's own module. */
    private static final class Own extends Module {
        @Override
        protected Tensor forward(Tensor x) {
            return x;
        }
    }

    private final Adder first = new Adder();
    private final Adder second = new Adder();

    private GraphModule module(List<Node> between, Value added, Value... outputs) {
        List<Node> nodes = new ArrayList<>();
        nodes.add(new ModuleCall("first", List.of(X, X), A));
        nodes.addAll(between);
        nodes.add(new ModuleCall("second", List.of(X, added), D));
        return new GraphModule(
                new Graph(List.of(X), nodes, List.of(outputs)),
                Map.of("first", first, "second", second, "own", new Own()));
    }

    private boolean overwrites(List<Node> between, Value added, Value... outputs) {
        GraphModule module = module(between, added, outputs);
        module.call(Tensors.ones(2, 3));
        assertEquals(List.of(false), first.allowed, "the caller's tensor is not ours");
        boolean allowed = second.allowed.getFirst();
        first.allowed.clear();
        second.allowed.clear();
        return allowed;
    }

    @Test
    @DisplayName("where nobody needs that afterwards")
    void last() {
        assertEquals(true, overwrites(List.of(), A, D));
        assertEquals(false, overwrites(List.of(), X, D));
        assertEquals(false, overwrites(List.of(), A, D, A));
    }

    @Test
    @DisplayName("but not while a view of it is needed, or returned")
    void views() {
        Node view = new OperatorCall(GraphOperator.FLATTEN, A, B);
        Node relu = new OperatorCall(GraphOperator.RELU, A, B);
        assertEquals(false, overwrites(List.of(view), A, D, B));
        assertEquals(true, overwrites(List.of(relu), A, D, B));
        Node done = new OperatorCall(GraphOperator.RELU, B, C);
        assertEquals(true, overwrites(List.of(view, done), A, D, C));
    }

    @Test
    @DisplayName("but not where a user's module, or a hook, may have kept it")
    void kept() {
        assertEquals(false, overwrites(List.of(new ModuleCall("own", List.of(A), B)), A, D, D));
        GraphModule watched = module(List.of(), A, D);
        watched.module("first").onOutput((module, outputs) -> outputs);
        watched.call(Tensors.ones(2, 3));
        assertEquals(List.of(false), second.allowed);
    }
}

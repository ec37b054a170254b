package io.espalier.graph;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.BatchNorm1d;
import io.espalier.nn.Functional;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;

@DisplayName("For any model of layers, sums, shapes, subclasses, hooks, tied weights and more")
class RandomGraphsTest {
    private static final int SIZE = 6;

    /** A subclass that computes more than its layer. */
    private static final class Twice extends Linear {
        Twice() {
            super(SIZE, SIZE);
        }

        @Override
        protected Tensor forward(Tensor x) {
            return super.forward(super.forward(x));
        }
    }

    /** Computes without being seen, in place or not, or only looks. */
    private static final class Opaque extends Module {
        private final int kind;

        Opaque(int kind) {
            this.kind = kind;
        }

        @Override
        protected Tensor forward(Tensor x) {
            return switch (kind) {
                case 0 -> x.mul(new Scalar(0.5));
                case 1 -> x.clone().relu_();
                default -> x;
            };
        }
    }

    /** One random step on what was computed before; all tensors are [N, SIZE]. */
    private static final class RandomModel extends Module {
        private final int[] kinds;
        private final int[][] operands;
        private final List<Module> layers = new ArrayList<>();
        private final Tensor held = Tensors.keep(Tensors.randn(SIZE));
        private final boolean inPlace;

        RandomModel(Random random, int steps, boolean inPlace) {
            this.inPlace = inPlace;
            kinds = random.ints(steps, 0, 16).toArray();
            operands = new int[steps][];
            for (int i = 0; i < steps; i++) {
                operands[i] = random.ints(2, 0, i + 1).toArray();
                Module layer =
                        switch (kinds[i]) {
                            case 0, 1 -> new Linear(SIZE, SIZE);
                            case 2 -> new BatchNorm1d(SIZE);
                            case 3 -> new Twice();
                            case 4 -> new Opaque(random.nextInt(3));
                            default -> new ReLU();
                        };
                if (random.nextInt(5) == 0) {
                    layer.onOutput((module, outputs) -> outputs);
                }
                layers.add(add("layer" + i, layer));
            }
        }

        @Override
        protected Tensor forward(Tensor x) {
            List<Tensor> known = new ArrayList<>(List.of(x));
            Linear tied = null;
            for (int i = 0; i < kinds.length; i++) {
                Tensor a = known.get(operands[i][0]);
                Tensor b = known.get(operands[i][1]);
                if (layers.get(i) instanceof Linear linear) {
                    tied = linear;
                }
                known.add(
                        switch (kinds[i]) {
                            case 6 -> Functional.add(a, b);
                            case 7 -> Functional.mul(Functional.sigmoid(a), b);
                            case 8 ->
                                    Functional.reshape(
                                            Functional.reshape(a, a.size(0), 2, SIZE / 2),
                                            a.size(0),
                                            SIZE);
                            case 9 -> {
                                List<Tensor> parts = Functional.chunk(a, 2, 1);
                                yield Functional.cat(List.of(parts.get(1), parts.get(0)), 1);
                            }
                            case 10 -> Functional.sub(a, Functional.max(b, 1, true).values());
                            case 11 -> Functional.add(a, held);
                            case 12 ->
                                    tied == null
                                            ? Functional.tanh(a)
                                            : Functional.linear(a, tied.value("weight"), null);
                            case 13 -> Functional.layerNorm(a, new long[] {SIZE}, null, null, 1e-5);
                            default -> layers.get(i).call(a);
                        });
            }
            Tensor last = known.getLast();
            if (inPlace) {
                known.get(kinds.length / 2 + 1).add_(new Scalar(1));
                return Functional.add(last, known.get(kinds.length / 2 + 1));
            }
            return Functional.add(last, known.get(kinds.length / 2));
        }
    }

    static IntStream seeds() {
        return IntStream.range(0, 60);
    }

    private static RandomModel model(int seed, boolean inPlace) {
        Libtorch.seed(seed);
        var random = new Random(seed);
        var model = new RandomModel(random, 3 + random.nextInt(8), inPlace);
        model.eval();
        return model;
    }

    private static void assertSame(Module expected, Module given, Tensor x) {
        assertTrue(
                OtherInputs.areClose(List.of(expected.call(x)), List.of(given.call(x))),
                () -> expected + "\n" + ((GraphModule) given).graph());
    }

    @ParameterizedTest
    @MethodSource("seeds")
    @DisplayName("its graph computes what it does, for other numbers and another batch")
    void traced(int seed) {
        RandomModel model = model(seed, false);

        GraphModule traced = GraphModule.trace(model, Tensors.randn(3, SIZE));

        assertSame(model, traced, Tensors.randn(3, SIZE));
        assertSame(model, traced, Tensors.randn(5, SIZE));
        assertSame(model, traced.copy(), Tensors.randn(2, SIZE));
    }

    @ParameterizedTest
    @MethodSource("seeds")
    @DisplayName(
            "printing and reading back changes nothing, nor does leaving out or renaming values")
    void rewritten(int seed) {
        RandomModel model = model(seed, false);
        GraphModule traced = GraphModule.trace(model, Tensors.randn(3, SIZE));
        Graph graph = traced.graph();

        Graph read = Graph.fromJson(graph.toJson());
        assertEquals(graph, read);
        assertEquals(graph.toString(), read.toString());

        var names = Names.beside(graph);
        List<Node> nodes = new ArrayList<>();
        Map<Value, Value> copies = new HashMap<>();
        for (Node node : graph.nodes()) {
            nodes.add(node);
            if (node instanceof Node.OperatorCall call && call.results().size() == 1) {
                Value twin = names.fresh(call.result().name());
                nodes.add(
                        new Node.OperatorCall(
                                call.operator(), call.operands(), call.attributes(), twin));
                copies.put(call.result(), twin);
            }
        }
        Graph doubled = graph.withNodes(nodes);
        Tensor x = Tensors.randn(4, SIZE);
        Map<String, Module> modules = new LinkedHashMap<>();
        modules.put("", traced);
        traced.modules().forEach(modules::putIfAbsent);
        assertEquals(graph, doubled.withoutUnused(node -> !graph.nodes().contains(node)));
        Graph replaced = replacingLast(doubled, copies);
        assertSame(model, new GraphModule(replaced, modules), x);
    }

    /** The output by its twin, if it has one. */
    private static Graph replacingLast(Graph graph, Map<Value, Value> twins) {
        Value output = graph.outputs().getFirst();
        return graph.with(graph.nodes(), List.of(twins.getOrDefault(output, output)));
    }

    @ParameterizedTest
    @MethodSource("seeds")
    @DisplayName("an operation in place between its layers is refused, or makes no difference")
    void inPlace(int seed) {
        RandomModel model = model(seed, true);
        GraphModule traced;
        try {
            traced = GraphModule.trace(model, Tensors.randn(3, SIZE));
        } catch (EspalierException e) {
            assertTrue(String.valueOf(e.getMessage()).contains("in place"), e.getMessage());
            return;
        }
        assertSame(model, traced, Tensors.randn(3, SIZE));
    }
}

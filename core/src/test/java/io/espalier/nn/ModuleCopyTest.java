package io.espalier.nn;

import static io.espalier.Errors.messageOf;
import static io.espalier.TensorAssertions.assertClose;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

import java.lang.ref.WeakReference;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.LinkedList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.PriorityQueue;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;

/** A copy runs nothing of its original, wherever a model keeps its layers. */
@SuppressWarnings("UnusedVariable") // fields are read by copying
class ModuleCopyTest {
    private static final Tensor X = Tensors.ones(1, 3);

    /** Two layers in any holder, and the way back from it. */
    static final class Holding<H> extends Module {
        final H holder;
        final Function<H, Iterable<? extends Module>> layers;

        Holding(Function<List<Linear>, H> hold, Function<H, Iterable<? extends Module>> layers) {
            Linear first = add("first", new Linear(3, 3));
            Linear second = add("second", new Linear(3, 3));
            this.holder = hold.apply(List.of(first, second));
            this.layers = layers;
        }

        @Override
        protected Tensor forward(Tensor x) {
            // A sum, since a copied hash set has an order of its own.
            Tensor y = x.mul(new Scalar(0));
            for (Module layer : layers.apply(holder)) {
                y = y.add(layer.call(x));
            }
            return y;
        }
    }

    record Pair(Linear first, List<Linear> rest) {
        List<Linear> all() {
            List<Linear> all = new ArrayList<>(List.of(first));
            all.addAll(rest);
            return all;
        }
    }

    /** An object that is no module, of a class with a final field and a cycle. */
    static final class Stage {
        private final Linear layer;
        private final long number;
        private Stage next = this;

        Stage(Linear layer, long number) {
            this.layer = layer;
            this.number = number;
        }

        static Stage ring(List<Linear> layers) {
            Stage first = new Stage(layers.getFirst(), 7);
            first.next = new Stage(layers.getLast(), 8);
            first.next.next = first;
            return first;
        }

        List<Linear> all() {
            assertEquals(7, number);
            assertSame(this, next.next);
            return List.of(layer, next.layer);
        }
    }

    private enum Place {
        FIRST,
        SECOND
    }

    private static <H extends Collection<Linear>> Module of(Function<List<Linear>, H> hold) {
        return new Holding<>(hold, layers -> layers);
    }

    private static <K> Module ofMap(Supplier<Map<K, Linear>> empty, K one, K two) {
        return new Holding<>(
                layers -> {
                    Map<K, Linear> map = empty.get();
                    map.put(one, layers.getFirst());
                    map.put(two, layers.getLast());
                    return map;
                },
                Map::values);
    }

    private static <T> T filled(T empty, List<Linear> layers) {
        @SuppressWarnings("unchecked") // a collection of layers
        var collection = (Collection<Linear>) empty;
        collection.addAll(layers);
        return empty;
    }

    @SuppressWarnings("JdkObsolete") // a user's model may have any
    static Stream<Module> holders() {
        Comparator<Linear> order = Comparator.comparingInt(layer -> layer.ownParameters().size());
        return Stream.of(
                of(layers -> layers),
                of(ArrayList::new),
                of(LinkedList::new),
                of(Collections::unmodifiableList),
                of(layers -> Arrays.asList(layers.toArray(Linear[]::new))),
                of(HashSet::new),
                of(LinkedHashSet::new),
                of(Set::copyOf),
                of(layers -> Collections.unmodifiableSet(new LinkedHashSet<>(layers))),
                of(layers -> filled(Collections.newSetFromMap(new IdentityHashMap<>()), layers)),
                of(layers -> filled(new TreeSet<>(order), layers)),
                of(ArrayDeque::new),
                of(ConcurrentLinkedDeque::new),
                of(CopyOnWriteArrayList::new),
                of(layers -> filled(new PriorityQueue<>(order), layers)),
                ofMap(HashMap::new, "a", "b"),
                ofMap(LinkedHashMap::new, "a", "b"),
                ofMap(TreeMap::new, "a", "b"),
                ofMap(ConcurrentHashMap::new, "a", "b"),
                ofMap(() -> new EnumMap<>(Place.class), Place.FIRST, Place.SECOND),
                new Holding<>(
                        layers -> Map.of(layers.getFirst(), "a", layers.getLast(), "b"),
                        Map::keySet),
                new Holding<>(layers -> layers.toArray(Linear[]::new), Arrays::asList),
                new Holding<>(
                        layers -> new Object[][] {layers.toArray()},
                        rows -> Stream.of(rows[0]).map(Module.class::cast).toList()),
                new Holding<>(layers -> Optional.of(layers.getLast()), o -> o.stream().toList()),
                new Holding<>(
                        layers -> new AtomicReference<>(layers.getLast()), r -> List.of(r.get())),
                new Holding<>(
                        layers -> new AtomicReferenceArray<>(layers.toArray(Linear[]::new)),
                        a -> List.of(a.get(0), a.get(1))),
                new Holding<>(
                        layers -> new WeakReference<>(layers.getLast()),
                        r -> List.of(Objects.requireNonNull(r.get()))),
                new Holding<>(
                        layers -> new Pair(layers.getFirst(), layers.subList(1, 2)), Pair::all),
                new Holding<>(Stage::ring, Stage::all),
                new Holding<>(
                        layers -> Map.of("stages", List.of(new Deep(layers))),
                        map -> Objects.requireNonNull(map.get("stages")).getFirst().layers));
    }

    /** An object between collections. */
    static final class Deep {
        private final Set<Linear> layers;

        Deep(List<Linear> layers) {
            this.layers = new LinkedHashSet<>(layers);
        }
    }

    @ParameterizedTest
    @DisplayName("layers in any collection, map, array, record or object of a copy are the copy's")
    @MethodSource("holders")
    void anyHolder(Module model) {
        Tensor before = model.call(X).clone();
        Module copy = model.copy();
        assertClose(before, copy.call(X), 0);
        copy.parameters().forEach(parameter -> parameter.detach().zero_());
        assertClose(Tensors.zeros(1, 3), copy.call(X), 0);
        assertClose(before, model.call(X), 0);
        Object from = ((Holding<?>) model).holder;
        Object to = ((Holding<?>) copy).holder;
        if (from instanceof Cloneable && !(from instanceof Object[])) {
            assertSame(from.getClass(), to.getClass());
        }
    }

    @Test
    @DisplayName("a collection that a copy may change is its own, whatever is in it")
    void ownCollections() {
        class Remembering extends Module {
            final List<String> seen = new ArrayList<>();
            final Map<String, Long> counts = new TreeMap<>();
        }
        Remembering model = new Remembering();
        model.seen.add("once");
        Remembering copy = model.copy();
        copy.seen.add("twice");
        copy.counts.put("a", 1L);
        assertEquals(List.of("once"), model.seen);
        assertTrue(model.counts.isEmpty());
    }

    /** Layers of classes inside the model, which know it. */
    static final class Outer extends Module {
        final Linear shared = add("shared", new Linear(3, 3));
        final Inner inner = add("inner", new Inner());
        final Module local = add("local", local());

        final class Inner extends Module {
            @Override
            protected Tensor forward(Tensor x) {
                return shared.call(x);
            }
        }

        private Module local() {
            Linear captured = shared;
            return new Module() {
                @Override
                protected Tensor forward(Tensor x) {
                    return captured.call(x);
                }
            };
        }

        @Override
        protected Tensor forward(Tensor x) {
            return local.call(inner.call(x));
        }
    }

    @Test
    @DisplayName("inner, local and anonymous modules of a copy see the copy around them")
    void innerModules() {
        Outer model = new Outer();
        Tensor before = model.call(X).clone();
        Outer copy = model.copy();
        copy.parameters().forEach(parameter -> parameter.detach().zero_());
        assertClose(Tensors.zeros(1, 3), copy.call(X), 0);
        assertClose(before, model.call(X), 0);
    }

    /** A tensor that another module, registered later, owns. */
    static final class Borrowing extends Module {
        Tensor weight = X;

        @Override
        protected Tensor forward(Tensor x) {
            return Functional.linear(x, weight, null);
        }
    }

    @Test
    @DisplayName("a field with the tensor of a module that is registered later is mapped too")
    void tensorOfAnother() {
        Borrowing borrowing = new Borrowing();
        Linear owner = new Linear(3, 3);
        borrowing.weight = owner.parameter("weight");
        Sequential model = new Sequential(borrowing, owner);
        Sequential copy = model.copy();
        assertSame(
                copy.get(1).parameter("weight"),
                assertInstanceOf(Borrowing.class, copy.get(0)).weight);
    }

    static final class WithLambda extends Module {
        final UnaryOperator<Tensor> body;

        WithLambda(Function<Linear, UnaryOperator<Tensor>> body) {
            this.body = body.apply(add("fc", new Linear(3, 3)));
        }

        @Override
        protected Tensor forward(Tensor x) {
            return body.apply(x);
        }
    }

    static Stream<Function<Linear, UnaryOperator<Tensor>>> capturing() {
        return Stream.of(
                fc -> x -> fc.call(x).relu(),
                fc -> fc::call,
                fc -> {
                    List<Linear> all = List.of(fc);
                    return x -> all.getFirst().call(x);
                },
                fc -> {
                    Tensor weight = fc.parameter("weight");
                    return x -> x.matmul(weight);
                },
                fc -> {
                    UnaryOperator<Tensor> inner = fc::call;
                    return x -> inner.apply(x).relu();
                });
    }

    @ParameterizedTest
    @DisplayName("a lambda that uses a layer or tensor of the model is refused by its field")
    @MethodSource("capturing")
    void lambdas(Function<Linear, UnaryOperator<Tensor>> body) {
        WithLambda model = new WithLambda(body);
        assertEquals(
                "Can't copy io.espalier.nn.ModuleCopyTest$WithLambda: its field 'body' holds a"
                        + " lambda that uses a layer or tensor of the model, so that the copy would"
                        + " run the original's; let the module hold it in a field and write the"
                        + " lambda as a method.",
                messageOf(model::copy));
    }

    @Test
    @DisplayName("a lambda that uses nothing of the model, or another model, is shared")
    void harmlessLambdas() {
        Linear teacher = new Linear(3, 3);
        WithLambda plain = new WithLambda(fc -> x -> x.relu());
        WithLambda taught = new WithLambda(fc -> teacher::call);
        assertSame(plain.body, plain.<WithLambda>copy().body);
        assertClose(teacher.call(X), taught.copy().call(X), 0);
    }

    @Test
    @DisplayName("a composed function, which nobody can look into, is refused")
    void composed() {
        class Composed extends Module {
            final Function<Tensor, Tensor> body =
                    ((Function<Tensor, Tensor>) add("fc", new Linear(3, 3))::call)
                            .andThen(Tensor::relu);
        }
        assertTrue(messageOf(new Composed()::copy).contains("its field 'body' holds a lambda"));
    }

    @Test
    @DisplayName("a view of a parameter, which the copy would share, is refused")
    void views() {
        class Viewing extends Module {
            final Linear fc = add("fc", new Linear(3, 3));
            final Tensor transposed = fc.parameter("weight").detach().t();
        }
        String message = messageOf(new Viewing()::copy);
        assertTrue(message.contains("its field 'transposed' holds a view of a parameter"), message);
        Viewing alias = new Viewing().alias();
        assertEquals(3, alias.transposed.size(0));
    }

    @Test
    @DisplayName("a field whose class has no copy is refused by its name")
    void uncopyable() {
        class Own extends ArrayList<Module> {
            private static final long serialVersionUID = 1;
        }
        class WithOwn extends Module {
            final Own layers = new Own();

            WithOwn() {
                layers.add(add("fc", new Linear(3, 3)));
            }
        }
        WithOwn model = new WithOwn();
        WithOwn copy = model.copy();
        assertNotSame(model.layers, copy.layers);
        assertSame(copy.module("fc"), copy.layers.getFirst());

        class Waiting extends Thread {
            final Module layer;

            Waiting(Module layer) {
                this.layer = layer;
            }
        }
        class WithThread extends Module {
            final Waiting thread = new Waiting(add("fc", new Linear(3, 3)));
        }
        String message = messageOf(new WithThread()::copy);
        assertTrue(
                message.contains(
                        "its field 'thread' holds a io.espalier.nn.ModuleCopyTest$1Waiting, which"
                            + " extends Java's java.lang.Thread; make it a record or a Module."),
                message);
    }

    @Test
    @DisplayName("a model that can't be copied is as it was")
    void unchanged() {
        WithLambda model = new WithLambda(fc -> fc::call);
        Tensor before = model.call(X).clone();
        messageOf(model::copy);
        assertClose(before, model.call(X), 0);
        assertEquals(2, model.parameters().size());
    }
}

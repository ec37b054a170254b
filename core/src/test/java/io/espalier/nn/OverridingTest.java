package io.espalier.nn;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;

import io.espalier.graph.GraphModule;
import io.espalier.quant.Quantization;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.List;

@DisplayName("A subclass that overrides forward")
class OverridingTest {
    @BeforeEach
    void seed() {
        Libtorch.seed(3);
    }

    private static class Negated extends Sequential {
        Negated(Module... modules) {
            super(modules);
        }

        @Override
        protected Tensor forward(Tensor x) {
            return Functional.neg(super.forward(x));
        }
    }

    private static final class NegatedAgain extends Negated {
        NegatedAgain(Module... modules) {
            super(modules);
        }
    }

    /** The forward of a subclass, which asks for all results of the layer. */
    private static final class ByAll extends Sequential {
        ByAll(Module... modules) {
            super(modules);
        }

        @Override
        protected Tensor forward(Tensor x) {
            return Functional.neg(forwardAll(List.of(x)).getFirst());
        }
    }

    @Test
    @DisplayName("of a Sequential is obeyed however it is called, read and quantized")
    void sequential() {
        Tensor x = Tensors.randn(4, 3);
        for (Sequential model :
                List.of(
                        new Negated(new Linear(3, 3), new ReLU()),
                        new NegatedAgain(new Linear(3, 3), new ReLU()),
                        new ByAll(new Linear(3, 3), new ReLU()))) {
            model.eval();
            Tensor expected = Functional.neg(Functional.relu(model.get(0).call(x)));
            var inside = new Sequential(model, new ReLU());
            inside.eval();

            assertTrue(Tensors.equal(expected, model.call(x)));
            assertTrue(Tensors.equal(expected, model.callAll(List.of(x)).getFirst()));
            assertTrue(Tensors.equal(expected, model.copy().call(x)));
            assertTrue(Tensors.equal(expected, GraphModule.trace(model, x).call(x)));
            assertTrue(inside.call(x).max().item_double() == 0);
            assertTrue(GraphModule.trace(inside, x).call(x).max().item_double() == 0);
            Quantization.fuse(inside, x);
            assertTrue(Tensors.equal(expected, model.call(x)));
        }
    }

    @Test
    @DisplayName("of a layer with several inputs is obeyed for one and refused for more")
    void severalInputs() {
        var bags =
                new EmbeddingBag(5, 3) {
                    @Override
                    protected Tensor forward(Tensor x) {
                        return Functional.neg(super.forward(x));
                    }
                };
        Tensor words = Tensors.of(new long[] {1, 2, 3, 4}, 2, 2);
        Tensor plain = EmbeddingBag.of(bags.weight(), o -> o).call(words);
        assertTrue(Tensors.equal(Functional.neg(plain), bags.call(words)));
        String message = messageOf(() -> bags.call(Tensors.of(1, 2), Tensors.of(0)));
        assertTrue(message.contains("overrides forward, which takes 1 tensor"), message);
    }

    @Test
    @DisplayName("of a layer with several results has no one result of the layer's to ask for")
    void severalResults() {
        Module lstm =
                new LSTM(3, 4) {
                    @Override
                    protected Tensor forward(Tensor x) {
                        return Functional.neg(super.forward(x));
                    }
                };
        String message = messageOf(() -> lstm.call(Tensors.randn(5, 2, 3)));
        assertTrue(message.contains("gives 3 tensors; a subclass overrides forwardAll"), message);
        Module own =
                new MultiheadAttention(4, 2) {
                    @Override
                    protected Tensor forward(Tensor x) {
                        return Functional.neg(x);
                    }
                };
        Tensor x = Tensors.randn(2, 1, 4);
        assertTrue(Tensors.equal(Functional.neg(x), own.call(x)));
    }

    /** A user's own way of calling forward. */
    private static class Tripled extends Module {
        @Override
        protected List<Tensor> forwardAll(List<Tensor> inputs) {
            return inputs.stream().map(x -> Functional.mul(forward(x), 3)).toList();
        }
    }

    private static final class NegatedTripled extends Tripled {
        @Override
        protected Tensor forward(Tensor x) {
            return Functional.neg(x);
        }
    }

    private static final class Doubling extends FloatFunctional {
        @Override
        protected Tensor forward(Tensor x) {
            return add(x, x);
        }
    }

    private static final class Both extends Negated {
        Both(Module... modules) {
            super(modules);
        }

        @Override
        protected Tensor forward(Tensor x) {
            return Functional.mul(super.forward(x), 2);
        }

        @Override
        protected List<Tensor> forwardAll(List<Tensor> inputs) {
            return inputs.stream().map(this::forward).toList();
        }
    }

    @Test
    @DisplayName("of a module of one's own, or together with forwardAll, is obeyed too")
    void ownModules() {
        Tensor x = Tensors.of(1, 2);

        List<Tensor> tripled = new NegatedTripled().callAll(List.of(x, x));
        assertEquals(2, tripled.size());
        assertTrue(Tensors.equal(Tensors.of(-3, -6), tripled.getLast()));
        assertTrue(Tensors.equal(Tensors.of(-3, -6), new NegatedTripled().call(x)));
        assertTrue(Tensors.equal(Tensors.of(2, 4), new Doubling().call(x)));
        List<Tensor> results = new Both(new ReLU()).callAll(List.of(x, x));
        assertEquals(2, results.size());
        assertTrue(Tensors.equal(Tensors.of(-2, -4), results.getLast()));
    }

    @Test
    @DisplayName("can ask for that of every layer that can be extended")
    void everyLayer() {
        int layers = 0;
        for (JavaClass type :
                new ClassFileImporter()
                        .withImportOption(new ImportOption.DoNotIncludeTests())
                        .importPackages("io.espalier.nn")) {
            if (type.isAssignableTo(Module.class)
                    && !type.isEquivalentTo(Module.class)
                    && !type.isEquivalentTo(FloatFunctional.class)
                    && !type.getModifiers().contains(JavaModifier.FINAL)
                    && type.tryGetMethod("forwardAll", List.class).isPresent()) {
                assertTrue(type.tryGetMethod("forward", Tensor.class).isPresent(), type.getName());
                assertTrue(type.isAssignableTo(AllAtOnce.class), type.getName());
                layers++;
            }
        }
        assertEquals(4, layers);
    }

    @Test
    @DisplayName("may be called with null, which is refused")
    @SuppressWarnings("NullAway") // what users do
    void nothing() {
        var fc = new Linear(3, 3);
        String message = "Linear was called with null; it takes tensors.";
        assertEquals(message, messageOf(() -> fc.call((Tensor) null)));
        assertEquals(message, messageOf(() -> fc.call(Tensors.ones(3), null)));
    }

    @Test
    @DisplayName("may give null, which is refused")
    @SuppressWarnings("NullAway") // what users do
    void givesNothing() {
        Module silent =
                new Module() {
                    @Override
                    protected Tensor forward(Tensor x) {
                        return null;
                    }
                };
        assertTrue(messageOf(() -> silent.call(Tensors.ones(1))).contains("gave null"));
    }
}

package io.espalier.quant;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.BatchNorm1d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Embedding;
import io.espalier.nn.EmbeddingBag;
import io.espalier.nn.Flatten;
import io.espalier.nn.GRU;
import io.espalier.nn.LSTM;
import io.espalier.nn.LayerNorm;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.MultiheadAttention;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.quant.accuracy.Equalization;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Supplier;
import java.util.stream.Stream;

/** A subclass of a layer may compute anything: exact classes are quantized, others left alone. */
class SubclassTest {
    private static final double FACTOR = 10;

    private static Tensor times(Tensor x) {
        return x.mul(new Scalar(FACTOR));
    }

    private static final class Gained extends Linear {
        Gained() {
            super(6, 6);
        }

        @Override
        protected Tensor forward(Tensor x) {
            return times(super.forward(x));
        }
    }

    /** Weight standardization, whose weight is another in each call. */
    private static final class Standardized extends Conv2d {
        Standardized() {
            super(2, 3, 3);
        }

        @Override
        protected Tensor forward(Tensor x) {
            Tensor w = value("weight");
            return convolve(pad(x), w.sub(w.mean()).div(w.std()), bias());
        }
    }

    private static final class Zoneout extends LSTM {
        Zoneout() {
            super(6, 6);
        }

        @Override
        protected List<Tensor> forwardAll(List<Tensor> inputs) {
            var out = new ArrayList<>(super.forwardAll(inputs));
            out.set(0, times(out.getFirst()));
            return out;
        }
    }

    private static Module anonymousGru() {
        return new GRU(6, 6) {
            @Override
            protected List<Tensor> forwardAll(List<Tensor> inputs) {
                var out = new ArrayList<>(super.forwardAll(inputs));
                out.set(0, times(out.getFirst()));
                return out;
            }
        };
    }

    private static Module gained() {
        return new LSTM(6, 6) {
            @Override
            protected Tensor forward(Tensor x) {
                return times(forwardAll(List.of(x)).getFirst());
            }
        };
    }

    private static Module twice() {
        return new Sequential(new Linear(6, 6), new ReLU()) {
            @Override
            protected Tensor forward(Tensor x) {
                return super.forward(super.forward(x));
            }
        };
    }

    private static Module anonymousTable() {
        return new Embedding(5, 6) {
            @Override
            protected Tensor forward(Tensor x) {
                return times(super.forward(x));
            }
        };
    }

    private static Module anonymousBags() {
        return new EmbeddingBag(5, 6) {
            @Override
            protected List<Tensor> forwardAll(List<Tensor> inputs) {
                return List.of(times(super.forwardAll(inputs).getFirst()));
            }
        };
    }

    private static Module anonymousNorm() {
        return new LayerNorm(6) {
            @Override
            protected Tensor forward(Tensor x) {
                return times(super.forward(x));
            }
        };
    }

    static Stream<Arguments> cases() {
        Supplier<Tensor> x = () -> Tensors.randn(4, 3, 6);
        Supplier<Tensor> image = () -> Tensors.randn(2, 2, 4, 4);
        Supplier<Tensor> words = () -> Tensors.of(new long[] {1, 2, 4, 0}, 2, 2);
        return Arrays.stream(EveryWay.values())
                .flatMap(way ->
                        Stream.of(
                                        of("Linear", between(Gained::new), x),
                                        of("Conv2d", SubclassTest::convolutions, image),
                                        of("LSTM", between(Zoneout::new), x),
                                        of("LSTM's forward", between(SubclassTest::gained), x),
                                        of("Sequential", between(SubclassTest::twice), x),
                                        of("GRU", between(SubclassTest::anonymousGru), x),
                                        of("Embedding", () -> table(anonymousTable()), words),
                                        of("EmbeddingBag", () -> table(anonymousBags()), words),
                                        of("LayerNorm", between(SubclassTest::anonymousNorm), x))
                                .map(one ->
                                        Arguments.of(
                                                way, one.get()[0], one.get()[1], one.get()[2])));
    }

    private static Arguments of(String name, Supplier<Module> model, Supplier<Tensor> x) {
        return Arguments.of(name, model, x);
    }

    private static Supplier<Module> between(Supplier<Module> layer) {
        return () -> new Between(layer.get());
    }

    /** A layer, of which only the first output is used, between two others. */
    private static final class Between extends Module {
        private final Linear in = add("in", new Linear(6, 6));
        private final Module layer;
        private final Linear out = add("out", new Linear(6, 4));

        Between(Module layer) {
            this.layer = add("layer", layer);
        }

        @Override
        protected Tensor forward(Tensor x) {
            return out.call(layer.call(in.call(x)));
        }
    }

    private static Sequential convolutions() {
        return new Sequential(new Standardized(), new ReLU(), new Flatten(), new Linear(12, 4));
    }

    private static Sequential table(Module table) {
        return new Sequential(table, new Linear(6, 4));
    }

    @BeforeEach
    void seed() {
        Libtorch.seed(3);
    }

    @ParameterizedTest(name = "{0}: a subclass of {1}")
    @MethodSource("cases")
    @DisplayName("A subclass stays as it is, and the model computes what it computed")
    void keepsSubclasses(EveryWay way, String name, Supplier<Module> make, Supplier<Tensor> input) {
        Module model = make.get();
        Tensor x = input.get();
        model.eval();
        Tensor expected = model.call(x).detach();
        List<Module> own =
                model.namedModules().values().stream().filter(SubclassTest::isSubclass).toList();

        Module quantized = way.quantized(model, x);

        Tensor error = quantized.call(x).sub(expected).abs().max();
        float largest = expected.abs().max().item_float();
        assertTrue(error.item_float() < 0.05 * largest, name + " is off by " + error.item_float());
        if (way == EveryWay.STATIC || way == EveryWay.DYNAMIC) {
            own.forEach(module -> assertSame(module, module.current()));
        }
    }

    private static boolean isSubclass(Module module) {
        return module.getClass().getSuperclass() != Module.class
                && module.getClass().getName().startsWith(SubclassTest.class.getName());
    }

    @Test
    @DisplayName("The library's own linear map in an attention is quantized as a linear layer")
    void quantizesOwnSubclass() {
        var model = new Sequential(new MultiheadAttention(8, 2));
        model.eval();
        Tensor x = Tensors.randn(3, 2, 8);
        Tensor expected = model.call(x).detach();

        EveryWay.STATIC.quantized(model, x);

        assertTrue(model.toString().contains("QuantizedLinear("), model.toString());
        assertFalse(model.call(x).sub(expected).abs().max().item_float() > 0.05);
    }

    @Test
    @DisplayName("A chain with a subclass is not fused, nor equalized")
    void refusesChains() {
        var model = new Sequential(new Gained(), new BatchNorm1d(6), new Linear(6, 2));
        model.eval();

        assertTrue(
                messageOf(() -> Quantization.fuseModules(model, List.of("0", "1")))
                        .contains("Gained"));
        assertTrue(Quantization.fuse(model, Tensors.randn(4, 6)).isEmpty());
        assertTrue(
                messageOf(() -> Equalization.apply(model, List.of("0", "2"))).contains("Gained"));
    }
}

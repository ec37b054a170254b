package io.espalier.quant;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.graph.GraphModule;
import io.espalier.nn.Functional;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.MultiheadAttention;
import io.espalier.nn.Sequential;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.List;
import java.util.Set;

@DisplayName("What computes in floats between integer layers")
class FloatsBetweenIntegersTest {
    private Tensor x;

    /** A module that the graph can't look into, with layers of its own. */
    private static final class Gate extends Module {
        private final Linear in = add("in", new Linear(8, 8));
        private final Linear out = add("out", new Linear(8, 8));

        @Override
        protected Tensor forward(Tensor x) {
            Tensor y = in.call(x);
            return out.call(y.mul(y.sigmoid()));
        }
    }

    private static final class Attentive extends Module {
        private final Linear in = add("in", new Linear(8, 8));
        private final MultiheadAttention attention = add("attention", new MultiheadAttention(8, 2));

        @Override
        protected Tensor forward(Tensor x) {
            Tensor y = in.call(x);
            return attention.call(y, y, y);
        }
    }

    private static final class Residual extends Module {
        private final Linear in = add("in", new Linear(8, 8));

        @Override
        protected Tensor forward(Tensor x) {
            return Functional.add(in.call(x), x);
        }
    }

    @BeforeEach
    void seed() {
        Libtorch.seed(4);
        x = Tensors.randn(5, 16, 8);
    }

    private Module prepared(Module model, String backend) {
        model.eval();
        model.qconfig(QConfig.forBackend(backend));
        Quantization.prepare(model);
        model.call(x);
        return model;
    }

    private static double noise(Tensor expected, Tensor actual) {
        return actual.sub(expected).norm().item_double() / expected.norm().item_double();
    }

    @ParameterizedTest
    @ValueSource(strings = {"x86", "qnnpack"})
    @DisplayName("is, in a graph, a module it can't look into, with its layers as they are")
    void opaqueModule(String backend) {
        var model = new Sequential(new Linear(8, 8), new Gate(), new Linear(8, 3));
        model.eval();
        model.qconfig(QConfig.forBackend(backend));

        GraphModule graph = Quantization.quantize(model, x, List.of(x));

        assertTrue(graph.graph().toString().contains("self.1("), graph.graph().toString());
        assertTrue(graph.module("1").toString().contains("(in): Linear("));
        assertFalse(graph.module("0") instanceof Linear);
        assertTrue(noise(model.call(x), graph.call(x)) < 0.05);
    }

    @ParameterizedTest
    @ValueSource(strings = {"x86", "qnnpack"})
    @DisplayName("is an attention after an integer layer, whose last map is one, too")
    void attention(String backend) {
        var model = new Attentive();
        model.eval();
        Tensor expected = model.call(x);
        Module converted = prepared(model.copy(), backend);
        Quantization.convert(converted);
        model.qconfig(QConfig.forBackend(backend));
        GraphModule graph = Quantization.quantize(model, x, List.of(x));

        assertTrue(converted.toString().contains("(out_proj): QuantizedLinear("));
        assertTrue(noise(expected, converted.call(x)) < 0.1);
        assertTrue(noise(expected, graph.call(x)) < 0.05);
    }

    @Test
    @DisplayName("is said where a model's own code puts integers and floats together")
    void mixed() {
        Module model = prepared(new Residual(), "x86");
        Module floats = model.copy();
        Quantization.convert(model);
        Quantization.convert(floats, Set.of(""));

        String message = messageOf(() -> model.call(x));
        assertTrue(
                message.startsWith(
                        "Residual() on shape [5, 16, 8]: no kernel takes quantized tensors and"
                                + " floats together; put a DeQuantStub"),
                message);
        assertEquals(3, floats.call(x).dim());
    }

    @Test
    @DisplayName("is said of tensors that are joined, integers to floats")
    void joined() {
        Module model = prepared(new Joining(), "x86");
        Quantization.convert(model);

        String message = messageOf(() -> model.call(x));
        assertTrue(
                message.startsWith(
                        "Joining() on shape [5, 16, 8]: aten::cat: no kernel takes quantized"
                                + " tensors and floats together; put a DeQuantStub"),
                message);
    }

    private static final class Joining extends Module {
        private final Linear fc = add("fc", new Linear(8, 8));

        @Override
        protected Tensor forward(Tensor x) {
            return Functional.cat(List.of(fc.call(x), x), 1);
        }
    }

    @Test
    @DisplayName("is named as the model's forward where a graph ends in it")
    void returned() {
        var model = new Gate();
        model.eval();
        Module wave =
                new Module() {
                    private final Linear fc = add("fc", new Linear(8, 8));

                    @Override
                    protected Tensor forward(Tensor input) {
                        return fc.call(input).exp();
                    }
                };
        wave.eval();
        assertTrue(
                messageOf(() -> GraphModule.trace(wave, x))
                        .contains(": its forward returns a tensor of shape [5, 16, 8]"));
        assertTrue(messageOf(() -> GraphModule.trace(model, x)).contains("hands 'out' a tensor"));
    }
}

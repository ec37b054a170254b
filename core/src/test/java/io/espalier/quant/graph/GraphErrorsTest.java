package io.espalier.quant.graph;

import static io.espalier.Errors.messageOf;
import static io.espalier.quant.graph.GraphNetworks.Net;
import static io.espalier.quant.graph.GraphNetworks.images;
import static io.espalier.quant.graph.GraphNetworks.plain;
import static io.espalier.quant.graph.GraphNetworks.settled;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.graph.GraphModule;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Linear;
import io.espalier.nn.PaddingMode;
import io.espalier.nn.Sequential;
import io.espalier.quant.GraphQuantization;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.List;

@DisplayName("Quantizing by the graph, used wrongly")
class GraphErrorsTest {
    @BeforeEach
    void seed() {
        Libtorch.seed(3);
    }

    @Test
    @DisplayName("refuses a model in training mode, no data, and steps out of order")
    void wrongUse() {
        Sequential model = settled(plain());
        Tensor x = images();
        model.train();
        assertTrue(
                messageOf(() -> Quantization.quantize(model, x, List.of(x)))
                        .contains("call eval() first"));
        model.eval();
        assertTrue(
                messageOf(() -> Quantization.quantize(model, x, List.of()))
                        .contains("needs calibration data"));
        GraphModule traced = GraphModule.trace(model, x);
        assertTrue(
                messageOf(() -> GraphQuantization.convert(traced))
                        .contains("The graph is not prepared"));
        assertTrue(
                messageOf(() -> GraphQuantization.prepare(traced)).contains("Nothing to quantize"));
        traced.qconfig(QConfig.forBackend("x86"));
        GraphModule prepared = GraphQuantization.prepare(traced);
        assertTrue(
                messageOf(() -> GraphQuantization.convert(prepared)).contains("has seen no data"));
        traced.module("0").qconfig(QConfig.forBackend("fbgemm"));
        assertTrue(
                messageOf(() -> GraphQuantization.prepare(traced))
                        .contains("A graph runs on one engine"));
        assertFalse(traced.graph().nodes().isEmpty());
    }

    @Test
    @DisplayName("refuses a graph that is prepared or converted already")
    void twice() {
        Tensor x = images();
        GraphModule traced = GraphModule.trace(settled(plain()), x);
        traced.qconfig(QConfig.forBackend("x86"));
        GraphModule prepared = GraphQuantization.prepare(traced);
        prepared.call(x);
        GraphModule converted = GraphQuantization.convert(prepared);

        assertTrue(
                messageOf(() -> GraphQuantization.prepare(prepared)).contains("prepared already"));
        assertTrue(
                messageOf(() -> GraphQuantization.prepare(converted))
                        .contains("converted already"));
        assertTrue(
                messageOf(() -> GraphQuantization.convert(converted))
                        .contains("converted already"));
    }

    @Test
    @DisplayName("names the layer when an input does not fit")
    void wrongShape() {
        GraphModule quantized =
                Quantization.quantize(settled(new Net()), images(), List.of(images()));

        String message = messageOf(() -> quantized.call(Tensors.randn(1, 4, 8, 8)));

        assertTrue(message.contains("the input must have 3 channels"), message);
    }

    @Test
    @DisplayName("refuses a model of which nothing has a kernel, naming what it has")
    void nothing() {
        var model =
                new Sequential(
                        new Conv2d(3, 4, 3, o -> o.padding(1).paddingMode(PaddingMode.CIRCULAR)));
        model.eval();
        Tensor x = images();

        String message = messageOf(() -> Quantization.quantize(model, x, List.of(x)));

        assertTrue(message.startsWith("Nothing to quantize"), message);
        assertTrue(message.contains("'0', a Conv2d(3, 4, kernel_size=(3, 3)"), message);
    }

    @Test
    @DisplayName("says that nothing is quantized because of hooks")
    void hooked() {
        var model = new Sequential(new Linear(4, 4));
        model.eval();
        model.get(0).onOutput((module, tensors) -> tensors);
        Tensor x = Tensors.randn(2, 4);

        String message = messageOf(() -> Quantization.quantize(model, x, List.of(x)));
        assertTrue(message.contains("no hook, which sees floats"), message);
        assertTrue(message.contains("with a hook"), message);
    }
}

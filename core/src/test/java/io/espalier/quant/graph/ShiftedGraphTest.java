package io.espalier.quant.graph;

import static io.espalier.quant.graph.GraphNetworks.decibels;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.graph.GraphModule;
import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Hardswish;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.quant.GraphQuantization;
import io.espalier.quant.QConfig;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@DisplayName("A quantized graph with one scale and shift for all channels after an activation")
class ShiftedGraphTest {
    @BeforeEach
    void seed() {
        Libtorch.seed(3);
    }

    private static Module model(Module activation, float[] scale, float[] shift) {
        Module model =
                new Sequential(
                        new Conv2d(3, 4, 3, with -> with.padding(1)),
                        activation,
                        BatchNorm2d.of(
                                Tensors.of(scale),
                                Tensors.of(shift),
                                Tensors.zeros(4),
                                Tensors.ones(4),
                                with -> with.eps(0)),
                        new Conv2d(4, 4, 3, with -> with.padding(1).groups(4)));
        model.eval();
        return model;
    }

    private static GraphModule prepared(Module model, String engine, Tensor x) {
        GraphModule traced = GraphModule.trace(model, x);
        traced.qconfig(QConfig.forBackend(engine));
        GraphModule prepared = GraphQuantization.prepare(traced);
        prepared.call(x);
        return prepared;
    }

    @ParameterizedTest(name = "{0}, · {1} + {2}")
    @CsvSource({
        "x86, 0.7, 0.4",
        "x86, 1.5, 0",
        "onednn, 2, -0.03",
        "fbgemm, 0.5, 0.2",
        "qnnpack, 1, 0.3"
    })
    @DisplayName(
            "computes it by the zero points alone where kernels give floats too, padding and all")
    void free(String engine, float scale, float shift) {
        float[] scales = {scale, scale, scale, scale};
        float[] shifts = {shift, shift, shift, shift};
        Module model = model(new ReLU(), scales, shifts);
        Tensor x = Tensors.randn(2, 3, 9, 8);
        GraphModule prepared = prepared(model, engine, x);

        GraphModule converted = GraphQuantization.convert(prepared);

        assertTrue(decibels(model.call(x), converted.call(x)) > 27);
        assertTrue(
                decibels(GraphQuantization.convertToReference(prepared).call(x), converted.call(x))
                        > 35);
        if (shift >= 0 && !engine.equals("fbgemm") && !engine.equals("qnnpack")) {
            assertEquals(3, converted.graph().nodes().size(), converted.graph().toString());
        }
    }

    @Test
    @DisplayName("does so after hard-swish too, where one kernel computes both")
    void afterHardswish() {
        float[] scales = {1.4f, 1.4f, 1.4f, 1.4f};
        float[] shifts = {0.6f, 0.6f, 0.6f, 0.6f};
        Module model = model(new Hardswish(), scales, shifts);
        Tensor x = Tensors.randn(2, 3, 9, 8);

        GraphModule converted = GraphQuantization.convert(prepared(model, "x86", x));

        assertTrue(decibels(model.call(x), converted.call(x)) > 27);
        assertEquals(3, converted.graph().nodes().size(), converted.graph().toString());
    }

    @Test
    @DisplayName(
            "computes in floats what differs between channels, is smaller than a step, or negative")
    void inFloats() {
        float[] ones = {1, 1, 1, 1};
        float[][][] kept = {
            {ones, {0, 0.1f, 0, 0}},
            {ones, {1e-5f, 1e-5f, 1e-5f, 1e-5f}},
            {{-1, -1, -1, -1}, {0.5f, 0.5f, 0.5f, 0.5f}}
        };
        for (float[][] numbers : kept) {
            Module model = model(new ReLU(), numbers[0], numbers[1]);
            Tensor x = Tensors.randn(2, 3, 9, 8);

            GraphModule converted = GraphQuantization.convert(prepared(model, "x86", x));

            assertTrue(decibels(model.call(x), converted.call(x)) > 27);
            assertTrue(converted.modules().containsKey("2"));
        }
    }
}

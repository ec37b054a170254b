package io.espalier.quant.accuracy;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.graph.GraphModule;
import io.espalier.graph.GraphOperator;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Flatten;
import io.espalier.nn.Hardswish;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.Sequential;
import io.espalier.quant.GraphQuantization;
import io.espalier.quant.QConfig;
import io.espalier.quant.observer.MinMaxObserver;
import io.espalier.quant.observer.Qscheme;
import io.espalier.quant.observer.QuantizedType;
import io.espalier.tensor.Engine;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

@DisplayName("Correcting biases in sequence")
class SequentialCorrectionTest {
    private Module model;
    private Tensor images;
    private GraphModule prepared;

    @BeforeEach
    void prepare() {
        Libtorch.seed(3);
        model =
                new Sequential(
                        new Conv2d(3, 8, 3, o -> o.padding(1).bias(false)),
                        new Hardswish(),
                        new Conv2d(8, 8, 3, o -> o.groups(8)),
                        new Hardswish(),
                        new Flatten(),
                        new Linear(8 * 6 * 6, 5));
        model.eval();
        // All above zero, so that what a rounded weight is off shifts the mean.
        images = Tensors.rand(16, 3, 8, 8).add(new Scalar(1));
        GraphModule traced = GraphModule.trace(model, images);
        // One scale for a weight with one large element leaves few steps to the others.
        try (var noGrad = new NoGradGuard()) {
            traced.module("0").parameter("weight").select(0, 0).fill_(new Scalar(4));
        }
        traced.qconfig(
                new QConfig(
                        MinMaxObserver.with(),
                        MinMaxObserver.with()
                                .dtype(QuantizedType.QINT8)
                                .qscheme(Qscheme.PER_TENSOR_SYMMETRIC),
                        Engine.ONEDNN));
        prepared = GraphQuantization.prepare(traced);
    }

    private float[] means(GraphModule graph) {
        try (var noGrad = new NoGradGuard()) {
            return Tensors.floats(graph.call(images).mean(new long[] {0}));
        }
    }

    private static double apart(float[] a, float[] b) {
        double sum = 0;
        for (int i = 0; i < a.length; i++) {
            sum += Math.abs(a[i] - b[i]);
        }
        return sum;
    }

    @Test
    @DisplayName("brings the means of what the kernels give back to the float model's")
    void correctsMeans() {
        float[] wanted = Tensors.floats(model.call(images).mean(new long[] {0}));
        prepared.call(images);
        GraphModule reference = GraphQuantization.convertToReference(prepared);
        float[] before = means(reference);

        GraphModule corrected = SequentialCorrection.of(prepared, images).apply(reference);

        float[] kernels = means(GraphQuantization.lower(corrected));
        double was = apart(wanted, before);
        double now = apart(wanted, means(corrected));
        assertTrue(was > 1e-3, "nothing to correct");
        assertTrue(now < 0.01 * was, now + " of " + was);
        assertTrue(apart(wanted, kernels) < 0.5 * was, apart(wanted, kernels) + " of " + was);
        assertArrayEquals(before, means(reference), "the graph that was given changed");
    }

    @Test
    @DisplayName("layers go back to floats, and what was quantized for them alone with them")
    void inFloat() {
        prepared.call(images);
        GraphModule reference = GraphQuantization.convertToReference(prepared);
        GraphModule floats = GraphQuantization.inFloat(reference, path -> true);
        GraphModule same = GraphQuantization.inFloat(reference, path -> false);
        GraphModule part = GraphQuantization.inFloat(reference, path -> path.equals("2"));

        assertArrayEquals(
                Tensors.floats(model.call(images)), Tensors.floats(floats.call(images)), 1e-4f);
        assertArrayEquals(
                Tensors.floats(reference.call(images)), Tensors.floats(same.call(images)));
        assertEquals(0, quantized(floats));
        assertEquals(4, quantized(reference));
        assertEquals(3, quantized(part));
        assertArrayEquals(
                Tensors.floats(part.call(images)),
                Tensors.floats(GraphQuantization.lower(part).call(images)),
                0.02f);
    }

    private static long quantized(GraphModule graph) {
        return graph.graph().nodes().stream()
                .filter(node -> node.calls(GraphOperator.QUANTIZE))
                .count();
    }
}

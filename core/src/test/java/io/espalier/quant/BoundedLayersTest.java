package io.espalier.quant;

import static io.espalier.TensorAssertions.assertClose;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.Dropout;
import io.espalier.nn.Hardsigmoid;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU6;
import io.espalier.nn.Sequential;
import io.espalier.nn.Sigmoid;
import io.espalier.nn.Softmax;
import io.espalier.nn.Tanh;
import io.espalier.quant.layer.SavedLayers;
import io.espalier.quant.qat.FakeQuantize;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;

/** Layers whose outputs are bounded by what they compute: their range needs no data. */
class BoundedLayersTest {
    private static final List<String> FIXED = List.of("1", "3", "4", "5");

    @BeforeEach
    void seed() {
        Libtorch.seed(11);
    }

    private static Sequential model() {
        var model =
                new Sequential(
                        new Linear(6, 6),
                        new Sigmoid(),
                        new ReLU6(),
                        new Tanh(),
                        new Hardsigmoid(),
                        new Softmax(-1),
                        new Dropout(0.1),
                        new Linear(6, 4));
        model.eval();
        return model;
    }

    /** The places whose outputs something observes. */
    private static List<String> observed(Module model) {
        var places = new TreeSet<String>();
        for (String name : model.stateDict().keySet()) {
            String[] parts = name.split("\\.", -1);
            if (parts[1].equals("activation_post_process")) {
                places.add(parts[0]);
            }
        }
        return List.copyOf(places);
    }

    @Test
    @DisplayName("A prepared model has observers where PyTorch's has, and none of known ranges")
    void preparedNames() {
        Sequential model = model();
        model.qconfig(QConfig.forBackend("x86"));

        Quantization.prepare(model, Tensors.randn(3, 6));

        assertEquals(List.of("0", "2", "7"), observed(model));
    }

    @Test
    @DisplayName("In training they are rounded by ranges that are known, as in PyTorch")
    void trained() {
        Sequential model = model();
        model.train();
        model.qconfig(QConfig.qatForBackend("x86"));

        Quantization.prepareQat(model, Tensors.randn(3, 6));

        assertEquals(List.of("0", "1", "2", "3", "4", "5", "7"), observed(model));
        for (String place : FIXED) {
            String at = place + ".activation_post_process";
            assertEquals(
                    List.of(
                            "fake_quant_enabled",
                            "observer_enabled",
                            "scale",
                            "zero_point",
                            "activation_post_process.scale",
                            "activation_post_process.zero_point"),
                    List.copyOf(model.module(at).stateDict().keySet()));
            boolean tanh = place.equals("3");
            assertEquals(tanh ? 1 / 128f : 1 / 256f, model.module(at).buffer("scale").item_float());
            assertEquals(tanh ? 128 : 0, model.module(at).buffer("zero_point").item_int());
            assertTrue(model.module(at) instanceof FakeQuantize);
        }
    }

    @Test
    @DisplayName("Calibrated or trained, the converted model computes what the rounding says")
    void converted() {
        for (EveryWay way : List.of(EveryWay.STATIC, EveryWay.TRAINED)) {
            Sequential model = model();
            Tensor x = Tensors.randn(32, 6);
            Tensor expected = model.call(x).detach();

            way.quantized(model, x);

            assertClose(expected, model.call(x), 0.02f);
            assertEquals(List.of(), observed(model));
            assertEquals("Sigmoid()", model.get(1).toString());
            assertEquals("Tanh()", model.get(3).toString());
            assertEquals("QuantizedSoftmax(dim=-1)", model.get(5).toString());
            assertFalse(model.stateDict().containsKey("1.scale"));
        }
    }

    @Test
    @DisplayName("A file of a sigmoid with a range of its own, as they were, still loads")
    void olderFiles() {
        Map<String, Tensor> tensors =
                Map.of("scale", Tensors.of(0.01f), "zero_point", Tensors.of(new long[] {3}, 1));

        Module sigmoid =
                SavedLayers.restore(
                        Path.of("older"),
                        "1",
                        new Sigmoid(),
                        Map.of("type", "QuantizedOperation"),
                        tensors);

        assertEquals("Sigmoid()", sigmoid.toString());
        assertEquals(List.of("scale", "zero_point"), List.copyOf(sigmoid.stateDict().keySet()));
        var model = new Sequential(new Linear(6, 6));
        model.eval();
        Tensor x = Tensors.randn(4, 6);
        EveryWay.STATIC.quantized(model, x);
        Tensor integers = model.get(0).call(x);
        Tensor given = sigmoid.call(integers);
        assertEquals(0.01f, (float) given.q_scale());
        assertClose(integers.dequantize().sigmoid(), given.dequantize(), 0.01f);
    }
}

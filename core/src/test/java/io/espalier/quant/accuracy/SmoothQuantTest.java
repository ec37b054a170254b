package io.espalier.quant.accuracy;

import static io.espalier.Errors.messageOf;
import static io.espalier.TensorAssertions.assertClose;
import static io.espalier.quant.accuracy.SmoothQuant.Group.after;
import static io.espalier.quant.accuracy.SmoothQuant.Group.alone;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.FloatFunctional;
import io.espalier.nn.GELU;
import io.espalier.nn.LayerNorm;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.nio.file.Path;
import java.util.List;

/** A block as of a transformer, in which a few channels are a hundred times larger than others. */
class SmoothQuantTest {
    private static final int SIZE = 32;
    private static final List<SmoothQuant.Group> GROUPS =
            List.of(after("norm1", "query", "key"), after("norm2", "up"), alone("down"));

    private Block model;
    private List<Tensor> data;

    private static final class Block extends Module {
        final LayerNorm norm1 = add("norm1", new LayerNorm(SIZE));
        final Linear query = add("query", new Linear(SIZE, SIZE));
        final Linear key = add("key", new Linear(SIZE, SIZE));
        final LayerNorm norm2 = add("norm2", new LayerNorm(SIZE));
        final Linear up = add("up", new Linear(SIZE, 2 * SIZE));
        final GELU gelu = add("gelu", new GELU());
        final Linear down = add("down", new Linear(2 * SIZE, SIZE));
        final FloatFunctional product = add("product", new FloatFunctional());
        final FloatFunctional sum1 = add("sum1", new FloatFunctional());
        final FloatFunctional sum2 = add("sum2", new FloatFunctional());

        @Override
        protected Tensor forward(Tensor x) {
            Tensor y = norm1.call(x);
            Tensor attended = sum1.add(x, product.mul(query.call(y), key.call(y)));
            return sum2.add(attended, down.call(gelu.call(up.call(norm2.call(attended)))));
        }
    }

    @BeforeEach
    void outliers() {
        Libtorch.seed(5);
        model = new Block();
        model.eval();
        try (var guard = new NoGradGuard()) {
            for (String norm : new String[] {"norm1", "norm2"}) {
                for (int channel : new int[] {3, 17}) {
                    model.module(norm)
                            .parameter("weight")
                            .select(0, channel)
                            .fill_(new Scalar(100));
                }
            }
            for (String layer : new String[] {"query", "key", "up"}) {
                for (int channel : new int[] {3, 17}) {
                    model.module(layer)
                            .parameter("weight")
                            .select(1, channel)
                            .mul_(new Scalar(0.01));
                }
            }
        }
        data = List.of(Tensors.randn(8, 6, SIZE), Tensors.randn(8, 9, SIZE));
    }

    private float int8Error(Module original) {
        Module quantized = original.copy();
        quantized.qconfig(QConfig.forBackend("x86"));
        Quantization.prepare(quantized);
        data.forEach(quantized::call);
        Quantization.convert(quantized);
        Tensor expected = model.call(data.getFirst());
        return quantized.call(data.getFirst()).sub(expected).norm().item_float()
                / expected.norm().item_float();
    }

    @ParameterizedTest
    @DisplayName("smoothed, the network computes the same in float, and int8 keeps more of it")
    @ValueSource(doubles = {0.4, 0.5, 0.7})
    void smooths(double alpha) {
        Block smoothed = model.copy();

        SmoothQuant.apply(smoothed, GROUPS, data, alpha);

        for (Tensor x : data) {
            assertClose(model.call(x), smoothed.call(x), 1e-4f);
        }
        float before = int8Error(model);
        float after = int8Error(smoothed);
        assertTrue(after < before / 3, before + " became " + after);
    }

    @Test
    @DisplayName("activations and weights of a channel meet in the middle at one half")
    void balances() {
        SmoothQuant.apply(model, List.of(after("norm2", "up")), data);

        WeightedLayer up = WeightedLayer.at(model, "up", "see");
        float[] weights = Tensors.floats(up.inputRanges());
        float[] activations = new float[SIZE];
        try (var hook =
                up.layer()
                        .onInput((module, tensors) -> {
                            float[] x = Tensors.floats(tensors.getFirst());
                            for (int i = 0; i < x.length; i++) {
                                activations[i % SIZE] =
                                        Math.max(activations[i % SIZE], Math.abs(x[i]));
                            }
                            return tensors;
                        })) {
            data.forEach(model::call);
        }
        for (int c = 0; c < SIZE; c++) {
            assertEquals(1, activations[c] / weights[c], 1e-3, "channel " + c);
        }
    }

    @Test
    @DisplayName("convolutions, batch normalizations and ReLU between them take part")
    void convolutions() {
        var network =
                new Sequential(
                        new BatchNorm2d(4),
                        new Conv2d(4, 8, 3),
                        new ReLU(),
                        new Conv2d(8, 8, 3, o -> o.groups(4).bias(false)),
                        new Conv2d(8, 2, 1));
        network.eval();
        Tensor x = Tensors.randn(2, 4, 9, 9);
        Tensor expected = network.call(x);

        SmoothQuant.apply(
                network, List.of(after("0", "1"), after("1", "3"), alone("4")), List.of(x));

        assertClose(expected, network.call(x), 1e-4f);
        assertEquals(
                """
                Sequential(
                  (0): ChannelScale(shape=(8, 1, 1))
                  (1): Conv2d(8, 2, kernel_size=(1, 1), stride=(1, 1))
                )\
                """,
                network.module("4").toString());
    }

    @Test
    @DisplayName(
            "a smoothed model, converted, is saved and loads into one that has its ChannelScale")
    void savesAndLoads(@TempDir Path folder) {
        Block smoothed = model.copy();
        SmoothQuant.apply(smoothed, GROUPS, data);
        smoothed.qconfig(QConfig.forBackend("x86"));
        Quantization.prepare(smoothed);
        data.forEach(smoothed::call);
        Block converted = Quantization.converted(smoothed);
        Path file = folder.resolve("smoothed.safetensors");
        Quantization.save(converted, file);

        Block fresh = new Block();
        fresh.eval();
        fresh.replace(
                "down", new Sequential(new ChannelScale(2 * SIZE), fresh.module("down").alias()));
        Block loaded = Quantization.load(fresh, file);

        Tensor x = data.getFirst();
        assertTrue(Tensors.equal(converted.call(x), loaded.call(x)));
    }

    @Test
    @DisplayName("outputs of minus infinity, as a mask makes them, don't stand in the way")
    void infinities() {
        class Masked extends Module {
            final Block block = add("block", model);

            @Override
            protected Tensor forward(Tensor x) {
                Tensor y = block.call(x);
                return y.masked_fill(x.gt(new Scalar(1)), new Scalar(Double.NEGATIVE_INFINITY));
            }
        }
        var masked = new Masked();
        masked.eval();
        Tensor expected = masked.call(data.getFirst());

        SmoothQuant.apply(masked, List.of(after("block.norm2", "block.up")), data);

        assertTrue(torch.allclose(expected, masked.call(data.getFirst()), 1e-3, 1e-3, false));
    }

    @Test
    @DisplayName("a tensor that others read too can't be divided; the model is as it was")
    void refusesSharedTensor() {
        Tensor before = model.call(data.getFirst());

        assertTrue(
                messageOf(() -> SmoothQuant.apply(model, List.of(after("norm1", "query")), data))
                        .startsWith("Smoothed, the model would give something else: what is"));
        assertTrue(
                messageOf(() ->
                                SmoothQuant.apply(
                                        model, List.of(after("norm1", "query", "up")), data))
                        .startsWith("Can't smooth 'query' and 'up' together"));

        assertTrue(Tensors.equal(before, model.call(data.getFirst())));
    }

    @Test
    @DisplayName("wrong paths, channels, data and alpha are clear errors")
    void refusesWrongUse() {
        assertEquals(
                "'gelu', a GELU, can't take the division in; name the layer before it if there is"
                        + " nothing but ReLU, dropout or pooling between, or use Group.alone.",
                smoothing(after("gelu", "down")));
        assertEquals(
                "Can't smooth 'down', which takes 64 channels: 'norm2' gives 32.",
                smoothing(after("norm2", "down")));
        assertTrue(smoothing(after("norm1", "gelu")).startsWith("Can't smooth 'gelu', a GELU"));
        assertEquals(
                "'up' is named twice; each layer is smoothed once.",
                smoothing(after("norm2", "up"), alone("up")));
        assertEquals("SmoothQuant needs one group or more.", smoothing());
        assertEquals(
                "SmoothQuant needs calibration data.",
                messageOf(() -> SmoothQuant.apply(model, GROUPS, List.of())));
        assertTrue(
                messageOf(() -> SmoothQuant.apply(model, GROUPS, List.of(Tensors.zeros(2, SIZE))))
                        .contains("nothing but zeros"));
        assertEquals(
                "SmoothQuant needs an alpha of 0…1; got 1.5.",
                messageOf(() -> SmoothQuant.apply(model, GROUPS, data, 1.5)));
        assertThrows(EspalierException.class, () -> after("norm1"));
        model.qconfig(QConfig.forBackend("x86"));
        Quantization.prepare(model);
        assertEquals(
                "SmoothQuant changes the ranges that observers look for and comes before prepare;"
                        + " give it the float model.",
                smoothing(after("norm2", "up")));
    }

    private String smoothing(SmoothQuant.Group... groups) {
        return messageOf(() -> SmoothQuant.apply(model, List.of(groups), data));
    }
}

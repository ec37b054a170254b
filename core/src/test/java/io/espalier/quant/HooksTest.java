package io.espalier.quant;

import static io.espalier.Errors.messageOf;
import static io.espalier.TensorAssertions.assertClose;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Dropout;
import io.espalier.nn.Embedding;
import io.espalier.nn.Flatten;
import io.espalier.nn.GRU;
import io.espalier.nn.Hardswish;
import io.espalier.nn.Hook;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.ReLU6;
import io.espalier.nn.Sequential;
import io.espalier.quant.accuracy.Equalization;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Supplier;
import java.util.stream.Stream;

/** A hook on a layer goes on to what takes the layer's place, and sees floats as it did. */
class HooksTest {
    private static final Hook TENFOLD =
            (module, tensors) -> {
                List<Tensor> changed = new ArrayList<>(tensors);
                changed.set(0, tensors.getFirst().mul(new Scalar(10)));
                return changed;
            };

    @TempDir Path directory;

    @BeforeEach
    void seed() {
        Libtorch.seed(5);
    }

    /** A layer, of which only the first output is used, between two others. */
    private static final class Around extends Module {
        private final Linear in = add("in", new Linear(6, 6));
        private final Module layer;
        private final Linear out = add("out", new Linear(6, 4));

        Around(Module layer) {
            this.layer = add("layer", layer);
            eval();
        }

        @Override
        protected Tensor forward(Tensor x) {
            return out.call(layer.call(in.call(x)));
        }
    }

    private static void assertAlike(Tensor expected, Tensor actual) {
        float largest = expected.abs().max().item_float();
        float error = actual.sub(expected).abs().max().item_float();
        assertTrue(error < 0.1 * largest, "off by " + error + " of " + largest);
    }

    static Stream<Arguments> hooked() {
        List<Supplier<Module>> layers =
                List.of(
                        () -> new Linear(6, 6),
                        ReLU::new,
                        ReLU6::new,
                        () -> new Dropout(0.5),
                        Hardswish::new,
                        () -> new GRU(6, 6));
        return Arrays.stream(EveryWay.values())
                .flatMap(way -> layers.stream().map(layer -> Arguments.of(way, layer.get())));
    }

    @ParameterizedTest(name = "{0}: {1}")
    @MethodSource("hooked")
    @DisplayName("Hooks that change what goes in and comes out do so in the quantized model")
    void hooksStay(EveryWay way, Module layer) {
        Around model = new Around(layer);
        Tensor x = Tensors.randn(16, 6);
        model.layer.onInput(TENFOLD);
        model.layer.onOutput(TENFOLD);
        Tensor expected = model.call(x).detach();

        assertAlike(expected, way.quantized(model, x).call(x));
    }

    @ParameterizedTest
    @EnumSource(EveryWay.class)
    @DisplayName("A hook that looks on sees floats at each call, and may be taken off")
    void looksOn(EveryWay way) {
        Around model = new Around(new Linear(6, 6));
        Tensor x = Tensors.randn(16, 6);
        List<float[]> seen = new ArrayList<>();
        Hook.Registration registration =
                model.layer.onOutput((module, tensors) -> {
                    seen.add(Tensors.floats(tensors.getFirst()));
                    return tensors;
                });
        Tensor expected = model.call(x).detach();
        Module quantized = way.quantized(model, x);
        float[] before = seen.getFirst();
        seen.clear();

        Tensor result = quantized.call(x);

        assertEquals(1, seen.size());
        assertAlike(Tensors.of(before, before.length), Tensors.of(seen.getFirst(), before.length));
        assertAlike(expected, result);
        registration.close();
        quantized.call(x);
        assertEquals(way == EveryWay.GRAPH ? 2 : 1, seen.size(), "a graph is a model of its own");
    }

    @Test
    @DisplayName("What a hook leaves as it is stays integers; what it changes in place counts")
    void changesInPlace() {
        Around model = new Around(new Linear(6, 6));
        Tensor x = Tensors.randn(16, 6);
        EveryWay.STATIC.quantized(model, x);
        List<Boolean> integers = new ArrayList<>();
        model.out
                .current()
                .onInput((module, tensors) -> {
                    integers.add(tensors.getFirst().is_quantized());
                    return tensors;
                });
        var looking = FloatHook.around((module, tensors) -> tensors);
        var zeroing =
                FloatHook.around((module, tensors) -> {
                    tensors.getFirst().zero_();
                    return tensors;
                });
        Tensor quantized = model.in.call(x);

        Tensor same = looking.apply(model, List.of(quantized)).getFirst();
        Tensor zeros = zeroing.apply(model, List.of(quantized)).getFirst();

        assertTrue(same.is_quantized());
        assertClose(quantized.dequantize(), same.dequantize(), 0);
        assertClose(torchZeros(quantized), zeros, 0);
        model.call(x);
        assertEquals(List.of(true), integers);
    }

    private static Tensor torchZeros(Tensor like) {
        return Tensors.zeros(Tensors.shape(like));
    }

    @Test
    @DisplayName("A hook on a table of vectors stays too")
    void tables() {
        for (EveryWay way : EveryWay.values()) {
            var model = new Sequential(new Embedding(5, 6), new Linear(6, 4));
            model.eval();
            model.get(0).onOutput(TENFOLD);
            Tensor words = Tensors.of(new long[] {1, 2, 4, 0}, 2, 2);
            Tensor expected = model.call(words).detach();

            assertAlike(expected, way.quantized(model, words).call(words));
        }
    }

    @Test
    @DisplayName("A quantized file read into a model with hooks computes with them")
    void savedModels() {
        Around original = new Around(new Linear(6, 6));
        original.layer.onInput(TENFOLD);
        original.layer.onOutput(TENFOLD);
        Tensor x = Tensors.randn(16, 6);
        Tensor expected = original.call(x).detach();
        Module model = original.copy();
        EveryWay.STATIC.quantized(model, x);
        Quantization.save(model, directory.resolve("hooked.safetensors"));

        Module loaded = Quantization.load(original, directory.resolve("hooked.safetensors"));

        assertAlike(expected, loaded.call(x));
        assertClose(model.call(x), loaded.call(x), 0);
    }

    @Test
    @DisplayName("A fused chain keeps what comes before its first layer and after its last")
    void fusedChains() {
        for (EveryWay way : List.of(EveryWay.STATIC, EveryWay.TRAINED)) {
            var model =
                    new Sequential(
                            new Conv2d(2, 3, 3),
                            new BatchNorm2d(3),
                            new ReLU(),
                            new Flatten(),
                            new Linear(12, 4));
            model.eval();
            model.get(0).onInput(TENFOLD);
            model.get(2).onOutput(TENFOLD);
            Tensor x = Tensors.randn(8, 2, 4, 4);
            Tensor expected = model.call(x).detach();
            if (way == EveryWay.STATIC) {
                Quantization.fuseModules(model, List.of("0", "1", "2"));
            } else {
                model.train();
                Quantization.fuseModulesQat(model, List.of("0", "1", "2"));
                model.eval();
            }
            assertClose(expected, model.call(x), 1e-4f);

            assertAlike(expected, way.quantized(model, x).call(x));
        }
    }

    @Test
    @DisplayName("A hook inside a chain keeps the chain from being fused or equalized")
    void hooksInsideChains() {
        var model = new Sequential(new Linear(6, 6), new ReLU(), new Linear(6, 4));
        model.eval();
        model.get(0).onOutput(TENFOLD);

        String fused = messageOf(() -> Quantization.fuseModules(model, List.of("0", "1")));
        String equalized = messageOf(() -> Equalization.apply(model, List.of("0", "2")));

        assertTrue(fused.contains("'0' has a hook on its output"), fused);
        assertTrue(equalized.contains("hook"), equalized);
        assertTrue(Quantization.fuse(model, Tensors.randn(4, 6)).isEmpty());
    }
}

package io.espalier.quant.accuracy;

import static io.espalier.Errors.messageOf;
import static io.espalier.TensorAssertions.assertClose;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.AdaptiveAvgPool2d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Flatten;
import io.espalier.nn.Linear;
import io.espalier.nn.Mask;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.nn.Sigmoid;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.quant.layer.PackedLayer;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.List;

/** A depthwise network whose channels have ranges from 1 to 1000: one scale can't serve them. */
class UnevenChannelsTest {
    private static final List<String> CHAIN = List.of("0", "2", "4", "8");

    private Sequential model;
    private Tensor x;

    @BeforeEach
    void uneven() {
        Libtorch.seed(17);
        model =
                new Sequential(
                        new Conv2d(3, 16, 1),
                        new ReLU(),
                        new Conv2d(16, 16, 3, o -> o.groups(16).padding(1)),
                        new ReLU(),
                        new Conv2d(16, 24, 1, o -> o.groups(2)),
                        new ReLU(),
                        new AdaptiveAvgPool2d(1),
                        new Flatten(),
                        new Linear(24, 5));
        model.eval();
        try (var guard = new NoGradGuard()) {
            for (int c = 0; c < 16; c++) {
                double factor = Math.pow(1000, c / 15.0);
                scale(model.get(0), c, factor);
                scale(model.get(2), c, 1 / factor);
            }
        }
        x = Tensors.randn(64, 3, 8, 8);
    }

    private static void scale(Module layer, int channel, double factor) {
        layer.parameter("weight").select(0, channel).mul_(new Scalar(factor));
        if (factor > 1) {
            layer.parameter("bias").select(0, channel).mul_(new Scalar(factor));
        }
    }

    /** How far the model is from the original when its weights have one scale each. */
    private static Sequential perTensor(Sequential original, Tensor x) {
        return perTensor(
                original, x, List.of(List.of("0", "1"), List.of("2", "3"), List.of("4", "5")));
    }

    private static Sequential perTensor(Sequential original, Tensor x, List<List<String>> fused) {
        Sequential model = original.copy();
        if (!fused.isEmpty()) {
            Quantization.fuseModules(model, fused);
        }
        model.qconfig(QConfig.forBackend("qnnpack"));
        Quantization.prepare(model);
        model.call(x);
        Quantization.convert(model);
        return model;
    }

    private static float noise(Tensor expected, Tensor actual) {
        return actual.sub(expected).norm().item_float() / expected.norm().item_float();
    }

    @Test
    @DisplayName("Equalized, the network computes the same, and per-tensor quantization keeps it")
    void equalizes() {
        Tensor expected = model.call(x);
        float before = noise(expected, perTensor(model, x).call(x));
        Sequential equalized = model.copy();

        Equalization.apply(equalized, CHAIN);

        assertClose(expected, equalized.call(x), 1e-3f);
        float after = noise(expected, perTensor(equalized, x).call(x));
        assertTrue(after < before / 4, before + " became " + after);
    }

    @Test
    @DisplayName("Chains are found by an example, fused or not, up to a result that is used twice")
    void findsChains() {
        assertEquals(List.of(CHAIN), Equalization.chains(model, x));
        Sequential fused = model.copy();
        Quantization.fuseModules(
                fused, List.of(List.of("0", "1"), List.of("2", "3"), List.of("4", "5")));
        assertEquals(List.of(List.of("0.0", "2.0", "4.0", "8")), Equalization.chains(fused, x));

        class Residual extends Module {
            final Conv2d first = add("first", new Conv2d(3, 3, 1));
            final ReLU relu = add("relu", new ReLU());
            final Conv2d second = add("second", new Conv2d(3, 3, 1));
            final Conv2d third = add("third", new Conv2d(3, 3, 1));

            @Override
            protected Tensor forward(Tensor input) {
                Tensor y = relu.call(first.call(input));
                return third.call(second.call(y)).add(y);
            }
        }
        assertEquals(List.of(List.of("second", "third")), Equalization.chains(new Residual(), x));
        assertEquals(
                List.of(),
                Equalization.chains(
                        new Sequential(new Linear(3, 8), new Sigmoid(), new Linear(8, 3)),
                        Tensors.randn(4, 3)));
    }

    @Test
    @DisplayName("A pruned layer keeps its mask, and the network computes the same")
    void equalizesPruned() {
        Module layer = model.get(4);
        Tensor mask = Tensors.rand(24, 8, 1, 1).gt(new Scalar(0.5)).to(x.scalar_type());
        layer.storeAs("weight", "weight_orig");
        layer.addBuffer("weight_mask", mask);
        layer.parametrize("weight", new Mask("weight"));
        Tensor expected = model.call(x);

        Equalization.apply(model, CHAIN);

        assertClose(expected, model.call(x), 1e-3f);
        assertTrue(Tensors.equal(mask, layer.buffer("weight_mask")));
        float[] ranges = Tensors.floats(WeightedLayer.at(model, "4", "see").inputRanges());
        float[] before = Tensors.floats(WeightedLayer.at(model, "2", "see").outputRanges());
        for (int c = 0; c < ranges.length; c++) {
            assertTrue(Math.abs(ranges[c] / before[c] - 1) < 1e-3, "channel " + c);
        }
    }

    @Test
    @DisplayName("Corrected biases bring the mean output back")
    void corrects() {
        Tensor expected = model.call(x);
        Sequential converted = perTensor(model, x);
        Sequential fused = model.copy();
        Quantization.fuseModules(
                fused, List.of(List.of("0", "1"), List.of("2", "3"), List.of("4", "5")));
        float before = shift(expected, converted.call(x));

        BiasCorrection.apply(fused, converted, List.of(x));

        float after = shift(expected, converted.call(x));
        assertTrue(after < 0.7 * before, before + " became " + after);
    }

    @Test
    @DisplayName("A layer that stands at two places is corrected once, and not equalized")
    void sharedLayer() {
        var layer = new Linear(6, 6);
        var twice = new Sequential(layer, layer);
        twice.eval();
        Tensor rows = Tensors.randn(64, 6);
        Sequential converted = perTensor(twice, rows, List.of());
        Tensor integers =
                ((PackedLayer) converted.get(0)).floatWeights().getOrDefault("weight", rows);
        Tensor error = integers.sub(layer.weight()).detach();
        Tensor mean = rows.add(layer.call(rows)).mean(new long[] {0}).mul(new Scalar(0.5));

        BiasCorrection.apply(twice, converted, List.of(rows));

        assertClose(
                layer.parameter("bias").sub(error.matmul(mean)),
                converted.get(0).buffer("bias"),
                1e-5f);
        assertTrue(
                messageOf(() -> Equalization.apply(twice, List.of("0", "1")))
                        .startsWith("Can't equalize '0': the same layer also stands at '1'"));
    }

    /** The distance of the mean outputs. */
    private static float shift(Tensor expected, Tensor actual) {
        return actual.sub(expected).mean(new long[] {0}).norm().item_float();
    }

    @Test
    @DisplayName("Layers that don't follow each other, and missing data, are clear errors")
    void refusesWrongUse() {
        assertTrue(
                messageOf(() -> Equalization.apply(model, List.of("0")))
                        .startsWith("Equalization needs two or more layers"));
        assertTrue(
                messageOf(() -> Equalization.apply(model, List.of("0", "8")))
                        .contains("the first gives 16 channels, the second takes 24"));
        assertTrue(
                messageOf(() -> Equalization.apply(model, List.of("0", "1")))
                        .startsWith("Can't equalize '1', a ReLU"));
        Sequential prepared = model.copy();
        prepared.qconfig(QConfig.forBackend("x86"));
        Quantization.prepare(prepared);
        assertTrue(
                messageOf(() -> Equalization.apply(prepared, CHAIN))
                        .startsWith("Equalization changes the ranges"));
        Sequential converted = perTensor(model, x);
        assertTrue(
                messageOf(() -> BiasCorrection.apply(model, converted, List.of()))
                        .contains("it got no batch"));
    }
}

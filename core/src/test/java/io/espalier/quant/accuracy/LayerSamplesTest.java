package io.espalier.quant.accuracy;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.Conv1d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Conv3d;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.PaddingMode;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.List;
import java.util.Random;

class LayerSamplesTest {
    private static float distance(Tensor expected, Tensor actual) {
        return actual.sub(expected).norm().item_float() / expected.norm().item_float();
    }

    @Test
    @DisplayName("convolutions of every kind are seen as the matrix products that they are")
    void samplesEveryKind() {
        List<Module> layers =
                List.of(
                        new Conv1d(4, 6, 3, o -> o.groups(2).padding(1).stride(2)),
                        new Conv2d(4, 6, new long[] {3, 2}, o -> o.dilation(2, 1).stride(1, 2)),
                        new Conv2d(4, 4, 3, o -> o.padding(2).paddingMode(PaddingMode.REFLECT)),
                        new Conv3d(4, 2, 2, o -> o.padding(1).bias(false)),
                        new Linear(7, 3));
        List<Tensor> inputs =
                List.of(
                        Tensors.randn(2, 4, 9),
                        Tensors.randn(2, 4, 8, 7),
                        Tensors.randn(4, 6, 6), // one image without a batch
                        Tensors.randn(2, 4, 3, 4, 5),
                        Tensors.randn(3, 2, 7));
        for (int i = 0; i < layers.size(); i++) {
            Module layer = layers.get(i);
            Tensor input = inputs.get(i);
            Tensor output = layer.call(input);
            WeightedLayer weighted = WeightedLayer.of("", layer).orElseThrow();
            var samples = new LayerSamples(weighted, 10_000);

            samples.add(input, input, 10_000, new Random(1));

            Tensor expected =
                    output.movedim(output.dim() - 1 - weighted.spatialDimensions(), -1)
                            .reshape(-1, weighted.outChannels());
            Tensor found = samples.targets().transpose(0, 1).reshape(-1, weighted.outChannels());
            if (layer.hasParameter("bias")) {
                found = found.add(layer.value("bias"));
            }
            assertEquals(expected.size(0), samples.count());
            assertTrue(distance(expected, found) < 1e-5f, layer.toString());
        }
    }
}

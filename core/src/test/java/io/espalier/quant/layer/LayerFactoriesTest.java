package io.espalier.quant.layer;

import static io.espalier.Errors.messageOf;
import static io.espalier.TensorAssertions.assertClose;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.espalier.RandomTensor;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Embedding;
import io.espalier.nn.Flatten;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.quant.layer.QuantizedLayer.Range;
import io.espalier.quant.observer.MinMaxObserver;
import io.espalier.quant.observer.PerChannelMinMaxObserver;
import io.espalier.quant.observer.Qscheme;
import io.espalier.quant.observer.QuantizedType;
import io.espalier.tensor.Engine;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.nio.file.Path;
import java.util.Map;

@DisplayName("A layer on int8 kernels, made of a float one")
class LayerFactoriesTest {
    private static final Packing PACKING =
            new Packing(
                    PerChannelMinMaxObserver.with()
                            .dtype(QuantizedType.QINT8)
                            .qscheme(Qscheme.PER_CHANNEL_SYMMETRIC),
                    Engine.FBGEMM);

    @BeforeEach
    void seed() {
        Libtorch.seed(9);
    }

    private static Range rangeOf(Tensor x) {
        var observer = MinMaxObserver.with().make();
        observer.call(x);
        return Range.of("x", observer.quantizationParameters());
    }

    @Test
    @DisplayName("takes floats by the range of its input, and gives integers of that of its output")
    void packed() {
        for (Module layer : new Module[] {new Linear(8, 4), new Conv2d(2, 3, 3)}) {
            Tensor x =
                    layer instanceof Linear
                            ? RandomTensor.of(5, 6, 8)
                            : RandomTensor.of(6, 2, 2, 7, 7);
            Tensor y = layer.call(x).relu();
            PackedLayer made = PackedLayer.of("here", layer, true, PACKING, rangeOf(y), rangeOf(x));
            Tensor integers = made.call(x);
            assertArrayEquals(Tensors.shape(y), Tensors.shape(integers));
            assertClose(y, integers.dequantize(), 0.1f);
            Tensor weight = made.floatWeights().values().iterator().next();
            assertClose(layer.value("weight"), weight, 0.01f);
        }
    }

    @Test
    @DisplayName("is refused where there is no kernel, in the name of its place")
    void refused() {
        var range = new Range(0.1f, 0);
        assertEquals(
                "No int8 kernel for the ReLU() at 'here'.",
                messageOf(() -> PackedLayer.of("here", new ReLU(), false, PACKING, range, null)));
        assertEquals(
                "No dynamic kernel for the ReLU() at 'here'.",
                messageOf(() -> LayerKinds.of(ReLU.class).dynamic(placed(new ReLU()))));
        assertEquals(
                "No quantization-aware training for Flatten(start_dim=1, end_dim=-1).",
                messageOf(() ->
                        LayerKinds.of(Flatten.class)
                                .trained(placed(new Flatten()), MinMaxObserver.with().make())));
        assertEquals(
                "'here' is a Linear(in_features=2, out_features=3, bias=True) and no table of"
                        + " vectors.",
                messageOf(() -> QuantizedTable.of("here", new Linear(2, 3), PACKING.weight())));
        var path = Path.of("file");
        var tensors = Map.of("scale", Tensors.of(1f), "zero_point", Tensors.of(new long[] {0}, 1));
        var description = Map.of("type", "QuantizedOperation");
        assertEquals(
                "file describes the layer at 'here' in a form that can't be read: there is no int8"
                        + " kernel for Embedding(2, 3).",
                messageOf(() ->
                        SavedLayers.restore(
                                path, "here", new Embedding(2, 3), description, tensors)));
    }

    private static PlacedLayer placed(Module layer) {
        return new PlacedLayer("here", layer, MinMaxObserver.with(), PACKING, PACKING.weight());
    }

    @Test
    @DisplayName("has one scale for a transposed convolution's weight, whatever it is asked for")
    void transposed() {
        Packing one = PACKING.transposed(Engine.QNNPACK);
        assertEquals(Engine.QNNPACK, one.engine());
        assertEquals(Qscheme.PER_TENSOR_SYMMETRIC, one.weight().make().qscheme());
        assertEquals(QuantizedType.QINT8, one.weight().make().dtype());
    }
}

package io.espalier.quant.layer;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.graph.GraphModule;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Hardswish;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.List;

@DisplayName("Integers of pictures")
class ChannelsLastTest {
    @BeforeEach
    void seed() {
        Libtorch.seed(5);
    }

    private static Tensor integers(Tensor x) {
        return Tensors.integers(QuantizedLayer.quantize(x, 0.02, 100));
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5})
    @DisplayName("keep their values when planes are interleaved")
    void keepsValues(long channels) {
        Tensor planes = integers(Tensors.randn(2, channels, 5, 7));
        Tensor part = integers(Tensors.randn(4, channels, 5, 7)).narrow(0, 1, 2);
        Tensor turned = integers(Tensors.randn(2, channels, 7, 5)).transpose(2, 3);

        for (Tensor x : List.of(planes, part, turned)) {
            Tensor last = ChannelsLast.of(x);

            assertTrue(last.is_contiguous(torch.MemoryFormat.ChannelsLast));
            assertArrayEquals(new long[] {2, channels, 5, 7}, Tensors.shape(last));
            assertTrue(last.equal(x));
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"x86", "onednn", "fbgemm", "qnnpack"})
    @DisplayName("give the same through a convolution, whichever layout they come in")
    void layouts(String backend) {
        Sequential model = new Sequential(new Conv2d(3, 4, 3), new ReLU());
        model.eval();
        model.qconfig(QConfig.forBackend(backend));
        Tensor x = Tensors.randn(2, 3, 9, 11);
        Quantization.prepare(model);
        model.call(x);
        Quantization.convert(model);

        Tensor planes = model.call(x);
        Tensor last = model.call(x.contiguous(torch.MemoryFormat.ChannelsLast));

        assertTrue(planes.equal(last));
    }

    @ParameterizedTest
    @ValueSource(strings = {"x86", "onednn"})
    @DisplayName("of another size than the first go through the same graph")
    void otherSizes(String backend) {
        var model =
                new Sequential(
                        new Conv2d(3, 16, 3),
                        new Hardswish(),
                        new Conv2d(16, 8, 3, o -> o.stride(2)));
        model.eval();
        model.qconfig(QConfig.forBackend(backend));
        Tensor small = Tensors.randn(2, 3, 9, 9);
        Tensor large = Tensors.randn(5, 3, 40, 23);
        GraphModule first = Quantization.quantize(model, small, List.of(small, large));
        GraphModule second = first.copy();

        Tensor expectedSmall = first.call(small);
        Tensor expectedLarge = second.call(large);

        assertTrue(expectedLarge.equal(first.call(large)));
        assertTrue(expectedSmall.equal(second.call(small)));
    }
}

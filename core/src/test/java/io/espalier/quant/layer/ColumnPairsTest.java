package io.espalier.quant.layer;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.Conv2d;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.List;
import java.util.Map;
import java.util.Random;

@DisplayName("Two columns that are computed at once")
class ColumnPairsTest {
    @BeforeEach
    void seed() {
        Libtorch.seed(6);
    }

    private static Module quantized(String backend, Conv2d convolution, Tensor x) {
        var model = new Sequential(convolution, new ReLU());
        model.eval();
        model.qconfig(QConfig.forBackend(backend));
        return Quantization.quantize(model, x, List.of(x));
    }

    /** Each picture alone is too small for pairs. */
    private static Tensor oneByOne(Module model, Tensor pictures) {
        var each = new TensorVector();
        for (long n = 0; n < pictures.size(0); n++) {
            each.push_back(model.call(pictures.narrow(0, n, 1)));
        }
        return torch.cat(each, 0);
    }

    @ParameterizedTest
    @ValueSource(strings = {"x86", "onednn"})
    @DisplayName("are what each is alone, for any window, stride, padding and number of outputs")
    void asAlone(String backend) {
        var random = new Random(8);
        int paired = 0;
        for (int i = 0; i < 20; i++) {
            try (var scope = new PointerScope()) {
                long outputs = 1L + random.nextInt(40);
                long channels = 1L + random.nextInt(5);
                long[] window = {1 + random.nextInt(5), 2 + random.nextInt(4)};
                long[] stride = {1 + random.nextInt(2), 1 + random.nextInt(3)};
                long[] padding = {random.nextInt(2), random.nextInt(2)};
                boolean bias = random.nextBoolean();
                var convolution =
                        new Conv2d(
                                channels,
                                outputs,
                                window,
                                o -> o.stride(stride).padding(padding).bias(bias));
                Tensor x =
                        Tensors.randn(12, channels, 40 + random.nextInt(9), 40 + random.nextInt(9));
                Module model = quantized(backend, convolution, x);

                Tensor together = model.call(x);

                assertTrue(together.equal(oneByOne(model, x)), model.toString());
                if (ColumnPairs.fit(Tensors.shape(together)) && outputs <= 8) {
                    paired++;
                }
            }
        }
        assertTrue(paired > 0);
    }

    @Test
    @DisplayName("follow a state that is loaded after a call")
    void loadedState() {
        Tensor x = Tensors.randn(12, 1, 40, 40);
        Module first = quantized("x86", new Conv2d(1, 6, 3), x);
        Module second = quantized("x86", new Conv2d(1, 6, 3), x);
        Tensor before = first.call(x);
        Map<String, Tensor> state = second.stateDict();

        first.loadStateDict(state);

        assertFalse(before.equal(second.call(x)));
        assertTrue(first.call(x).equal(second.call(x)));
    }
}

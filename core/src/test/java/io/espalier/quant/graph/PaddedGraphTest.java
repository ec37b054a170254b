package io.espalier.quant.graph;

import static io.espalier.quant.graph.GraphNetworks.decibels;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.graph.GraphModule;
import io.espalier.nn.AvgPool2d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Convolution;
import io.espalier.nn.FloatFunctional;
import io.espalier.nn.Hardswish;
import io.espalier.nn.MaxPool2d;
import io.espalier.nn.Module;
import io.espalier.nn.PaddingMode;
import io.espalier.nn.Sequential;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.List;
import java.util.function.UnaryOperator;

@DisplayName("A quantized graph whose convolutions are padded before their kernels")
class PaddedGraphTest {
    /** The input added to an activated convolution of it that keeps its size. */
    private static final class Residual extends Module {
        private final Sequential body;
        private final FloatFunctional sum = add("sum", new FloatFunctional());

        Residual(long kernel, UnaryOperator<Convolution.Options> options) {
            body =
                    add(
                            "body",
                            new Sequential(
                                    new Conv2d(3, 3, 1),
                                    new Hardswish(),
                                    new Conv2d(3, 3, kernel, options)));
        }

        @Override
        protected Tensor forward(Tensor x) {
            return sum.addRelu(x, body.call(x));
        }
    }

    @BeforeEach
    void seed() {
        Libtorch.seed(8);
    }

    private static void assertClose(Module model) {
        model.eval();
        Tensor x = Tensors.randn(4, 3, 9, 9);
        GraphModule quantized = Quantization.quantize(model, x, List.of(x));
        Tensor expected = model.call(x);
        Tensor actual = quantized.call(x);

        assertArrayEquals(Tensors.shape(expected), Tensors.shape(actual));
        assertTrue(decibels(expected, actual) > 25, quantized.toString());
    }

    @ParameterizedTest
    @ValueSource(strings = {"x86", "onednn", "fbgemm", "qnnpack"})
    @DisplayName("is close to the float one where windows lie in the padding alone")
    void alone(String engine) {
        Module model =
                new Sequential(
                        new Conv2d(3, 6, 1),
                        new Hardswish(),
                        new Conv2d(6, 4, 1, with -> with.padding(2)),
                        new Hardswish(),
                        new Conv2d(4, 2, 3, with -> with.padding(4)));
        model.qconfig(QConfig.forBackend(engine));
        assertClose(model);
    }

    @ParameterizedTest
    @ValueSource(strings = {"x86", "onednn", "fbgemm", "qnnpack"})
    @DisplayName("is close to the float one where the input is mirrored at its edge, and added")
    void mirrored(String engine) {
        Module model = new Residual(3, with -> with.padding(1).paddingMode(PaddingMode.REFLECT));
        model.qconfig(QConfig.forBackend(engine));
        assertClose(model);
    }

    @ParameterizedTest
    @ValueSource(strings = {"x86", "onednn", "fbgemm", "qnnpack"})
    @DisplayName("is close to the float one where the paddings before and after the input differ")
    void uneven(String engine) {
        long[] before = {0, 1};
        long[] after = {2, 0};
        Module model =
                new Sequential(
                        new Conv2d(3, 6, 3, with -> with.padding(before, after)),
                        new Hardswish(),
                        new MaxPool2d(3, with -> with.stride(2).padding(before, after)),
                        new Conv2d(6, 4, 3, with -> with.padding(after, before)),
                        new AvgPool2d(
                                3,
                                with ->
                                        with.stride(1)
                                                .padding(before, after)
                                                .countIncludePad(false)),
                        new Conv2d(4, 2, 1));
        model.qconfig(QConfig.forBackend(engine));
        assertClose(model);
    }
}

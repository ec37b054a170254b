package io.espalier.quant;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.graph.GraphModule;
import io.espalier.nn.AvgPool2d;
import io.espalier.nn.Conv1d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Conv3d;
import io.espalier.nn.ConvTranspose2d;
import io.espalier.nn.FloatFunctional;
import io.espalier.nn.GroupNorm;
import io.espalier.nn.Hardswish;
import io.espalier.nn.LayerNorm;
import io.espalier.nn.Linear;
import io.espalier.nn.MaxPool1d;
import io.espalier.nn.Module;
import io.espalier.nn.PReLU;
import io.espalier.nn.Sequential;
import io.espalier.nn.Upsample;
import io.espalier.quant.graph.GraphNetworks;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.List;
import java.util.stream.Stream;

@DisplayName("A converted model, called with what its calibration did not show")
class UnusualInputsTest {
    @BeforeEach
    void seed() {
        Libtorch.seed(5);
    }

    static Module converted(String backend, Tensor x, Module... layers) {
        var model = new Sequential(layers);
        model.eval();
        model.qconfig(QConfig.forBackend(backend));
        Quantization.prepare(model);
        model.call(x);
        Quantization.convert(model);
        return model;
    }

    @ParameterizedTest
    @ValueSource(strings = {"fbgemm", "x86", "onednn", "qnnpack"})
    @DisplayName("refuses pictures smaller than a kernel, which engines read beyond or die of")
    void smallerThanKernel(String backend) {
        Module flat =
                converted(backend, Tensors.randn(2, 4, 20), new Conv1d(4, 8, 5, o -> o.stride(3)));
        Module model =
                converted(
                        backend, Tensors.randn(2, 4, 8, 8), new Conv2d(4, 8, 3, o -> o.stride(2)));
        Module deep =
                converted(
                        backend,
                        Tensors.randn(2, 4, 6, 6, 6),
                        new Conv3d(4, 8, 3, o -> o.stride(2)));

        for (Tensor small :
                List.of(
                        Tensors.randn(2, 4, 2, 2),
                        Tensors.randn(2, 4, 2, 8),
                        Tensors.randn(2, 4, 0, 8),
                        Tensors.randn(0, 4, 1, 1))) {
            assertTrue(
                    messageOf(() -> model.call(small))
                            .contains("with its padding, is smaller than the kernel, 3."));
        }
        for (long length : new long[] {4, 3, 0}) {
            assertTrue(
                    messageOf(() -> flat.call(Tensors.randn(2, 4, length)))
                            .contains("smaller than the kernel, 5."));
        }
        assertTrue(
                messageOf(() -> deep.call(Tensors.randn(2, 4, 2, 2, 2)))
                        .contains("smaller than the kernel, 3."));
    }

    @ParameterizedTest
    @ValueSource(strings = {"fbgemm", "x86", "onednn", "qnnpack"})
    @DisplayName("keeps the shape of batches without examples, and takes one example alone")
    void emptyAndAlone(String backend) {
        Module model =
                converted(backend, Tensors.randn(9, 6, 5), new Linear(5, 3), new Linear(3, 2));
        Tensor one = Tensors.randn(1, 5);

        assertArrayEquals(new long[] {0, 6, 2}, Tensors.shape(model.call(Tensors.randn(0, 6, 5))));
        assertArrayEquals(new long[] {2, 0, 2}, Tensors.shape(model.call(Tensors.randn(2, 0, 5))));
        assertTrue(Tensors.equal(model.call(one).squeeze(0), model.call(one.squeeze(0))));
    }

    @Test
    @DisplayName("refuses tensors that are not of floats")
    void integers() {
        Module model = converted("x86", Tensors.randn(4, 5), new Linear(5, 3));

        for (ScalarType type : List.of(ScalarType.Long, ScalarType.Bool, ScalarType.Byte)) {
            assertEquals(
                    "A quantized layer takes floating-point tensors; it was handed one of "
                            + type
                            + " and shape [2, 5].",
                    messageOf(() -> model.call(Tensors.zeros(type, 2, 5))));
        }
    }

    @Test
    @DisplayName("names the layer that can't take its input, without libtorch's source files")
    void errorsNameTheLayer() {
        Module group =
                converted("x86", Tensors.randn(2, 3, 4), new Linear(4, 4), new GroupNorm(1, 3));
        Module prelu = converted("x86", Tensors.randn(2, 3, 4), new Linear(4, 4), new PReLU(3));
        Module layerNorm =
                converted("x86", Tensors.randn(2, 4, 4), new Conv1d(4, 4, 1), new LayerNorm(4));

        assertEquals(
                "QuantizedGroupNorm(1, 3, eps=1e-05, affine=True) on shape [2, 2, 4]: the input"
                        + " must have 3 channels.",
                messageOf(() -> group.call(Tensors.randn(2, 2, 4))));
        assertEquals(
                "QuantizedPReLU() on shape [3, 4]: the input must have 3 channels.",
                messageOf(() -> prelu.call(Tensors.randn(3, 4))));
        assertTrue(
                messageOf(() -> layerNorm.call(Tensors.randn(2, 4, 3)))
                        .startsWith(
                                "QuantizedLayerNorm((4,), eps=1e-05, elementwise_affine=True) on"
                                        + " shape [2, 4, 3]: quantized::layer_norm: Given"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"fbgemm", "qnnpack"})
    @DisplayName("refuses what would come out empty, as the float layers do")
    void emptyOutputs(String backend) {
        Tensor x = Tensors.randn(2, 4, 12, 12);
        Module pooled = converted(backend, x, new Conv2d(4, 4, 1), new AvgPool2d(3));
        Module smaller = converted(backend, x, new Conv2d(4, 4, 1), Upsample.byFactor(0.1));
        Module transposed = converted(backend, x, new ConvTranspose2d(4, 4, 3, o -> o.padding(2)));

        assertTrue(
                messageOf(() -> pooled.call(Tensors.randn(2, 4, 2, 2)))
                        .startsWith("AvgPool2d(kernel_size=3, stride=3, padding=0) on shape"));
        assertEquals(
                "Upsample(scale_factor=0.1, mode='nearest') on shape [2, 4, 2, 2]: the output"
                        + " would have the size [0, 0]; each must be 1 or more.",
                messageOf(() -> smaller.call(Tensors.randn(2, 4, 2, 2))));
        assertTrue(
                messageOf(() -> transposed.call(Tensors.randn(2, 4, 2, 2)))
                        .endsWith("the input is too small: the output would be empty."));
        Module unpadded = converted(backend, x, new ConvTranspose2d(4, 4, 3));
        assertTrue(
                messageOf(() -> unpadded.call(Tensors.randn(2, 4, 0, 2)))
                        .endsWith("the input is too small: the output would be empty."));
    }

    static Stream<Module> upsamplings() {
        return Stream.of(
                Upsample.byFactor(2),
                Upsample.byFactor(new double[] {1.5}, o -> o.mode(Upsample.Mode.LINEAR)),
                Upsample.toSize(new long[] {33}, o -> o.mode(Upsample.Mode.LINEAR)),
                Upsample.toSize(40));
    }

    @Test
    @DisplayName("upsamples sequences, which libtorch has no kernel for, as floats are")
    void upsamplesSequences() {
        upsamplings()
                .forEach(upsample -> {
                    Tensor x = Tensors.randn(2, 3, 16);
                    Module model = converted("x86", x, new Conv1d(3, 4, 1), upsample);
                    Tensor small = ((Sequential) model).get(0).call(x);

                    Tensor expected = upsample.call(small.dequantize());

                    double step = small.q_scale();
                    double worst = model.call(x).sub(expected).abs().max().item_double();
                    assertTrue(worst <= step * 0.51, upsample + ": " + worst / step);
                });
    }

    @Test
    @DisplayName("upsamples by a factor whatever the size, also by the graph")
    void upsamplesByFactor() {
        for (Upsample.Mode mode :
                List.of(Upsample.Mode.NEAREST, Upsample.Mode.BILINEAR, Upsample.Mode.BICUBIC)) {
            var model =
                    new Sequential(
                            new Conv2d(3, 4, 3),
                            Upsample.byFactor(new double[] {2, 1.5}, o -> o.mode(mode)),
                            new Conv2d(4, 2, 3));
            model.eval();
            Tensor x = Tensors.randn(2, 3, 12, 12);

            Module graph = Quantization.quantize(model, x, List.of(x));

            Tensor other = Tensors.randn(1, 3, 17, 9);
            assertArrayEquals(Tensors.shape(model.call(other)), Tensors.shape(graph.call(other)));
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"fbgemm", "x86", "onednn", "qnnpack"})
    @DisplayName("by the graph gives an empty batch the shape that it has in float")
    void emptyBatchByGraph(String backend) {
        for (Module model :
                List.of(
                        new Sequential(new Conv1d(4, 8, 3), new Hardswish(), new MaxPool1d(2)),
                        new Sequential(new Linear(20, 8), new Hardswish(), new Linear(8, 3)))) {
            model.eval();
            model.qconfig(QConfig.forBackend(backend));
            Tensor x = Tensors.randn(2, 4, 20);
            Tensor none = Tensors.randn(0, 4, 20);
            Module quantized = Quantization.quantize(model, x, List.of(x));

            assertArrayEquals(Tensors.shape(model.call(none)), Tensors.shape(quantized.call(none)));
        }
    }

    @Test
    @DisplayName("by the graph repeats pixels in integers, whatever the picture's size")
    void repeatsInIntegers() {
        Module model =
                new Sequential(new Conv2d(3, 4, 3), Upsample.byFactor(2), new Conv2d(4, 2, 3));
        model.eval();
        Tensor x = Tensors.randn(2, 3, 8, 8);
        Tensor other = Tensors.randn(1, 3, 11, 9);
        GraphModule quantized = Quantization.quantize(model, x, List.of(x, other));

        assertFalse(quantized.graph().toString().contains("dequantize"));
        assertTrue(GraphNetworks.decibels(model.call(other), quantized.call(other)) > 25);
    }

    @ParameterizedTest
    @ValueSource(strings = {"fbgemm", "x86", "onednn", "qnnpack"})
    @DisplayName("by the graph computes of one picture alone what it computes of a batch of it")
    void aloneByGraph(String backend) {
        Module model = new Residual();
        model.eval();
        model.qconfig(QConfig.forBackend(backend));
        Tensor x = Tensors.randn(4, 3, 8, 8);
        Module quantized = Quantization.quantize(model, x, List.of(x));
        Tensor one = x.select(0, 2);

        assertTrue(Tensors.equal(quantized.call(x).select(0, 2), quantized.call(one)));
        Module traced = Quantization.quantize(model, one, List.of(one));
        assertTrue(GraphNetworks.decibels(model.call(one), traced.call(one)) > 25);
    }

    private static final class Residual extends Module {
        private final Conv2d first = add("first", new Conv2d(3, 6, 3, with -> with.padding(1)));
        private final Hardswish activation = add("activation", new Hardswish());
        private final Conv2d second = add("second", new Conv2d(6, 6, 1));
        private final FloatFunctional sum = add("sum", new FloatFunctional());

        @Override
        protected Tensor forward(Tensor x) {
            Tensor y = activation.call(first.call(x));
            return sum.addRelu(y, second.call(y));
        }
    }
}

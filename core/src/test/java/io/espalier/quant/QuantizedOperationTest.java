package io.espalier.quant;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.TrainedModels;
import io.espalier.nn.AvgPool2d;
import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.ConvTranspose2d;
import io.espalier.nn.Dropout;
import io.espalier.nn.ELU;
import io.espalier.nn.GELU;
import io.espalier.nn.GroupNorm;
import io.espalier.nn.Hardsigmoid;
import io.espalier.nn.Hardswish;
import io.espalier.nn.InstanceNorm1d;
import io.espalier.nn.InstanceNorm2d;
import io.espalier.nn.LayerNorm;
import io.espalier.nn.LeakyReLU;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU6;
import io.espalier.nn.Sequential;
import io.espalier.nn.Sigmoid;
import io.espalier.nn.Softmax;
import io.espalier.nn.Tanh;
import io.espalier.nn.Upsample;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

import java.nio.file.Path;
import java.util.stream.Stream;

class QuantizedOperationTest {
    @TempDir Path directory;

    private static Arguments of(Module layer, String printed) {
        return Arguments.of(printed, layer);
    }

    static Stream<Arguments> layers() {
        return Stream.of(
                of(new Hardswish(), "QuantizedHardswish()"),
                of(new Sigmoid(), "Sigmoid()"),
                of(new Softmax(1), "QuantizedSoftmax(dim=1)"),
                of(new LeakyReLU(0.2), "QuantizedLeakyReLU(negative_slope=0.2)"),
                of(new ELU(), "QuantizedELU(alpha=1.0)"),
                of(
                        new LayerNorm(6),
                        "QuantizedLayerNorm((6,), eps=1e-05, elementwise_affine=True)"),
                of(new GroupNorm(2, 4), "QuantizedGroupNorm(2, 4, eps=1e-05, affine=True)"),
                of(
                        new InstanceNorm2d(4, o -> o.affine(true)),
                        "QuantizedInstanceNorm2d(4, eps=1e-05, momentum=0.1, affine=True,"
                                + " bias=True, track_running_stats=False)"),
                of(
                        new BatchNorm2d(4),
                        "QuantizedBatchNorm2d(4, eps=1e-05, momentum=0.1, affine=True,"
                                + " bias=True, track_running_stats=True)"),
                of(new ReLU6(), "QuantizedReLU6()"),
                of(new Tanh(), "Tanh()"),
                of(new Hardsigmoid(), "Hardsigmoid()"),
                of(new Dropout(0.3), "QuantizedDropout(p=0.3, inplace=False)"),
                of(new AvgPool2d(2), "AvgPool2d(kernel_size=2, stride=2, padding=0)"),
                of(new GELU(), "GELU(approximate='none')"));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("layers")
    @DisplayName("A layer between two convolutions computes nearly the same in a converted model")
    void converts(String printed, Module layer) {
        Libtorch.seed(7);
        Tensor x = Tensors.randn(8, 3, 6, 6);
        Sequential model =
                TrainedModels.trained(
                        new Sequential(
                                new Conv2d(3, 4, 3, o -> o.padding(1)), layer, new Conv2d(4, 2, 1)),
                        x);
        Tensor expected = model.call(x);
        Sequential original = model.copy();
        model.qconfig(QConfig.forBackend("onednn"));
        Quantization.prepare(model);
        model.call(x);
        Quantization.convert(model);

        Tensor y = model.call(x);

        float noise = y.sub(expected).norm().item_float() / expected.norm().item_float();
        assertTrue(noise > 0 && noise < 0.03, "noise " + noise);
        assertEquals(printed, model.get(1).toString());
        Path file = directory.resolve("model.safetensors");
        Quantization.save(model, file);
        Sequential back = Quantization.load(original, file);
        assertTrue(Tensors.equal(y, back.call(x)));
        assertTrue(Tensors.equal(y, model.<Sequential>copy().call(x)));
    }

    @Test
    @DisplayName("An instance normalization in integers refuses one example without a batch")
    void instanceWithoutBatch() {
        var model = new Sequential(new Linear(4, 4), new InstanceNorm1d(3));
        model.eval();
        model.qconfig(QConfig.forBackend("x86"));
        Quantization.prepare(model);
        model.call(Tensors.randn(2, 3, 4));
        Quantization.convert(model);

        String message = messageOf(() -> model.call(Tensors.randn(3, 4)));
        assertTrue(message.contains("needs 3 dimensions, with a batch"), message);
    }

    @Test
    @DisplayName("Dropout drops nothing after conversion, in training mode too, unless left out")
    void dropout() {
        var model = new Sequential(new Linear(6, 6), new Dropout(0.9), new Dropout(0.5));
        model.get(2).qconfig(null);
        model.qconfig(QConfig.forBackend("x86"));
        Quantization.prepare(model);
        Tensor x = Tensors.randn(8, 6);
        model.call(x);
        Quantization.convert(model);

        assertTrue(model.get(1).isTraining());
        Tensor integers = model.get(0).call(x);
        Tensor passed = model.get(1).call(integers);
        assertTrue(Tensors.equal(integers.dequantize(), passed.dequantize()));
        assertEquals("Dropout(p=0.5, inplace=False)", model.get(2).toString());
    }

    @Test
    @DisplayName("A transposed convolution and upsampling run in integers")
    void upsamples() {
        Libtorch.seed(8);
        Sequential model =
                new Sequential(
                        new ConvTranspose2d(3, 4, 3, o -> o.stride(2)), Upsample.byFactor(2));
        model.eval();
        Tensor x = Tensors.randn(2, 3, 5, 5);
        Tensor expected = model.call(x);
        model.qconfig(QConfig.forBackend("qnnpack"));
        Quantization.prepare(model);
        model.call(x);
        Quantization.convert(model);
        float noise =
                model.call(x).sub(expected).norm().item_float() / expected.norm().item_float();
        assertTrue(noise < 0.03, "noise " + noise);
        assertTrue(model.toString().contains("(0): QuantizedConvTranspose2d(3, 4, kernel_size=(3"));
    }
}

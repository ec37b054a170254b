package io.espalier.quant;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.TrainedModels;
import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Flatten;
import io.espalier.nn.FloatFunctional;
import io.espalier.nn.Linear;
import io.espalier.nn.Mask;
import io.espalier.nn.MaxPool2d;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.quant.observer.Observer;
import io.espalier.tensor.Engine;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;

class StaticQuantizationTest {
    @TempDir Path directory;

    @BeforeEach
    void seed() {
        Libtorch.seed(3);
    }

    /** A small network of the usual layers, without stubs. */
    static Sequential network() {
        return TrainedModels.trained(
                new Sequential(
                        new Conv2d(1, 8, 3, o -> o.padding(1)),
                        new BatchNorm2d(8),
                        new ReLU(),
                        new MaxPool2d(2),
                        new Flatten(),
                        new Linear(8 * 4 * 4, 32),
                        new ReLU(),
                        new Linear(32, 4)),
                Tensors.randn(4, 1, 8, 8));
    }

    static Tensor batch() {
        return Tensors.randn(16, 1, 8, 8);
    }

    static void fuse(Module model) {
        Quantization.fuseModules(model, List.of(List.of("0", "1", "2"), List.of("5", "6")));
    }

    /** It after the usual steps. */
    static <M extends Module> M converted(M model, String backend) {
        fuse(model);
        model.qconfig(QConfig.forBackend(backend));
        Quantization.prepare(model);
        for (int i = 0; i < 4; i++) {
            model.call(batch());
        }
        Quantization.convert(model);
        return model;
    }

    private static float noise(Tensor expected, Tensor actual) {
        return actual.sub(expected).norm().item_float() / expected.norm().item_float();
    }

    @ParameterizedTest
    @ValueSource(strings = {"fbgemm", "x86", "qnnpack", "onednn"})
    @DisplayName(
            "A model without stubs takes and returns floats after conversion, near the original's")
    void convertsWithoutStubs(String backend) {
        Sequential model = network();
        Tensor x = batch();
        Tensor expected = model.call(x);

        converted(model, backend);

        Tensor y = model.call(x);
        assertEquals(ScalarType.Float, Tensors.type(y));
        assertTrue(noise(expected, y) < 0.05, "noise " + noise(expected, y));
        assertTrue(noise(expected, y) > 0, "nothing was quantized");
    }

    @Test
    @DisplayName("A converted model prints as PyTorch's")
    void prints() {
        Sequential model = converted(network(), "x86");
        assertEquals(
                """
                Sequential(
                  (0): QuantizedConvReLU2d(1, 8, kernel_size=(3, 3), stride=(1, 1), scale=#, zero_point=0, padding=(1, 1))
                  (1): Identity()
                  (2): Identity()
                  (3): MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)
                  (4): Flatten(start_dim=1, end_dim=-1)
                  (5): QuantizedLinearReLU(in_features=128, out_features=32, scale=#, zero_point=0, qscheme=torch.per_channel_affine)
                  (6): Identity()
                  (7): QuantizedLinear(in_features=32, out_features=4, scale=#, zero_point=#, qscheme=torch.per_channel_affine)
                )\
                """,
                model.toString()
                        .replaceAll("scale=[0-9.e-]+", "scale=#")
                        .replaceAll("zero_point=[1-9][0-9]*", "zero_point=#"));
    }

    @Test
    @DisplayName("Only the layer that is handed floats observes its input")
    void observesInputsWhereNeeded() {
        Sequential model = network();
        model.qconfig(QConfig.forBackend("x86"));
        fuse(model);
        Quantization.prepare(model);
        model.call(batch());
        List<String> inputs =
                model.namedModules().keySet().stream()
                        .filter(path -> path.endsWith(Observer.INPUT))
                        .toList();
        assertEquals(List.of("0." + Observer.INPUT), inputs);
    }

    @Test
    @DisplayName("A part without qconfig stays in float between quantized parts")
    void leavesPartsInFloat() {
        Sequential model = network();
        fuse(model);
        Tensor x = batch();
        Tensor expected = model.call(x);
        model.qconfig(QConfig.forBackend("x86"));
        model.module("5").qconfig(null);
        Quantization.prepare(model);
        model.call(x);
        Quantization.convert(model);
        assertTrue(model.module("5").toString().startsWith("LinearReLU("));
        assertTrue(noise(expected, model.call(x)) < 0.05);
    }

    /** {@code x + conv(x)}, then a product and a concatenation. */
    static final class Residual extends Module {
        final Conv2d conv = add("conv", new Conv2d(2, 2, 3, o -> o.padding(1)));
        final FloatFunctional sum = add("sum", new FloatFunctional());
        final FloatFunctional product = add("product", new FloatFunctional());
        final FloatFunctional both = add("both", new FloatFunctional());

        @Override
        protected Tensor forward(Tensor x) {
            Tensor y = conv.call(x);
            Tensor sums = sum.addRelu(y, x);
            return both.cat(List.of(sums, product.mul(sums, y)), 1);
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    @DisplayName("Arithmetic is quantized, also with a float operand, or left in float on request")
    void quantizesArithmetic(boolean all) {
        var model = new Residual();
        model.eval();
        Tensor x = Tensors.randn(2, 2, 6, 6);
        Tensor expected = model.call(x);
        Module original = model.copy();
        model.qconfig(QConfig.forBackend("x86"));
        if (!all) {
            model.module("product").qconfig(null);
        }
        Quantization.prepare(model);
        model.call(x);
        Quantization.convert(model);
        assertEquals(all, model.toString().contains("(product): QFunctional("));
        assertTrue(noise(expected, model.call(x)) < 0.05, "" + noise(expected, model.call(x)));
        Path file = directory.resolve("residual.safetensors");
        Quantization.save(model, file);
        assertTrue(Tensors.equal(model.call(x), Quantization.load(original, file).call(x)));
    }

    @Test
    @DisplayName("A function without an int8 kernel is named in the error, with what to do")
    void namesMissingKernels() {
        var model =
                new Module() {
                    final Linear fc = add("fc", new Linear(4, 4));

                    @Override
                    protected Tensor forward(Tensor x) {
                        return fc.call(x).exp();
                    }
                };
        model.eval();
        model.qconfig(QConfig.forBackend("x86"));
        Quantization.prepare(model);
        Tensor x = Tensors.randn(2, 4);
        model.call(x);
        Quantization.convert(model);
        String message = messageOf(() -> model.call(x));
        assertTrue(
                message.contains("aten::exp")
                        && message.contains(
                                "has no kernel for quantized tensors; put a DeQuantStub before"),
                message);
    }

    @Test
    @DisplayName("What pruning set to zero is an exact zero among the integers")
    void keepsZeros() {
        Sequential model = network();
        Tensor mask = Tensors.rand(32, 128).gt(new Scalar(0.8)).to(ScalarType.Float);
        Module layer = model.get(5);
        layer.storeAs("weight", "weight_orig");
        layer.addBuffer("weight_mask", mask);
        layer.parametrize("weight", new Mask("weight"));

        converted(model, "x86");

        long[] kept = Tensors.longs(mask);
        long[] integers = Tensors.longs(model.module("5").buffer("weight"));
        for (int i = 0; i < kept.length; i++) {
            assertTrue(kept[i] == 1 || integers[i] == 0, "weight " + i);
        }
    }

    @Test
    @DisplayName("Copies and eight threads give what one gives")
    void runsConcurrently() throws Exception {
        Sequential model = converted(network(), "x86");
        Sequential copy = model.copy();
        Tensor x = batch();
        float[] expected = Tensors.floats(model.call(x));
        Callable<float[]> work =
                () -> {
                    float[] last = new float[0];
                    for (int i = 0; i < 50; i++) {
                        try (var scope = new PointerScope()) {
                            last = Tensors.floats((i % 2 == 0 ? model : copy).call(x));
                        }
                    }
                    return last;
                };
        try (var threads = Executors.newFixedThreadPool(8)) {
            for (var result : threads.invokeAll(java.util.Collections.nCopies(8, work))) {
                assertArrayEquals(expected, result.get());
            }
        }
    }

    @Test
    @DisplayName("Steps out of order are clear errors")
    void refusesWrongOrder() {
        Sequential model = network();
        assertTrue(
                messageOf(() -> Quantization.convert(model))
                        .startsWith("Sequential is not prepared"));
        assertTrue(
                messageOf(() -> Quantization.prepare(model))
                        .startsWith("Nothing to prepare in Sequential: no layer"));
        model.qconfig(QConfig.forBackend("x86"));
        Quantization.prepare(model);
        assertTrue(
                messageOf(() -> Quantization.prepare(model))
                        .startsWith("The model is prepared already: '0'"));
        String uncalibrated = messageOf(() -> Quantization.convert(model));
        assertTrue(
                uncalibrated.contains("'0'") && uncalibrated.contains("has seen no data"),
                uncalibrated);
        assertTrue(model.get(0) instanceof Conv2d);
        var single = new Linear(2, 2);
        single.qconfig(QConfig.forBackend("x86"));
        assertTrue(
                messageOf(() -> Quantization.prepare(single)).contains("put it in a Sequential"));
    }

    @Test
    @DisplayName("The presets name their engines; an unknown backend lists those there are")
    void presets() {
        assertEquals(Engine.QNNPACK, QConfig.forBackend("qnnpack").engine());
        assertEquals(
                "No backend 'tpu'; there are: fbgemm, x86, qnnpack, onednn and, for"
                        + " inference, float16.",
                messageOf(() -> QConfig.forBackend("tpu")));
    }
}

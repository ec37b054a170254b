package io.espalier.quant;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.graph.GraphModule;
import io.espalier.nn.AdaptiveAvgPool2d;
import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.ConvTranspose2d;
import io.espalier.nn.Flatten;
import io.espalier.nn.FloatFunctional;
import io.espalier.nn.Functional;
import io.espalier.nn.Hardswish;
import io.espalier.nn.Linear;
import io.espalier.nn.MaxPool2d;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.quant.layer.PackedLayer;
import io.espalier.quant.layer.QuantizedLayer;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.nio.file.Path;
import java.util.List;

@DisplayName("Quantizing by the graph")
class GraphQuantizationTest {
    @BeforeEach
    void seed() {
        Libtorch.seed(3);
    }

    /** Convolutions, a residual sum, squeeze and excitation, a pooling and a classifier. */
    private static final class Net extends Module {
        private final Sequential stem =
                add(
                        "stem",
                        new Sequential(
                                new Conv2d(3, 8, 3, o -> o.padding(1)),
                                new BatchNorm2d(8),
                                new Hardswish()));
        private final Conv2d conv = add("conv", new Conv2d(8, 8, 3, o -> o.padding(1)));
        private final BatchNorm2d norm = add("norm", new BatchNorm2d(8));
        private final FloatFunctional sum = add("sum", new FloatFunctional());
        private final Conv2d squeeze = add("squeeze", new Conv2d(8, 8, 1));
        private final MaxPool2d pool = add("pool", new MaxPool2d(2));
        private final Linear fc = add("fc", new Linear(8 * 4 * 4, 5));

        @Override
        protected Tensor forward(Tensor input) {
            Tensor x = stem.call(input);
            x = Functional.relu(sum.add(norm.call(conv.call(x)), x));
            Tensor gate = Functional.sigmoid(squeeze.call(Functional.adaptiveAvgPool2d(x, 1, 1)));
            x = pool.call(Functional.mul(x, gate));
            return fc.call(Functional.flatten(x, 1, -1));
        }
    }

    private static Sequential plain() {
        return new Sequential(
                new Conv2d(3, 8, 3, o -> o.padding(1)),
                new BatchNorm2d(8),
                new ReLU(),
                new MaxPool2d(2),
                new Conv2d(8, 8, 3),
                new ReLU(),
                new Flatten(),
                new Linear(32, 5));
    }

    private static Tensor images() {
        return Tensors.randn(16, 3, 8, 8);
    }

    private static <M extends Module> M settled(M model) {
        try (var noGrad = new NoGradGuard()) {
            model.train();
            for (int i = 0; i < 20; i++) {
                model.call(images());
            }
        }
        model.eval();
        return model;
    }

    private static double decibels(Tensor expected, Tensor actual) {
        double signal = expected.pow(new Scalar(2.0)).sum().item_double();
        double noise = expected.sub(actual).pow(new Scalar(2.0)).sum().item_double();
        return 10 * Math.log10(signal / noise);
    }

    @Test
    @DisplayName("fuses chains, leaves no observer, and prints as a program")
    void program() {
        GraphModule quantized =
                Quantization.quantize(settled(new Net()), images(), List.of(images()));

        assertEquals(
                """
                graph(x):
                    x_quantized = self.quantize_0(x)
                    stem_0 = self.stem.0(x_quantized)
                    conv = self.conv(stem_0, stem_0)
                    conv_observed_floats = dequantize(conv)
                    adaptive_avg_pool2d = adaptive_avg_pool2d(conv_observed_floats, [1, 1])
                    adaptive_avg_pool2d_quantized = self.quantize_3(adaptive_avg_pool2d)
                    squeeze = self.squeeze(adaptive_avg_pool2d_quantized)
                    sigmoid = sigmoid(squeeze)
                    mul = mul(conv_observed_floats, sigmoid)
                    mul_quantized = self.quantize_4(mul)
                    max_pool2d = max_pool2d(mul_quantized, [2, 2], [2, 2], [0, 0], [1, 1], false)
                    flatten = flatten(max_pool2d, 1, -1)
                    fc = self.fc(flatten)
                    return fc\
                """,
                quantized.graph().toString());
        String tree = quantized.toString();
        assertTrue(tree.contains("(0): IntegerConvHardswish2d(3, 8, kernel_size=(3, 3)"), tree);
        assertTrue(tree.contains("(conv): IntegerConvAddReLU2d(8, 8"), tree);
        assertTrue(tree.contains("(fc): IntegerLinear(in_features=128, out_features=5"), tree);
    }

    @ParameterizedTest
    @ValueSource(strings = {"x86", "onednn", "fbgemm", "qnnpack"})
    @DisplayName("stays close to the float model on every engine, which it leaves as it was")
    void closeToFloat(String backend) {
        Net model = settled(new Net());
        model.qconfig(QConfig.forBackend(backend));
        Tensor x = images();
        Tensor expected = model.call(x);
        String before = model.toString();

        GraphModule quantized = Quantization.quantize(model, x, List.of(x, images()));

        assertTrue(decibels(expected, quantized.call(x)) > 25, backend);
        assertEquals(before, model.toString());
        assertTrue(Tensors.equal(expected, model.call(x)));
    }

    @ParameterizedTest
    @ValueSource(strings = {"x86", "onednn", "fbgemm", "qnnpack"})
    @DisplayName("equals the eager result within one quantization step")
    void equalsEager(String backend) {
        Sequential model = settled(plain());
        model.qconfig(QConfig.forBackend(backend));
        Tensor x = images();
        List<Tensor> calibration = List.of(x, images());

        GraphModule graph = Quantization.quantize(model, x, calibration);
        Sequential eager = model.copy();
        Quantization.fuse(eager, x);
        Quantization.prepare(eager);
        calibration.forEach(eager::call);
        Quantization.convert(eager);

        double step = Tensors.floats(eager.module("7").buffer("scale"))[0];
        double apart = graph.call(x).sub(eager.call(x)).abs().max().item_double();
        assertTrue(apart <= step, apart + " > " + step);
    }

    @Test
    @DisplayName("leaves in float what has no qconfig, no kernel, or no use for integers")
    void partlyFloat() {
        var model =
                new Sequential(new Conv2d(3, 4, 3), new ReLU(), new Conv2d(4, 4, 3), new Flatten());
        model.eval();
        model.qconfig(QConfig.forBackend("x86"));
        model.get(2).qconfig(null);
        Tensor x = images();

        GraphModule quantized = Quantization.quantize(model, x, List.of(x));

        assertInstanceOf(QuantizedLayer.class, quantized.module("0"));
        assertInstanceOf(Conv2d.class, quantized.module("2"));
        assertTrue(decibels(model.call(x), quantized.call(x)) > 30);
    }

    @Test
    @DisplayName("computes a transposed convolution by the engine's own kernel")
    void transposed() {
        var model =
                new Sequential(
                        new Conv2d(3, 4, 3), new ReLU(), new ConvTranspose2d(4, 4, 2), new ReLU());
        model.eval();
        Tensor x = images();

        GraphModule quantized = Quantization.quantize(model, x, List.of(x));

        assertInstanceOf(PackedLayer.class, quantized.module("2"));
        assertTrue(decibels(model.call(x), quantized.call(x)) > 25);
    }

    /** The shortcut is needed again after the first sum. */
    private static final class Shortcut extends Module {
        private final Conv2d entry = add("entry", new Conv2d(3, 4, 1));
        private final Conv2d first = add("first", new Conv2d(4, 4, 1));
        private final Conv2d second = add("second", new Conv2d(4, 4, 1));
        private final Conv2d last = add("last", new Conv2d(4, 4, 1));

        @Override
        protected Tensor forward(Tensor input) {
            Tensor x = entry.call(input);
            Tensor y = Functional.add(first.call(x), x);
            Tensor z = Functional.add(second.call(y), x);
            return Functional.add(last.call(z), y);
        }
    }

    @Test
    @DisplayName("adds in place only where the summand is not needed again")
    void sumsInPlace() {
        var model = new Shortcut();
        model.eval();
        Tensor x = images();

        GraphModule quantized = Quantization.quantize(model, x, List.of(x));

        Tensor once = quantized.call(x);
        assertTrue(decibels(model.call(x), once) > 25);
        assertTrue(Tensors.equal(once, quantized.call(x)));
    }

    /** Adds one number for each channel. */
    private static final class Broadcast extends Module {
        private final Conv2d channels = add("channels", new Conv2d(3, 4, 1));
        private final Conv2d conv = add("conv", new Conv2d(3, 4, 1));
        private final Conv2d last = add("last", new Conv2d(4, 4, 1));

        @Override
        protected Tensor forward(Tensor x) {
            Tensor mean = channels.call(Functional.adaptiveAvgPool2d(x, 1, 1));
            return last.call(Functional.relu(Functional.add(conv.call(x), mean)));
        }
    }

    @Test
    @DisplayName("adds a summand of another shape")
    void broadcasts() {
        var model = new Broadcast();
        model.eval();
        Tensor x = images();

        GraphModule quantized = Quantization.quantize(model, x, List.of(x));

        assertTrue(decibels(model.call(x), quantized.call(x)) > 25);
    }

    @Test
    @DisplayName("is saved to one file that needs no code, and copied")
    void savesAndCopies(@TempDir Path folder) {
        GraphModule quantized =
                Quantization.quantize(settled(new Net()), images(), List.of(images()));
        Tensor x = images();
        Tensor expected = quantized.call(x);

        Path file = folder.resolve("net.safetensors");
        Quantization.save(quantized, file);
        GraphModule loaded = Quantization.loadGraph(file);

        assertEquals(quantized.toString(), loaded.toString());
        assertEquals(quantized.graph(), loaded.graph());
        assertTrue(Tensors.equal(expected, loaded.call(x)));
        assertTrue(Tensors.equal(expected, quantized.<GraphModule>copy().call(x)));
        String message = messageOf(() -> Quantization.load(new Net(), file));
        assertTrue(message.contains("holds a quantized graph"), message);
    }

    @Test
    @DisplayName("reads layers that stayed in float with the model they come from")
    void loadsWithFloatLayers(@TempDir Path folder) {
        Sequential model = settled(plain());
        model.qconfig(QConfig.forBackend("x86"));
        model.get(0).qconfig(null);
        Tensor x = images();
        GraphModule quantized = Quantization.quantize(model, x, List.of(x));
        Path file = folder.resolve("net.safetensors");
        Quantization.save(quantized, file);

        GraphModule loaded = Quantization.loadGraph(plain(), file);

        assertTrue(Tensors.equal(quantized.call(x), loaded.call(x)));
        String message = messageOf(() -> Quantization.loadGraph(file));
        assertTrue(message.contains("left '0' in float"), message);
    }

    @Test
    @DisplayName("keeps what was pruned at zero")
    void staysPruned() {
        var model = new Sequential(new Linear(8, 8), new ReLU(), new Linear(8, 2));
        model.eval();
        Linear first = (Linear) model.get(0);
        Tensor mask = Tensors.rand(8, 8).gt(new Scalar(0.7)).to(first.weight().scalar_type());
        first.storeAs("weight", "weight_orig");
        first.addBuffer("weight_mask", mask);
        first.parametrize("weight", new io.espalier.nn.Mask("weight"));
        Tensor x = Tensors.randn(4, 8);

        GraphModule quantized = Quantization.quantize(model, x, List.of(x));

        Tensor integers = quantized.module("0").buffer("weight");
        assertEquals(0, integers.mul(mask.eq(new Scalar(0.0))).abs().sum().item_long());
    }

    @Test
    @DisplayName("is computed by eight threads as by one")
    void threads() throws InterruptedException {
        GraphModule quantized =
                Quantization.quantize(settled(new Net()), images(), List.of(images()));
        Tensor x = images();
        Tensor expected = quantized.call(x);
        var failures = new java.util.concurrent.ConcurrentLinkedQueue<String>();
        List<Thread> threads =
                java.util.stream.IntStream.range(0, 8)
                        .mapToObj(i ->
                                Thread.ofPlatform()
                                        .start(() -> {
                                            for (int k = 0; k < 20; k++) {
                                                if (!Tensors.equal(expected, quantized.call(x))) {
                                                    failures.add("thread " + i);
                                                }
                                            }
                                        }))
                        .toList();
        for (Thread thread : threads) {
            thread.join();
        }

        assertTrue(failures.isEmpty(), failures.toString());
    }

    @Test
    @DisplayName("refuses a model in training mode, no data, and steps out of order")
    void wrongUse() {
        Sequential model = settled(plain());
        Tensor x = images();
        model.train();
        assertTrue(
                messageOf(() -> Quantization.quantize(model, x, List.of(x)))
                        .contains("call eval() first"));
        model.eval();
        assertTrue(
                messageOf(() -> Quantization.quantize(model, x, List.of()))
                        .contains("needs calibration data"));
        GraphModule traced = GraphModule.trace(model, x);
        assertTrue(
                messageOf(() -> GraphQuantization.convert(traced))
                        .contains("The graph is not prepared"));
        assertTrue(
                messageOf(() -> GraphQuantization.prepare(traced)).contains("Nothing to quantize"));
        traced.qconfig(QConfig.forBackend("x86"));
        GraphModule prepared = GraphQuantization.prepare(traced);
        assertTrue(
                messageOf(() -> GraphQuantization.convert(prepared)).contains("has seen no data"));
        traced.module("0").qconfig(QConfig.forBackend("fbgemm"));
        assertTrue(
                messageOf(() -> GraphQuantization.prepare(traced))
                        .contains("A graph runs on one engine"));
        assertFalse(traced.graph().nodes().isEmpty());
    }

    @Test
    @DisplayName("names the layer when an input does not fit")
    void wrongShape() {
        GraphModule quantized =
                Quantization.quantize(settled(new Net()), images(), List.of(images()));

        String message = messageOf(() -> quantized.call(Tensors.randn(1, 4, 8, 8)));

        assertTrue(message.contains("the input must have 3 channels"), message);
    }

    @Test
    @DisplayName("adaptive pooling at the end of a model gives floats")
    void pooledOutput() {
        var model = new Sequential(new Conv2d(3, 4, 3), new ReLU(), new AdaptiveAvgPool2d(1));
        model.eval();
        Tensor x = images();

        GraphModule quantized = Quantization.quantize(model, x, List.of(x));

        assertTrue(decibels(model.call(x), quantized.call(x)) > 35);
    }
}

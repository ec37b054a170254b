package io.espalier.quant.graph;

import static io.espalier.quant.graph.GraphNetworks.Net;
import static io.espalier.quant.graph.GraphNetworks.decibels;
import static io.espalier.quant.graph.GraphNetworks.images;
import static io.espalier.quant.graph.GraphNetworks.plain;
import static io.espalier.quant.graph.GraphNetworks.settled;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.graph.GraphModule;
import io.espalier.nn.AdaptiveAvgPool2d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.ConvTranspose2d;
import io.espalier.nn.Flatten;
import io.espalier.nn.Functional;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.PaddingMode;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.quant.layer.PackedLayer;
import io.espalier.quant.layer.QuantizedLayer;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.List;

@DisplayName("Quantizing by the graph")
class GraphQuantizationTest {
    @BeforeEach
    void seed() {
        Libtorch.seed(3);
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
                    adaptive_avg_pool2d = adaptive_avg_pool2d(conv_observed_floats, output_size=[1, 1])
                    adaptive_avg_pool2d_quantized = self.quantize_3(adaptive_avg_pool2d)
                    squeeze = self.squeeze(adaptive_avg_pool2d_quantized)
                    sigmoid = sigmoid(squeeze)
                    mul = mul(conv_observed_floats, sigmoid)
                    mul_quantized = self.quantize_4(mul)
                    max_pool2d = max_pool2d(mul_quantized, kernel_size=[2, 2], stride=[2, 2])
                    flatten = flatten(max_pool2d, start_dim=1)
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

    @ParameterizedTest
    @ValueSource(strings = {"x86", "onednn", "fbgemm", "qnnpack"})
    @DisplayName("leaves in float what has no qconfig, or no kernel")
    void partlyFloat(String backend) {
        var model =
                new Sequential(
                        new Conv2d(3, 4, 3),
                        new ReLU(),
                        new Conv2d(4, 4, 3),
                        new Conv2d(4, 4, 3, o -> o.padding(1).paddingMode(PaddingMode.CIRCULAR)),
                        new Flatten());
        model.eval();
        model.qconfig(QConfig.forBackend(backend));
        model.get(2).qconfig(null);
        Tensor x = images();

        GraphModule quantized = Quantization.quantize(model, x, List.of(x));

        assertInstanceOf(QuantizedLayer.class, quantized.module("0"));
        assertInstanceOf(Conv2d.class, quantized.module("2"));
        assertInstanceOf(Conv2d.class, quantized.module("3"));
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

    @ParameterizedTest
    @ValueSource(strings = {"x86", "fbgemm"})
    @DisplayName("gives a layer that stays in float what a sum has computed in integers")
    void floatAfterSum(String backend) {
        var model = new Shortcut();
        model.eval();
        model.qconfig(QConfig.forBackend(backend));
        model.second.qconfig(null);
        Tensor x = images();

        GraphModule quantized = Quantization.quantize(model, x, List.of(x));

        assertInstanceOf(QuantizedLayer.class, quantized.module("first"));
        assertFalse(quantized.module("second") instanceof QuantizedLayer);
        assertTrue(decibels(model.call(x), quantized.call(x)) > 25);
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

    /** Two branches that meet; it gives the sum, and one of them. */
    private static final class Meeting extends Module {
        private final Linear left = add("left", new Linear(6, 4));
        private final Linear right = add("right", new Linear(3, 4));

        @Override
        protected List<Tensor> forwardAll(List<Tensor> inputs) {
            Tensor a = left.call(inputs.getFirst());
            Tensor b = right.call(inputs.getLast());
            return List.of(Functional.relu(Functional.add(a, b)), b);
        }
    }

    @Test
    @DisplayName("takes a model of several inputs and results")
    void severalInputs() {
        var model = new Meeting();
        model.eval();
        List<Tensor> inputs = List.of(Tensors.randn(64, 6), Tensors.randn(64, 3));

        GraphModule quantized = Quantization.quantize(model, inputs, List.of(inputs));

        List<Tensor> expected = model.callAll(inputs);
        List<Tensor> actual = quantized.callAll(inputs);
        assertEquals(2, actual.size());
        assertTrue(decibels(expected.getFirst(), actual.getFirst()) > 25);
        assertTrue(decibels(expected.getLast(), actual.getLast()) > 25);
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
    @DisplayName("adaptive pooling at the end of a model gives floats")
    void pooledOutput() {
        var model = new Sequential(new Conv2d(3, 4, 3), new ReLU(), new AdaptiveAvgPool2d(1));
        model.eval();
        Tensor x = images();

        GraphModule quantized = Quantization.quantize(model, x, List.of(x));

        assertTrue(decibels(model.call(x), quantized.call(x)) > 35);
    }
}

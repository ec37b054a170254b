package io.espalier.quant;

import static io.espalier.TensorAssertions.assertClose;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.AdaptiveAvgPool1d;
import io.espalier.nn.AdaptiveAvgPool2d;
import io.espalier.nn.AvgPool1d;
import io.espalier.nn.AvgPool2d;
import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.BatchNorm3d;
import io.espalier.nn.Conv1d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Conv3d;
import io.espalier.nn.ConvTranspose1d;
import io.espalier.nn.ConvTranspose2d;
import io.espalier.nn.ConvTranspose3d;
import io.espalier.nn.Convolution;
import io.espalier.nn.Dropout;
import io.espalier.nn.ELU;
import io.espalier.nn.Flatten;
import io.espalier.nn.FloatFunctional;
import io.espalier.nn.GRU;
import io.espalier.nn.GroupNorm;
import io.espalier.nn.Hardsigmoid;
import io.espalier.nn.Hardswish;
import io.espalier.nn.InstanceNorm1d;
import io.espalier.nn.InstanceNorm2d;
import io.espalier.nn.InstanceNorm3d;
import io.espalier.nn.LSTM;
import io.espalier.nn.LayerNorm;
import io.espalier.nn.LeakyReLU;
import io.espalier.nn.Linear;
import io.espalier.nn.MaxPool1d;
import io.espalier.nn.MaxPool2d;
import io.espalier.nn.Module;
import io.espalier.nn.PReLU;
import io.espalier.nn.PaddingMode;
import io.espalier.nn.ReLU;
import io.espalier.nn.ReLU6;
import io.espalier.nn.Sequential;
import io.espalier.nn.Sigmoid;
import io.espalier.nn.Softmax;
import io.espalier.nn.Tanh;
import io.espalier.nn.Upsample;
import io.espalier.tensor.Engine;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

import java.nio.file.Path;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;

/** Every layer that is said to run in integers does so, on every engine. */
class QuantizedKernelsTest {
    @TempDir Path directory;

    private static Tensor images() {
        return Tensors.randn(2, 4, 8, 8);
    }

    private static Arguments of(Module layer, long... shape) {
        return Arguments.of(layer, Tensors.randn(shape));
    }

    private static Arguments fused(Module layer, long... shape) {
        Sequential pair = new Sequential(layer, new ReLU());
        pair.eval();
        Quantization.fuseModules(pair, List.of("0", "1"));
        return of(pair.get(0), shape);
    }

    static Stream<Arguments> layers() {
        Libtorch.seed(23);
        UnaryOperator<Convolution.Options> geometry = o -> o.stride(2).padding(1).groups(2);
        UnaryOperator<Convolution.Options> mirrored =
                o -> o.padding(2).paddingMode(PaddingMode.REFLECT);
        long[] none = {0};
        long[] two = {2};
        UnaryOperator<Convolution.Options> uneven = o -> o.stride(2).padding(none, two);
        UnaryOperator<Convolution.Options> transposed = o -> geometry.apply(o).outputPadding(1);
        return Stream.of(
                of(new Linear(8, 5), 3, 8),
                fused(new Linear(8, 5), 3, 8),
                of(new Conv1d(4, 6, 3, geometry), 2, 4, 9),
                fused(new Conv1d(4, 6, 3, geometry), 2, 4, 9),
                of(new Conv2d(4, 6, 3, geometry), 2, 4, 8, 8),
                fused(new Conv2d(4, 6, 3, geometry), 2, 4, 8, 8),
                of(new Conv3d(4, 6, 3, geometry), 2, 4, 5, 5, 5),
                fused(new Conv3d(4, 6, 3, geometry), 2, 4, 5, 5, 5),
                of(new Conv1d(4, 6, 3, mirrored), 2, 4, 9),
                of(new Conv2d(4, 6, 3, mirrored), 2, 4, 8, 8),
                of(new Conv2d(1, 2, 2, o -> o.stride(2).padding(2)), 2, 1, 6, 6),
                of(new Conv1d(4, 6, 3, uneven), 2, 4, 9),
                fused(new Conv1d(4, 6, 3, uneven), 2, 4, 9),
                of(new Conv2d(4, 6, 3, uneven), 2, 4, 8, 8),
                fused(new Conv2d(4, 6, 3, uneven), 2, 4, 8, 8),
                of(
                        new Conv2d(4, 6, 3, o -> uneven.apply(o).paddingMode(PaddingMode.REFLECT)),
                        2,
                        4,
                        8,
                        8),
                of(new Conv3d(4, 6, 3, uneven), 2, 4, 5, 5, 5),
                of(new MaxPool1d(3, o -> o.padding(none, two)), 2, 4, 8),
                of(new MaxPool2d(3, o -> o.padding(none, two)), 2, 4, 8, 8),
                of(new AvgPool1d(3, o -> o.padding(none, two)), 2, 4, 8),
                of(new AvgPool2d(3, o -> o.padding(none, two)), 2, 4, 8, 8),
                of(new AvgPool2d(3, o -> o.padding(none, two).countIncludePad(false)), 2, 4, 8, 8),
                of(new ConvTranspose1d(4, 6, 3, transposed), 2, 4, 9),
                of(new ConvTranspose2d(4, 6, 3, transposed), 2, 4, 6, 6),
                of(new ConvTranspose3d(4, 6, 3, transposed), 2, 4, 4, 4, 4),
                of(new Outputs(new LSTM(4, 6)), 5, 2, 4),
                of(new Outputs(new GRU(4, 6)), 5, 2, 4),
                of(new LayerNorm(8), 2, 4, 8, 8),
                of(new GroupNorm(2, 4), 2, 4, 8, 8),
                of(new InstanceNorm1d(4), 2, 4, 8),
                of(new InstanceNorm2d(4), 2, 4, 8, 8),
                of(new InstanceNorm2d(4, o -> o.affine(true)), 2, 4, 8, 8),
                of(new InstanceNorm3d(4), 2, 4, 4, 4, 4),
                of(new ReLU(), 2, 4, 8, 8),
                of(new ReLU6(), 2, 4, 8, 8),
                of(new Hardswish(), 2, 4, 8, 8),
                of(new Hardsigmoid(), 2, 4, 8, 8),
                of(new LeakyReLU(0.1), 2, 4, 8, 8),
                of(new PReLU(4), 2, 4, 8, 8),
                of(new PReLU(), 2, 4, 8, 8),
                of(new Sigmoid(), 2, 4, 8, 8),
                of(new Tanh(), 2, 4, 8, 8),
                of(new Softmax(-1), 2, 4, 8, 8),
                of(new ELU(0.7), 2, 4, 8, 8),
                of(new Flatten(), 2, 4, 8, 8),
                of(new MaxPool1d(2), 2, 4, 8),
                of(new AvgPool1d(2), 2, 4, 8),
                of(new AdaptiveAvgPool1d(2), 2, 4, 8),
                of(new MaxPool2d(2), 2, 4, 8, 8),
                of(new AvgPool2d(2), 2, 4, 8, 8),
                of(new AdaptiveAvgPool2d(2), 2, 4, 8, 8),
                of(Upsample.byFactor(2), 2, 4, 8, 8),
                of(
                        Upsample.byFactor(new double[] {2, 2}, o -> o.mode(Upsample.Mode.BILINEAR)),
                        2,
                        4,
                        8,
                        8),
                of(new BatchNorm2d(4), 2, 4, 8, 8),
                of(new BatchNorm3d(4), 2, 4, 4, 4, 4),
                of(new Dropout(0.5), 2, 4, 8, 8));
    }

    /** A recurrent network without its last state. */
    static final class Outputs extends Module {
        final Module network;

        Outputs(Module network) {
            this.network = add("network", network);
        }

        @Override
        protected Tensor forward(Tensor x) {
            return network.call(x);
        }
    }

    /** A layer between stubs: whatever it is, integers come in. */
    private static Sequential between(Module layer) {
        Sequential model = new Sequential(new QuantStub(), layer, new DeQuantStub());
        model.eval();
        return model;
    }

    private static double sqnr(Tensor expected, Tensor actual) {
        return 20
                * Math.log10(
                        expected.norm().item_float() / actual.sub(expected).norm().item_float());
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("layers")
    @DisplayName("Integers come in, integers go out, and they are near the floats, on every engine")
    void runsInIntegers(Module layer, Tensor x) {
        for (Engine engine : Engine.available()) {
            Sequential original = between(layer.copy());
            Sequential model = original.copy();
            Tensor expected = original.call(x);
            model.qconfig(QConfig.forBackend(engine.toString()));
            Quantization.prepare(model);
            model.call(x);
            Quantization.convert(model);
            int[] seen = new int[2];
            Module converted = model.get(1);
            converted.onInput((module, tensors) -> {
                seen[0] += tensors.getFirst().is_quantized() ? 1 : 0;
                return tensors;
            });
            converted.onOutput((module, tensors) -> {
                seen[1] += tensors.getFirst().is_quantized() ? 1 : 0;
                return tensors;
            });

            Tensor y = model.call(x);

            assertEquals(1, seen[0], engine + ": floats came in");
            assertEquals(1, seen[1], engine + ": floats went out");
            double sqnr = sqnr(expected, y);
            assertTrue(sqnr > 20 && sqnr < 70, engine + ": " + sqnr + " dB");
            assertClose(y, model.<Sequential>copy().call(x), 0);
            Path file = directory.resolve(engine + ".safetensors");
            Quantization.save(model, file);
            assertClose(y, Quantization.load(original, file).call(x), 0);
        }
    }

    /** Each operation of FloatFunctional, on operands that are integers. */
    static final class Arithmetic extends Module {
        final QuantStub left = add("left", new QuantStub());
        final QuantStub right = add("right", new QuantStub());
        final FloatFunctional sum = add("sum", new FloatFunctional());
        final FloatFunctional positive = add("positive", new FloatFunctional());
        final FloatFunctional product = add("product", new FloatFunctional());
        final FloatFunctional both = add("both", new FloatFunctional());
        final FloatFunctional numbers = add("numbers", new FloatFunctional());
        boolean allIntegers;

        @Override
        protected Tensor forward(Tensor x) {
            Tensor a = left.call(x);
            Tensor b = right.call(x.flip(0));
            List<Tensor> results =
                    List.of(
                            sum.add(a, b),
                            positive.addRelu(a, b),
                            product.mul(a, b),
                            numbers.mulScalar(numbers.addScalar(a, 0.5), -2));
            Tensor all = both.cat(results, 1);
            allIntegers = all.is_quantized() && results.stream().allMatch(Tensor::is_quantized);
            return all;
        }
    }

    @ParameterizedTest
    @EnumSource
    @DisplayName("Sums, products, concatenations and arithmetic with numbers run in integers")
    void arithmetic(Engine engine) {
        Libtorch.seed(29);
        var original = new Arithmetic();
        original.eval();
        Arithmetic model = original.copy();
        Tensor x = images();
        Tensor expected = original.call(x);
        model.qconfig(QConfig.forBackend(engine.toString()));
        Quantization.prepare(model);
        model.call(x);
        Quantization.convert(model);
        Tensor y = model.call(x);
        assertTrue(model.allIntegers);
        double sqnr = sqnr(expected, y);
        assertTrue(sqnr > 25 && sqnr < 70, engine + ": " + sqnr + " dB");
        assertTrue(model.module("numbers").ownBuffers().isEmpty());
        Path file = directory.resolve("arithmetic.safetensors");
        Quantization.save(model, file);
        assertClose(y, Quantization.load(original, file).call(x), 0);
    }
}

package io.espalier.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.espalier.conformance.PlainLayer.Reals;
import io.espalier.conformance.PlainRounding.Step;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.quant.DeQuantStub;
import io.espalier.quant.QConfig;
import io.espalier.quant.QuantStub;
import io.espalier.quant.Quantization;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/** Quantized layers of all kinds a second time, as plain loops over integers. */
@DisplayName("Quantized layers, derived anew in plain loops,")
class RederivedLayersTest {
    private static final int CASES = 150;

    static IntStream seeds() {
        return IntStream.range(0, CASES);
    }

    @ParameterizedTest(name = "{0}")
    @DisplayName(
            "give the same outputs within a step, strided, dilated and grouped, on each engine")
    @MethodSource("seeds")
    void layers(int seed) {
        var draws = new Draws(seed);
        int dims = draws.random.nextInt(4);
        boolean transposed = dims > 0 && draws.random.nextInt(3) == 0;
        boolean relu = !transposed && draws.random.nextBoolean();
        boolean hasBias = draws.random.nextInt(3) > 0;
        String engine = draws.of("fbgemm", "x86", "qnnpack", "onednn");
        var convolution =
                dims == 0
                        ? PlainConvolution.USUAL
                        : new PlainConvolution(
                                draws.of(1, 1, 2, 3),
                                draws.of(1, 0, 2),
                                draws.of(1, 1, 2),
                                draws.of(1, 1, 2, 3),
                                transposed);
        boolean reflects = (dims == 1 || dims == 2) && !transposed && draws.random.nextInt(4) == 0;
        int groups = convolution.groups();
        int in = groups * draws.random.nextInt(1, 5);
        int out = groups * draws.random.nextInt(1, 5);
        long[] weightShape = new long[2 + dims];
        Arrays.fill(weightShape, draws.of(3, 3, 1, 2));
        weightShape[0] = transposed ? in : out;
        weightShape[1] = (transposed ? out : in) / groups;
        int size = Draws.size(weightShape);
        var layer =
                new PlainLayer(
                        draws.uniform(size, -0.5, 0.5),
                        weightShape,
                        hasBias ? draws.uniform(out, -0.5, 0.5) : new float[out],
                        convolution,
                        relu);
        Reals x = input(draws, in, dims);
        Module model = model(layer, dims, hasBias, reflects);
        model.qconfig(QConfig.forBackend(engine));
        Quantization.prepare(model);
        Tensor y;
        try (var guard = new NoGradGuard()) {
            // Batches of different sizes, and what is computed at last.
            for (int n = draws.random.nextInt(3); n > 0; n--) {
                Reals batch = input(draws, in, dims);
                model.call(draws.tensor(batch.values(), batch.shape()));
            }
            model.call(Tensors.of(x.values(), x.shape()));
            Quantization.convert(model);
            y = model.call(draws.tensor(x.values(), x.shape()));
        }
        Step output = step(model, "1");
        boolean perChannel = !transposed && !engine.equals("qnnpack");
        Reals rounded = x.rounded(step(model, "0"));
        Step[] steps = layer.weightSteps(perChannel);
        Reals wanted =
                reflects
                        ? layer.unpadded()
                                .rounded(mirrored(rounded, convolution.padding()), output, steps)
                        : layer.rounded(rounded, output, steps);

        var check = new Check();
        check.close(
                "y",
                Tensors.of(wanted.values(), wanted.shape()),
                y,
                Tolerance.absolute(1.001 * output.scale()).except(0.005));
        assertEquals(List.of(), check.differences(), () -> engine + " " + model);
    }

    private static Reals input(Draws draws, int channels, int dims) {
        long[] shape = new long[2 + dims];
        Arrays.fill(shape, draws.random.nextInt(dims == 3 ? 5 : 6, dims == 3 ? 7 : 10));
        shape[0] = draws.random.nextInt(1, 5);
        shape[1] = channels;
        return new Reals(draws.normal(Draws.size(shape), 1), shape);
    }

    private static Module model(PlainLayer layer, int dims, boolean hasBias, boolean reflects) {
        PlainConvolution convolution = layer.convolution();
        var written = new CaseWriter("");
        if (dims > 0) {
            written.param("stride", convolution.stride())
                    .param("padding", convolution.padding())
                    .param("dilation", convolution.dilation())
                    .param("groups", convolution.groups());
            if (reflects) {
                written.param("padding_mode", "reflect");
            }
        }
        Tensor weight = Tensors.of(layer.weight(), layer.weightShape());
        String kind = dims == 0 ? "linear" : "conv" + dims + "d";
        Module made =
                Layers.of(
                        convolution.transposed() ? "conv_transpose" + dims + "d" : kind,
                        weight,
                        hasBias,
                        written.params());
        Layers.set(made, "weight", weight);
        if (hasBias) {
            Layers.set(made, "bias", Tensors.of(layer.bias()));
        }
        var model = new Sequential(new QuantStub(), made, new ReLU(), new DeQuantStub());
        if (!layer.relu()) {
            model = new Sequential(new QuantStub(), made, new DeQuantStub());
        }
        model.eval();
        if (layer.relu()) {
            Quantization.fuseModules(model, List.of("1", "2"));
        }
        return model;
    }

    /** With so many values before and after those of each row and column, mirrored at the edges. */
    private static Reals mirrored(Reals x, int padding) {
        long[] shape = x.shape().clone();
        for (int d = 2; d < shape.length; d++) {
            shape[d] += 2L * padding;
        }
        float[] values = new float[Draws.size(shape)];
        for (int i = 0; i < values.length; i++) {
            int from = 0;
            for (int d = 0; d < shape.length; d++) {
                int size = (int) x.shape()[d];
                int at = Draws.channel(i, shape, d) - (d < 2 ? 0 : padding);
                int inside = Math.abs(at) < size ? Math.abs(at) : 2 * (size - 1) - at;
                from = from * size + inside;
            }
            values[i] = x.values()[from];
        }
        return new Reals(values, shape);
    }

    private static Step step(Module model, String path) {
        Module layer = model.module(path);
        return new Step(
                (float) Check.doubles(layer.buffer("scale"))[0],
                (int) Check.doubles(layer.buffer("zero_point"))[0]);
    }
}

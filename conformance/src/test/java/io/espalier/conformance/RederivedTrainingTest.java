package io.espalier.conformance;

import io.espalier.conformance.PlainLayer.Reals;
import io.espalier.conformance.PlainRounding.Step;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/** Networks trained with fake quantization, then converted, a second time, as plain loops. */
@DisplayName("Quantization-aware training, derived anew in plain loops,")
class RederivedTrainingTest {
    private static final int CASES = 40;

    static IntStream seeds() {
        return IntStream.range(0, CASES);
    }

    @ParameterizedTest(name = "{0}")
    @DisplayName("gives the same losses, state, outputs and text")
    @MethodSource("seeds")
    void trains(int seed) {
        var draws = new Draws(seed);
        boolean conv = draws.random.nextBoolean();
        String engine = draws.of("fbgemm", "fbgemm", "x86", "qnnpack", "onednn");
        boolean reduced = engine.equals("fbgemm") || engine.equals("x86");
        boolean perChannel = !engine.equals("qnnpack");
        boolean hasBias = draws.random.nextInt(4) > 0;
        double rate = draws.of(0.01, 0.1, 0.001);
        double momentum = draws.of(0.9, 0.0, 0.5);
        int rows = draws.random.nextInt(2, 9);
        int in = conv ? 3 : draws.random.nextInt(2, 12);
        int classes = draws.random.nextInt(2, 8);
        long side = draws.random.nextInt(3, 9);
        long[] shape = conv ? new long[] {rows, in, side, side} : new long[] {rows, in};
        long[] weightShape = conv ? new long[] {classes, in, 3, 3} : new long[] {classes, in};
        var layer = layer(draws, weightShape, hasBias);
        @Nullable PlainNorm norm = conv ? norm(draws, classes) : null;

        var written =
                new CaseWriter("train")
                        .param("model", conv ? "conv_bn_relu" : "linear_relu")
                        .param("engine", engine)
                        .param("optimizer", Map.of("type", "SGD", "lr", rate, "momentum", momentum))
                        .input("param.body.0.weight", Tensors.of(layer.weight(), weightShape));
        if (hasBias) {
            written.input("param.body.0.bias", copy(layer.bias()));
        }
        if (norm != null) {
            written.input("param.body.1.weight", copy(norm.gamma))
                    .input("param.body.1.bias", copy(norm.beta))
                    .input("param.body.1.running_mean", copy(norm.mean))
                    .input("param.body.1.running_var", copy(norm.variance));
        }
        var training = new PlainTraining(layer, hasBias, norm, reduced, perChannel, rate, momentum);
        List<Tensor> batches = new ArrayList<>();
        List<Tensor> targets = new ArrayList<>();
        List<Double> losses = new ArrayList<>();
        for (int step = draws.random.nextInt(1, 9); step > 0; step--) {
            var x = new Reals(draws.normal(Draws.size(shape), 1), shape);
            int[] labels = draws.random.ints(rows, 0, classes).toArray();
            batches.add(draws.tensor(x.values(), shape));
            targets.add(Tensors.of(IntStream.of(labels).asLongStream().toArray(), rows));
            losses.add(training.step(x, labels));
        }
        var x = new Reals(draws.normal(Draws.size(shape), 1), shape);
        Reals fake = training.eval(x);
        written.input("xs", batches)
                .input("targets", targets)
                .input("x", draws.tensor(x.values(), shape))
                .expectPlain("losses", losses)
                .expect("y_fake", Tensors.of(fake.values(), fake.shape()));
        state(written, training, norm, weightShape, hasBias);
        Reals y = training.converted(x);
        written.expect("y", Tensors.of(y.values(), y.shape())).passes(new QatGroup());
    }

    private static PlainLayer layer(Draws draws, long[] weightShape, boolean hasBias) {
        int size = Draws.size(weightShape);
        int out = (int) weightShape[0];
        double most = 1 / Math.sqrt((double) size / out);
        return new PlainLayer(
                draws.uniform(size, -most, most),
                weightShape,
                hasBias ? draws.uniform(out, -most, most) : new float[out],
                weightShape.length == 2
                        ? PlainConvolution.USUAL
                        : new PlainConvolution(1, 1, 1, 1, false),
                true);
    }

    private static PlainNorm norm(Draws draws, int channels) {
        return new PlainNorm(
                draws.uniform(channels, 0.5, 1.5),
                draws.normal(channels, 0.3),
                draws.normal(channels, 0.3),
                draws.uniform(channels, 0.5, 2));
    }

    /** The values as they are now: training changes them. */
    private static Tensor copy(float[] values) {
        return Tensors.of(values.clone());
    }

    private static void state(
            CaseWriter written,
            PlainTraining training,
            @Nullable PlainNorm norm,
            long[] weightShape,
            boolean hasBias) {
        fake(written, "quant.activation_post_process", training.input);
        fake(written, "body.0.activation_post_process", training.output);
        fake(written, "body.0.weight_fake_quant", training.weights);
        written.expect("state.body.0.weight", Tensors.of(training.weight(), weightShape));
        if (hasBias) {
            written.expect("state.body.0.bias", Tensors.of(training.bias()));
        }
        if (norm != null) {
            written.expect("state.body.0.bn.weight", Tensors.of(norm.gamma))
                    .expect("state.body.0.bn.bias", Tensors.of(norm.beta))
                    .expect("state.body.0.bn.running_mean", Tensors.of(norm.mean))
                    .expect("state.body.0.bn.running_var", Tensors.of(norm.variance));
        }
    }

    private static void fake(CaseWriter written, String path, PlainFakeQuantize fake) {
        Step[] steps = fake.steps();
        boolean whole = fake.range().min.length == 1;
        long[] shape = whole ? new long[0] : new long[] {fake.range().min.length};
        Tensor on = Tensors.of(new long[] {1}, 1);
        written.expect("state." + path + ".fake_quant_enabled", on)
                .expect("state." + path + ".observer_enabled", on)
                .expect("state." + path + ".scale", RederivedRoundingTest.scales(steps))
                .expect(
                        "state." + path + ".zero_point",
                        RederivedRoundingTest.zeroPoints(steps).to(ScalarType.Int))
                .expect(
                        "state." + path + ".activation_post_process.min_val",
                        Tensors.of(fake.range().min, shape))
                .expect(
                        "state." + path + ".activation_post_process.max_val",
                        Tensors.of(fake.range().max, shape));
    }
}

package io.espalier.conformance;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.conformance.PlainLayer.Reals;
import io.espalier.conformance.PlainObserver.Scheme;
import io.espalier.conformance.PlainRounding.Step;
import io.espalier.nn.Module;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/** Small networks calibrated and converted, a second time, as plain loops. */
@DisplayName("Static quantization, derived anew in plain loops,")
class RederivedStaticTest {
    private static final int CASES = 120;

    static IntStream seeds() {
        return IntStream.range(0, CASES);
    }

    @ParameterizedTest(name = "{0}")
    @DisplayName("gives the same scales, integer weights, outputs and text, for each engine")
    @MethodSource("seeds")
    void networks(int seed) {
        var draws = new Draws(seed);
        String engine = draws.of("fbgemm", "x86", "qnnpack", "onednn");
        PlainNetwork network = PlainNetwork.drawn(draws);
        List<Reals> calibration = new ArrayList<>();
        for (int n = draws.random.nextInt(1, 5); n > 0; n--) {
            calibration.add(network.input(draws, draws.random.nextInt(1, 6)));
        }
        Reals x = network.input(draws, draws.random.nextInt(1, 6));
        Tensor input = draws.tensor(x.values(), x.shape());
        List<Tensor> batches =
                calibration.stream()
                        .map(batch -> draws.tensor(batch.values(), batch.shape()))
                        .toList();

        Module converted = converted(network, engine, batches);
        Map<String, Step> steps = steps(network, converted);
        network.steps(calibration, activations(engine))
                .forEach((path, possible) -> {
                    Step came = PlainNetwork.step(steps, path);
                    assertTrue(
                            possible.stream().anyMatch(step -> isNear(step, came)),
                            () -> path + " has " + came + ", expected " + possible);
                });

        var written =
                network.inputs(
                        new CaseWriter("static")
                                .param("model", network.name())
                                .param("engine", engine)
                                .param("fuse", network.fused())
                                .input("x", input)
                                .input("calibration", batches));
        Map<String, Object> layers = new LinkedHashMap<>();
        steps.forEach((path, step) ->
                layers.put(path, Map.of("scale", step.scale(), "zero_point", step.zeroPoint())));
        boolean perChannel = !engine.equals("qnnpack");
        network.layers()
                .forEach((path, layer) ->
                        written.expect(
                                "weight_int." + path,
                                Tensors.of(
                                                layer.integers(layer.weightSteps(perChannel)),
                                                layer.weightShape())
                                        .to(ScalarType.Char)));
        Reals y = network.of(x, (path, value) -> value);
        Reals rounded = network.rounded(x, steps, perChannel);
        written.expectPlain("layers", layers)
                .expect("y_float", Tensors.of(y.values(), y.shape()))
                .expect("y", Tensors.of(rounded.values(), rounded.shape()))
                .passes(new PtqGroup());
    }

    private static Scheme activations(String engine) {
        boolean reduced = engine.equals("fbgemm") || engine.equals("x86");
        return new Scheme(true, false, 0, reduced ? 127 : 255, false);
    }

    /** A float that differs in its last bit may count in the next of 2048 bins. */
    private static boolean isNear(Step one, Step other) {
        return Math.abs(one.scale() - other.scale()) < 2e-3 * one.scale()
                && Math.abs(one.zeroPoint() - other.zeroPoint()) <= 1;
    }

    private static Module converted(PlainNetwork network, String engine, List<Tensor> batches) {
        Module model = network.model();
        model.eval();
        if (!network.fused().isEmpty()) {
            Quantization.fuseModules(model, Models.inBody(network.fused()));
        }
        model.qconfig(QConfig.forBackend(engine));
        Quantization.prepare(model);
        try (var guard = new NoGradGuard()) {
            batches.forEach(model::call);
        }
        Quantization.convert(model);
        return model;
    }

    private static Map<String, Step> steps(PlainNetwork network, Module converted) {
        Map<String, Step> steps = new LinkedHashMap<>();
        for (String path : network.observed()) {
            Module layer = converted.module(path);
            steps.put(
                    path,
                    new Step(
                            (float) Check.doubles(layer.buffer("scale"))[0],
                            (int) Check.doubles(layer.buffer("zero_point"))[0]));
        }
        return steps;
    }
}

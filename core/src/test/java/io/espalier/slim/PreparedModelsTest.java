package io.espalier.slim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Flatten;
import io.espalier.nn.LSTM;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.prune.Importance;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.quant.observer.RecordingObserver;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;

/** Models on their way to integers. */
class PreparedModelsTest {
    private static Sequential network() {
        Libtorch.seed(1);
        return new Sequential(
                new Conv2d(1, 8, 3),
                new ReLU(),
                new Conv2d(8, 6, 3),
                new ReLU(),
                new Flatten(),
                new Linear(24, 4));
    }

    @ParameterizedTest
    @ValueSource(strings = {"prepared", "converted"})
    @DisplayName("keep their channels, and go on to integers")
    void keepTheirs(String stage) {
        Sequential model = network();
        Tensor x = Tensors.randn(4, 1, 6, 6);
        model.training(false);
        model.qconfig(QConfig.forBackend("x86"));
        List<List<String>> fused = List.of(List.of("0", "1"), List.of("2", "3"));
        Quantization.fuseModules(model, fused);
        Quantization.prepare(model, x);
        model.call(x);
        if (stage.equals("converted")) {
            model.eval();
            Quantization.convert(model);
        }

        SlimResult result = Slimming.of(model, x).ratio(0.5).run();

        assertEquals(result.before(), result.after());
        model.eval();
        if (!stage.equals("converted")) {
            Quantization.convert(model);
        }
        assertArrayEquals(new long[] {4, 4}, Tensors.shape(model.call(x)));
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    @DisplayName("that train for integers lose channels with all that rounds them, and go on")
    void slimInTraining(boolean normalized) {
        Libtorch.seed(1);
        var model =
                new Sequential(
                        new Conv2d(1, 8, 3),
                        new BatchNorm2d(8),
                        new ReLU(),
                        new Conv2d(8, 6, 3),
                        new ReLU(),
                        new Flatten(),
                        new Linear(24, 4));
        Tensor x = Tensors.randn(4, 1, 6, 6);
        model.train();
        model.qconfig(QConfig.qatForBackend("x86"));
        if (normalized) {
            Quantization.fuseModulesQat(model, List.of(List.of("0", "1", "2")));
        }
        Quantization.prepareQat(model, x);
        model.call(x);
        float[] range = Tensors.floats(model.module("0.activation_post_process").buffer("scale"));

        Slimming slimming = Slimming.of(model, x);
        assertArrayEquals(
                range, Tensors.floats(model.module("0.activation_post_process").buffer("scale")));
        SlimResult result = slimming.ratio(0.5).run();

        assertEquals(2, result.rows().size(), result::toString);
        Module rounding = model.module("0.weight_fake_quant");
        for (String tensor : List.of("scale", "zero_point", "activation_post_process.min_val")) {
            assertArrayEquals(
                    new long[] {4},
                    Tensors.shape(Objects.requireNonNull(rounding.namedBuffers().get(tensor))),
                    tensor);
        }
        assertEquals(3, model.module("3.weight_fake_quant").buffer("scale").numel());
        model.call(x).square().sum().backward();
        model.eval();
        Tensor rounded = model.call(x).detach().clone();
        Quantization.convert(model);
        assertEquals(0, model.call(x).sub(rounded).abs().max().item_double(), 0.02);
    }

    @Test
    @DisplayName("that train for integers lose channels within modules of their own, too")
    void slimWithinModules() {
        Libtorch.seed(1);
        var model =
                new Sequential(
                        new Conv2d(1, 8, 3),
                        new Sequential(new Conv2d(8, 8, 1), new ReLU(), new Conv2d(8, 8, 1)),
                        new Flatten(),
                        new Linear(128, 4));
        Tensor x = Tensors.randn(4, 1, 6, 6);
        model.train();
        model.qconfig(QConfig.qatForBackend("x86"));
        Quantization.prepareQat(model);
        model.call(x);

        SlimResult result = Slimming.of(model, x).ratio(0.5).run();

        assertEquals(List.of(4, 4, 4), result.rows().stream().map(SlimResult.Row::left).toList());
        model.eval();
        Tensor rounded = model.call(x).detach().clone();
        Quantization.convert(model);
        assertEquals(0, model.call(x).sub(rounded).abs().max().item_double(), 0.02);
    }

    private static Map<String, String> state(Module model) {
        var state = new TreeMap<String, String>();
        model.stateDict()
                .forEach((name, tensor) -> state.put(name, Tensors.toString(tensor.clone())));
        return state;
    }

    @ParameterizedTest
    @ValueSource(strings = {"fbgemm", "qnnpack", "recording"})
    @DisplayName("are calibrated as before, whatever slimming calls them with")
    void keepTheirRanges(String observers) {
        Libtorch.seed(1);
        var model = new Sequential(new Linear(6, 16), new ReLU(), new Linear(16, 4));
        model.eval();
        Tensor x = Tensors.randn(4, 6);
        model.qconfig(
                observers.equals("recording")
                        ? new QConfig(RecordingObserver.with(), RecordingObserver.with())
                        : QConfig.forBackend(observers));
        Quantization.prepare(model);
        Map<String, String> uncalled = state(model);
        Slimming.of(model, x).run();
        assertEquals(uncalled, state(model));
        model.call(x);
        Map<String, String> before = state(model);

        Slimming slimming = Slimming.of(model, x);
        assertEquals(before, state(model));
        slimming.run();
        Slimming.removePruned(model, x);
        assertEquals(before, state(model));
        if (model.module("0.activation_post_process") instanceof RecordingObserver recording) {
            assertEquals(1, recording.recorded().size());
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    @DisplayName("that train for integers have the ranges that they had, also when refused")
    void keepTheirRangesInTraining(boolean training) {
        Libtorch.seed(1);
        var model = new Sequential(new Linear(6, 16), new ReLU(), new Linear(16, 4));
        Tensor x = Tensors.randn(4, 6);
        model.train();
        model.qconfig(QConfig.qatForBackend("x86"));
        Quantization.prepareQat(model);
        model.call(x);
        model.training(training);
        Map<String, String> before = state(model);

        Slimming slimming = Slimming.of(model, x);
        assertThrows(EspalierException.class, () -> slimming.macs(1e-9).run());
        Importance gradient =
                targets -> {
                    model.call(x.mul(new Scalar(100)));
                    return Importance.magnitude().scores(targets);
                };
        slimming.ratio(1).importance(gradient).run();
        assertEquals(before, state(model));

        slimming.macs(0.5).run();

        Map<String, String> after = state(model);
        before.keySet().stream()
                .filter(name -> name.matches("[02].activation_post_process.*|2.weight_fake.*"))
                .forEach(name -> assertEquals(before.get(name), after.get(name), name));
        assertEquals(training, model.module("0").isTraining());
    }

    /** A recurrent layer before two others. */
    private static final class Recurring extends Module {
        private final LSTM network = add("network", new LSTM(6, 8, o -> o.batchFirst(true)));
        private final Linear first = add("first", new Linear(8, 5));
        private final Linear last = add("last", new Linear(5, 3));

        @Override
        protected Tensor forward(Tensor x) {
            return last.call(first.call(network.call(x)));
        }
    }

    @Test
    @DisplayName("count the multiplications of recurrent layers, which keep their channels")
    void recurrent() {
        var model = new Recurring();
        Tensor x = Tensors.randn(2, 4, 6);
        SlimResult.Cost plain = Slimming.of(model, x).ratio(1).run().before();
        model.train();
        model.qconfig(QConfig.qatForBackend("x86"));
        Quantization.prepareQat(model);
        model.call(x);

        SlimResult result = Slimming.of(model, x).ratio(0.6).run();

        assertEquals(plain.macs(), result.before().macs());
        assertEquals(32, model.network.value("weight_hh_l0").size(0));
        assertEquals(8, model.network.value("weight_hh_l0").size(1));
    }
}

package io.espalier.slim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.espalier.nn.Conv2d;
import io.espalier.nn.Flatten;
import io.espalier.nn.Linear;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.List;

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
    @ValueSource(strings = {"prepared", "training", "converted"})
    @DisplayName("keep their channels, and go on to integers")
    void keepTheirs(String stage) {
        Sequential model = network();
        Tensor x = Tensors.randn(4, 1, 6, 6);
        boolean training = stage.equals("training");
        model.training(training);
        model.qconfig(training ? QConfig.qatForBackend("x86") : QConfig.forBackend("x86"));
        List<List<String>> fused = List.of(List.of("0", "1"), List.of("2", "3"));
        if (training) {
            Quantization.prepareQat(model, x);
        } else {
            Quantization.fuseModules(model, fused);
            Quantization.prepare(model, x);
        }
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
}

package io.espalier.quant;

import static io.espalier.Errors.messageOf;
import static io.espalier.TensorAssertions.assertClose;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.nio.file.Path;
import java.util.List;

@DisplayName("Convolutions that pad differently before and after their input")
class UnevenPaddingTest {
    private static final long[] BEFORE = {0, 1};
    private static final long[] AFTER = {2, 0};

    @TempDir Path directory;

    private static Sequential network() {
        Libtorch.seed(4);
        Sequential model =
                new Sequential(
                        new QuantStub(),
                        new Conv2d(2, 4, 3, o -> o.padding(BEFORE, AFTER).stride(2)),
                        new BatchNorm2d(4),
                        new ReLU(),
                        new DeQuantStub());
        model.call(Tensors.randn(8, 2, 7, 7));
        return model;
    }

    private static double error(Tensor expected, Tensor actual) {
        return actual.sub(expected).norm().item_float() / expected.norm().item_float();
    }

    @ParameterizedTest
    @ValueSource(strings = {"x86", "fbgemm", "qnnpack", "onednn"})
    @DisplayName("train for integers, and compute as trained when they are converted")
    void training(String engine) {
        Sequential model = network();
        Quantization.fuseModulesQat(model, List.of("1", "2", "3"));
        model.qconfig(QConfig.qatForBackend(engine));
        Quantization.prepareQat(model);
        Tensor x = Tensors.randn(8, 2, 7, 7);
        model.call(x).sum().backward();
        model.eval();
        Tensor trained = model.call(x);
        Quantization.convert(model);
        Tensor converted = model.call(x);
        assertTrue(error(trained, converted) < 0.02, engine);
        assertTrue(
                model.get(1).toString().contains("padding=((0, 2), (1, 0))"),
                model.get(1).toString());
    }

    @Test
    @DisplayName("are saved with both paddings, and refused for a model that pads otherwise")
    void saved() {
        Sequential original = network();
        original.eval();
        Sequential model = original.copy();
        model.qconfig(QConfig.forBackend("x86"));
        Quantization.prepare(model);
        Tensor x = Tensors.randn(4, 2, 7, 7);
        Tensor expected = model.call(x);
        Quantization.convert(model);
        Path file = directory.resolve("uneven.safetensors");
        Quantization.save(model, file);
        Module loaded = Quantization.load(original, file);
        assertClose(model.call(x), loaded.call(x), 0);
        assertTrue(error(expected, loaded.call(x)) < 0.05);
        assertEquals(model.toString(), loaded.toString());
        Sequential other = network();
        other.replace(
                "1",
                new Conv2d(
                        2,
                        4,
                        3,
                        o -> o.padding(/* before= */ AFTER, /* after= */ BEFORE).stride(2)));
        String message = messageOf(() -> Quantization.load(other, file));
        assertTrue(message.contains("'1'"), message);
    }
}

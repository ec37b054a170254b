package io.espalier.quant;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

class SharedModelTest {
    private static final int THREADS = 8;
    private static final int CALLS = 100;

    @ParameterizedTest(name = "{0}, dynamic: {1}")
    @CsvSource({
        "fbgemm, false", "x86, false", "onednn, false", "qnnpack, false",
        "fbgemm, true", "x86, true", "onednn, true", "qnnpack, true"
    })
    @DisplayName(
            "Virtual and platform threads that share a quantized model get one thread's results")
    void shared(String backend, boolean dynamic) throws Exception {
        Libtorch.seed(4);
        Module model = quantized(backend, dynamic);
        Tensor x = Tensors.randn(16, 32);
        Tensor expected = model.call(x);

        List<Callable<Boolean>> work = new ArrayList<>();
        for (int i = 0; i < THREADS; i++) {
            work.add(() -> same(model, x, expected));
        }
        try (var platform = Executors.newFixedThreadPool(THREADS);
                var virtual = Executors.newVirtualThreadPerTaskExecutor()) {
            List<Future<Boolean>> results = new ArrayList<>();
            for (Callable<Boolean> one : work) {
                results.add(platform.submit(one));
                results.add(virtual.submit(one));
            }
            for (Future<Boolean> result : results) {
                assertTrue(result.get());
            }
        }
    }

    private static boolean same(Module model, Tensor x, Tensor expected) {
        for (int i = 0; i < CALLS; i++) {
            try (var scope = new PointerScope();
                    var noGrad = new NoGradGuard()) {
                if (!Tensors.equal(expected, model.call(x))) {
                    return false;
                }
            }
        }
        return true;
    }

    private static Module quantized(String backend, boolean dynamic) {
        var model = new Sequential(new Linear(32, 64), new ReLU(), new Linear(64, 8));
        model.eval();
        QConfig preset = QConfig.forBackend(backend);
        if (dynamic) {
            Quantization.quantizeDynamic(
                    model, new QConfig(preset.activation(), preset.weight(), preset.engine()));
        } else {
            model.qconfig(preset);
            Quantization.prepare(model);
            model.call(Tensors.randn(64, 32));
            Quantization.convert(model);
        }
        return model;
    }
}

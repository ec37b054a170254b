package io.espalier.quant;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Flatten;
import io.espalier.nn.Hardswish;
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
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;

class SharedModelTest {
    private static final int THREADS = 8;
    private static final int CALLS = 20;

    /** How a network comes to its integers. */
    enum Way {
        BY_LAYERS,
        BY_GRAPH,
        DYNAMIC
    }

    static Stream<Arguments> waysAndBackends() {
        return Stream.of("fbgemm", "x86", "onednn", "qnnpack")
                .flatMap(backend -> Stream.of(Way.values()).map(way -> Arguments.of(way, backend)));
    }

    @ParameterizedTest(name = "{0}, {1}")
    @MethodSource("waysAndBackends")
    @DisplayName(
            "Virtual and platform threads that share a quantized model get one thread's results")
    void shared(Way way, String backend) throws Exception {
        Libtorch.seed(4);
        Module model = quantized(way, backend);
        Tensor x = images();
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

    private static Tensor images() {
        return Tensors.randn(4, 3, 8, 8);
    }

    private static Module quantized(Way way, String backend) {
        Module model =
                new Sequential(
                        new Conv2d(3, 8, 3),
                        new BatchNorm2d(8),
                        new Hardswish(),
                        new Conv2d(8, 8, 3),
                        new ReLU(),
                        new Flatten(),
                        new Linear(128, 8));
        model.eval();
        QConfig preset = QConfig.forBackend(backend);
        switch (way) {
            case BY_LAYERS -> {
                Quantization.fuse(model, images());
                model.qconfig(preset);
                Quantization.prepare(model);
                model.call(images());
                Quantization.convert(model);
            }
            case BY_GRAPH -> {
                model.qconfig(preset);
                model = Quantization.quantize(model, images(), List.of(images()));
            }
            case DYNAMIC ->
                    Quantization.quantizeDynamic(
                            model,
                            new QConfig(preset.activation(), preset.weight(), preset.engine()));
        }
        return model;
    }
}

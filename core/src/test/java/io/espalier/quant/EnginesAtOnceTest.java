package io.espalier.quant;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.espalier.nn.Conv2d;
import io.espalier.nn.Flatten;
import io.espalier.nn.FloatFunctional;
import io.espalier.nn.Hardswish;
import io.espalier.nn.LSTM;
import io.espalier.nn.Linear;
import io.espalier.nn.MaxPool2d;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU6;
import io.espalier.nn.Sigmoid;
import io.espalier.tensor.Engine;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;

@DisplayName("Models of two engines")
class EnginesAtOnceTest {
    private static final int ROUNDS = 4;
    private static final int MODELS = 6;
    private static final int CALLS = 6;

    @TempDir Path directory;

    /** Layers with every kind of kernel that an engine may have one of its own for. */
    private static final class Network extends Module {
        final Conv2d first = add("first", new Conv2d(3, 8, 3, o -> o.padding(1)));
        final ReLU6 relu6 = add("relu6", new ReLU6());
        final Conv2d second = add("second", new Conv2d(8, 8, 3, o -> o.padding(1)));
        final Hardswish hardswish = add("hardswish", new Hardswish());
        final FloatFunctional sum = add("sum", new FloatFunctional());
        final Sigmoid sigmoid = add("sigmoid", new Sigmoid());
        final FloatFunctional product = add("product", new FloatFunctional());
        final MaxPool2d pool = add("pool", new MaxPool2d(2));
        final Flatten flatten = add("flatten", new Flatten());
        final Linear fc = add("fc", new Linear(8 * 16, 16));

        @Override
        protected Tensor forward(Tensor x) {
            Tensor y = relu6.call(first.call(x));
            Tensor z = sum.add(hardswish.call(second.call(y)), y);
            return fc.call(flatten.call(pool.call(product.mul(z, sigmoid.call(z)))));
        }
    }

    /** Layers whose weights are integers and that compute their inputs' ranges in each call. */
    private static final class Sequence extends Module {
        final Linear in = add("in", new Linear(8, 8));
        final LSTM lstm = add("lstm", new LSTM(8, 8));
        final Linear out = add("out", new Linear(8, 4));

        @Override
        protected Tensor forward(Tensor x) {
            return out.call(lstm.call(in.call(x.reshape(6, 8, 8))));
        }
    }

    private final int threads = Libtorch.threads();

    @BeforeEach
    void seed() {
        Libtorch.seed(1);
        Libtorch.threads(1);
    }

    @AfterEach
    void restore() {
        Libtorch.threads(threads);
    }

    static Stream<Arguments> pairs() {
        List<Engine> engines = List.of(Engine.values());
        return engines.stream()
                .flatMap(one ->
                        engines.stream()
                                .filter(other -> one.compareTo(other) < 0)
                                .map(other -> Arguments.of(one, other)));
    }

    @ParameterizedTest(name = "{0} and {1}")
    @MethodSource("pairs")
    @DisplayName("give, called at once for the first time, what each gives alone")
    void asAlone(Engine one, Engine other) throws Exception {
        Tensor x = Tensors.randn(2, 3, 8, 8);
        List<Copies> all = new ArrayList<>();
        for (Engine engine : List.of(one, other)) {
            all.add(byLayers(engine, x));
            all.add(dynamic(engine, x));
        }
        Map<String, Integer> wrong = new LinkedHashMap<>();
        for (int round = 0; round < ROUNDS; round++) {
            for (String found : callAtOnce(all, x)) {
                wrong.merge(found, 1, Integer::sum);
            }
        }
        assertEquals(Map.of(), wrong);
    }

    /** A saved model, of which each round loads copies that have not packed anything yet. */
    private record Copies(String name, Path file, Module original, Tensor alone) {
        Module fresh() {
            Module model = Quantization.load(original.copy(), file);
            model.eval();
            return model;
        }
    }

    private Copies byLayers(Engine engine, Tensor x) {
        Module original = new Network();
        original.eval();
        Module model = original.copy();
        model.qconfig(QConfig.forBackend(engine.toString()));
        Quantization.prepare(model);
        model.call(x);
        Quantization.convert(model);
        return saved(engine + " by layers", model, original, x);
    }

    private Copies dynamic(Engine engine, Tensor x) {
        Module original = new Sequence();
        original.eval();
        Module model = original.copy();
        QConfig preset = QConfig.forBackend(engine.toString());
        Quantization.quantizeDynamic(
                model, new QConfig(preset.activation(), preset.weight(), engine));
        return saved(engine + " dynamically", model, original, x);
    }

    private Copies saved(String name, Module model, Module original, Tensor x) {
        Path file = directory.resolve(name + ".safetensors");
        Quantization.save(model, file);
        return new Copies(name, file, original, model.call(x));
    }

    private static List<String> callAtOnce(List<Copies> all, Tensor x) throws Exception {
        CountDownLatch start = new CountDownLatch(1);
        List<Callable<String>> work = new ArrayList<>();
        for (int i = 0; i < MODELS; i++) {
            Copies copies = all.get(i % all.size());
            Module model = copies.fresh();
            work.add(() -> {
                start.await();
                return differs(model, x, copies.alone()) ? copies.name() : "";
            });
        }
        try (var pool = Executors.newFixedThreadPool(MODELS)) {
            List<Future<String>> results = new ArrayList<>();
            work.forEach(one -> results.add(pool.submit(one)));
            start.countDown();
            List<String> wrong = new ArrayList<>();
            for (Future<String> result : results) {
                if (!result.get().isEmpty()) {
                    wrong.add(result.get());
                }
            }
            return wrong;
        }
    }

    private static boolean differs(Module model, Tensor x, Tensor alone) {
        for (int i = 0; i < CALLS; i++) {
            try (var scope = new PointerScope();
                    var noGrad = new NoGradGuard()) {
                if (!Tensors.equal(alone, model.call(x))) {
                    return true;
                }
            }
        }
        return false;
    }
}

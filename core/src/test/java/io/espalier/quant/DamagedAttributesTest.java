package io.espalier.quant;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.graph.GraphModule;
import io.espalier.nn.Conv1d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Conv3d;
import io.espalier.nn.ConvTranspose1d;
import io.espalier.nn.ConvTranspose2d;
import io.espalier.nn.ConvTranspose3d;
import io.espalier.nn.Dropout;
import io.espalier.nn.Embedding;
import io.espalier.nn.EmbeddingBag;
import io.espalier.nn.Flatten;
import io.espalier.nn.FloatFunctional;
import io.espalier.nn.GRU;
import io.espalier.nn.Hardsigmoid;
import io.espalier.nn.Hardswish;
import io.espalier.nn.LSTM;
import io.espalier.nn.LayerNorm;
import io.espalier.nn.Linear;
import io.espalier.nn.MaxPool2d;
import io.espalier.nn.Module;
import io.espalier.nn.PReLU;
import io.espalier.nn.PaddingMode;
import io.espalier.nn.ReLU;
import io.espalier.nn.ReLU6;
import io.espalier.nn.Sequential;
import io.espalier.nn.SiLU;
import io.espalier.state.QuickFile;
import io.espalier.state.SafeTensors;
import io.espalier.tensor.Engine;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

import tools.jackson.core.type.TypeReference;
import tools.jackson.databind.json.JsonMapper;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * Files whose words and numbers were changed. A kernel that is handed such a number may end the
 * process, and this test with it.
 */
@DisplayName("A quantized file with a changed")
class DamagedAttributesTest {
    private static final JsonMapper JSON = new JsonMapper();
    private static final List<String> WRONG =
            List.of("0", "-1", "7", "1000000", "2147483647", "9223372036854775807", "NaN", "x", "");

    /** Each test takes one of so many changes, each engine others. */
    private static final int SHARES = 2 * Engine.values().length;

    /** Other words that are right somewhere. */
    private static final Map<String, List<String>> WORDS =
            Map.of(
                    "engine", List.of("fbgemm", "x86", "qnnpack", "onednn"),
                    "dtype", List.of("QINT8", "QUINT8", "QUINT4X2", "QINT32", "FLOAT16"),
                    "mode", List.of("SUM", "MEAN", "MAX"),
                    "activation", List.of("NONE", "RELU", "RELU6", "HARDSWISH", "SILU"),
                    "type",
                            List.of(
                                    "Quantize",
                                    "DeQuantize",
                                    "QFunctional",
                                    "QuantizedOperation",
                                    "QuantizedLinear",
                                    "QuantizedConvolution",
                                    "IntegerLinear",
                                    "IntegerConvolution",
                                    "FusedChain",
                                    "QuantizedEmbedding",
                                    "QuantizedEmbeddingBag",
                                    "QuantizedRecurrent",
                                    "DynamicLinear",
                                    "DynamicRecurrent",
                                    "QuantizedReLU6",
                                    "QuantizedDropout",
                                    "Identity",
                                    "FusedReLU",
                                    "HalfPrecision"));

    @TempDir Path directory;
    private int refused;
    private int ran;
    private int changes;
    private int share;

    @BeforeEach
    void seed() {
        Libtorch.seed(5);
    }

    /** A float model, what it is called with, and how it is quantized. */
    private record Case(Supplier<Module> model, Tensor x, Function<Case, Module> quantized) {
        Module fresh() {
            Module made = model.get();
            made.eval();
            return made;
        }
    }

    private static Case of(Tensor x, Function<Case, Module> quantized, Supplier<Module> layers) {
        return new Case(layers, x, quantized);
    }

    private static Function<Case, Module> converted(String engine) {
        return given -> {
            Module model = given.fresh();
            model.qconfig(QConfig.forBackend(engine));
            model.namedModules().values().stream()
                    .filter(EmbeddingBag.class::isInstance)
                    .forEach(bag -> bag.qconfig(null));
            Quantization.prepare(model);
            model.call(given.x());
            Quantization.convert(model);
            return model;
        };
    }

    private static Function<Case, Module> dynamic(QConfig qconfig) {
        return given -> {
            Module model = given.fresh();
            Quantization.quantizeDynamic(model, qconfig);
            return model;
        };
    }

    private static Module graph(Case given) {
        return Quantization.quantize(given.fresh(), given.x(), List.of(given.x()));
    }

    private static List<Case> layers(String engine) {
        Function<Case, Module> converted = converted(engine);
        Tensor line = Tensors.randn(2, 4, 9);
        Tensor picture = Tensors.randn(2, 4, 7, 7);
        Tensor space = Tensors.randn(1, 4, 5, 5, 5);
        Tensor rows = Tensors.randn(3, 6);
        Tensor sequence = Tensors.randn(3, 2, 6);
        return List.of(
                of(line, converted, () -> new Sequential(new Conv1d(4, 4, 3))),
                of(
                        picture,
                        converted,
                        () ->
                                new Sequential(
                                        new Conv2d(4, 6, 3, o -> o.padding(1).groups(2)),
                                        new Hardswish(),
                                        new ReLU6())),
                of(
                        picture,
                        converted,
                        () ->
                                new Sequential(
                                        new Conv2d(
                                                4,
                                                4,
                                                3,
                                                o ->
                                                        o.padding(1)
                                                                .paddingMode(
                                                                        PaddingMode.REFLECT)))),
                of(space, converted, () -> new Sequential(new Conv3d(4, 4, 2))),
                of(line, converted, () -> new Sequential(new ConvTranspose1d(4, 4, 2))),
                of(picture, converted, () -> new Sequential(new ConvTranspose2d(4, 4, 2))),
                of(space, converted, () -> new Sequential(new ConvTranspose3d(4, 4, 2))),
                of(
                        rows,
                        converted,
                        () ->
                                new Sequential(
                                        new Linear(6, 6),
                                        new Dropout(0.25),
                                        new LayerNorm(6),
                                        new PReLU())),
                of(sequence, converted, () -> new Sequential(new LSTM(6, 4, o -> o.layers(2)))),
                of(sequence, converted, () -> new Sequential(new GRU(6, 4))));
    }

    private static List<Case> dynamicLayers() {
        Tensor rows = Tensors.randn(3, 6);
        Tensor sequence = Tensors.randn(3, 2, 6);
        Tensor words = Tensors.of(new long[] {0, 3, 11, 5}, 2, 2);
        List<Case> cases = new ArrayList<>();
        for (QConfig qconfig : List.of(QConfig.dynamic(), QConfig.float16())) {
            cases.add(of(rows, dynamic(qconfig), () -> new Sequential(new Linear(6, 6))));
            cases.add(
                    of(
                            sequence,
                            dynamic(qconfig),
                            () ->
                                    new Sequential(
                                            new LSTM(6, 4, o -> o.layers(2).bidirectional(true)))));
            cases.add(of(sequence, dynamic(qconfig), () -> new Sequential(new GRU(6, 4))));
            cases.add(of(words, dynamic(qconfig), () -> new Sequential(new Embedding(12, 6))));
            cases.add(
                    of(
                            words,
                            dynamic(qconfig),
                            () -> new Sequential(new EmbeddingBag(12, 6, o -> o.paddingIndex(0)))));
        }
        return cases;
    }

    /** A residual block, whose kernels add, and layers that follow other activations. */
    private static final class Residual extends Module {
        final Conv2d stem = add("stem", new Conv2d(4, 4, 3, o -> o.padding(1)));
        final Conv2d block = add("block", new Conv2d(4, 4, 3, o -> o.padding(1)));
        final FloatFunctional sum = add("sum", new FloatFunctional());
        final MaxPool2d pool = add("pool", new MaxPool2d(2));
        final Linear head = add("head", new Linear(36, 4));
        final SiLU silu = add("silu", new SiLU());
        final Hardsigmoid gate = add("gate", new Hardsigmoid());
        final ReLU relu = add("relu", new ReLU());
        final Flatten flatten = add("flatten", new Flatten());

        @Override
        protected Tensor forward(Tensor x) {
            Tensor y = silu.call(stem.call(x));
            y = relu.call(sum.add(block.call(y), y));
            return gate.call(silu.call(head.call(flatten.call(pool.call(y)))));
        }
    }

    @ParameterizedTest
    @EnumSource(Engine.class)
    @DisplayName("word or number of a layer is refused, or computes, on every engine")
    void attributes(Engine engine) {
        share = List.of(Engine.values()).indexOf(engine);
        for (Case one : layers(engine.toString())) {
            changeWords(one);
        }
        assertTrue(refused > 50 && ran > 0, refused + " refused, " + ran + " ran");
    }

    @ParameterizedTest
    @EnumSource(Engine.class)
    @DisplayName("tensor of a layer is refused, or computes, on every engine")
    void tensors(Engine engine) {
        share = List.of(Engine.values()).indexOf(engine);
        for (Case one : layers(engine.toString())) {
            changeTensors(one);
        }
        assertTrue(refused > 50 && ran > 0, refused + " refused, " + ran + " ran");
    }

    @Test
    @DisplayName("word, number or tensor of a dynamic layer is refused, or computes")
    void dynamic() {
        for (Case one : dynamicLayers()) {
            changeWords(one);
            changeTensors(one);
        }
        assertTrue(refused > 50 && ran > 0, refused + " refused, " + ran + " ran");
    }

    @Test
    @DisplayName("word, number or tensor of a graph's layer is refused, or computes")
    void graphs() {
        Tensor picture = Tensors.randn(2, 4, 6, 6);
        Case residual = of(picture, DamagedAttributesTest::graph, Residual::new);
        changeWords(residual);
        changeTensors(residual);
        Tensor line = Tensors.randn(2, 4, 9);
        Case deep =
                of(line, DamagedAttributesTest::graph, () -> new Sequential(new Conv1d(4, 4, 3)));
        changeWords(deep);
        assertTrue(refused > 50 && ran > 0, refused + " refused, " + ran + " ran");
    }

    private void changeWords(Case one) {
        Path file = directory.resolve("whole.safetensors");
        save(one, file);
        SafeTensors.Contents whole = SafeTensors.read(file);
        Map<String, Map<String, String>> layers =
                JSON.readValue(
                        whole.metadata().getOrDefault("espalier.quantized", ""),
                        new TypeReference<>() {});
        layers.forEach((path, attributes) ->
                attributes.forEach((name, right) -> {
                    for (String wrong : wrong(name, right)) {
                        Map<String, Map<String, String>> changed = new LinkedHashMap<>(layers);
                        Map<String, String> damaged = new LinkedHashMap<>(attributes);
                        damaged.put(name, wrong);
                        changed.put(path, damaged);
                        run(one, whole, changed, whole.tensors());
                    }
                    Map<String, Map<String, String>> lacking = new LinkedHashMap<>(layers);
                    Map<String, String> fewer = new LinkedHashMap<>(attributes);
                    fewer.remove(name);
                    lacking.put(path, fewer);
                    run(one, whole, lacking, whole.tensors());
                }));
    }

    private static List<String> wrong(String name, String right) {
        List<String> all = new ArrayList<>(WORDS.getOrDefault(name, WRONG));
        all.add(right + "," + right);
        all.add("true");
        all.add("false");
        int comma = right.lastIndexOf(',');
        if (comma > 0) {
            all.add(right.substring(0, comma));
            WRONG.forEach(wrong -> all.add(right.substring(0, comma + 1) + wrong));
        }
        all.remove(right);
        return all;
    }

    private void changeTensors(Case one) {
        Path file = directory.resolve("whole.safetensors");
        save(one, file);
        SafeTensors.Contents whole = SafeTensors.read(file);
        Map<String, Map<String, String>> layers =
                JSON.readValue(
                        whole.metadata().getOrDefault("espalier.quantized", ""),
                        new TypeReference<>() {});
        whole.tensors()
                .forEach((name, right) -> {
                    for (Tensor wrong : wrong(right)) {
                        Map<String, Tensor> changed = new LinkedHashMap<>(whole.tensors());
                        changed.put(name, wrong);
                        run(one, whole, layers, changed);
                    }
                    Map<String, Tensor> fewer = new LinkedHashMap<>(whole.tensors());
                    fewer.remove(name);
                    run(one, whole, layers, fewer);
                });
    }

    private static List<Tensor> wrong(Tensor right) {
        long[] shape = Tensors.shape(right);
        long[] empty = shape.clone();
        Arrays.fill(empty, 0);
        List<Tensor> all = new ArrayList<>();
        all.add(Tensors.zeros(Tensors.type(right), empty));
        all.add(right.unsqueeze(0));
        all.add(right.reshape(-1).unsqueeze(1));
        all.add(right.reshape(-1).narrow(0, 0, Math.max(1, right.numel() - 1)));
        all.add(torch.cat(new TensorVector(right.reshape(-1), right.reshape(-1)), 0));
        all.add(
                right.to(
                        Tensors.type(right) == ScalarType.Float
                                ? ScalarType.Long
                                : ScalarType.Float));
        for (float value :
                new float[] {0, -1, 300, Float.NaN, Float.POSITIVE_INFINITY, Float.MIN_VALUE}) {
            all.add(Tensors.zeros(shape).add(new Scalar(value)).to(Tensors.type(right)));
        }
        return all;
    }

    private static void save(Case one, Path file) {
        Module quantized = one.quantized().apply(one);
        if (quantized instanceof GraphModule graph) {
            Quantization.save(graph, file);
        } else {
            Quantization.save(quantized, file);
        }
    }

    private void run(
            Case one,
            SafeTensors.Contents whole,
            Map<String, Map<String, String>> layers,
            Map<String, Tensor> tensors) {
        if (changes++ % SHARES != share) {
            return;
        }
        Path file = directory.resolve("changed.safetensors");
        Map<String, String> metadata = new LinkedHashMap<>(whole.metadata());
        metadata.put("espalier.quantized", JSON.writeValueAsString(layers));
        QuickFile.write(file, tensors, metadata);
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            Module loaded =
                    metadata.containsKey("espalier.graph")
                            ? Quantization.loadGraph(one.fresh(), file)
                            : Quantization.load(one.fresh(), file);
            loaded.eval();
            loaded.call(one.x());
            ran++;
        } catch (EspalierException e) {
            String message = String.valueOf(e.getMessage());
            assertEquals(1, message.lines().count(), message);
            refused++;
        }
    }
}

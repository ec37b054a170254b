package io.espalier.quant.graph;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.graph.GraphModule;
import io.espalier.nn.BatchNorm1d;
import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.BatchNorm3d;
import io.espalier.nn.Conv1d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Conv3d;
import io.espalier.nn.ConvTranspose1d;
import io.espalier.nn.ConvTranspose2d;
import io.espalier.nn.ConvTranspose3d;
import io.espalier.nn.Embedding;
import io.espalier.nn.EmbeddingBag;
import io.espalier.nn.EmbeddingBag.Mode;
import io.espalier.nn.Flatten;
import io.espalier.nn.Functional;
import io.espalier.nn.GRU;
import io.espalier.nn.GroupNorm;
import io.espalier.nn.LSTM;
import io.espalier.nn.LayerNorm;
import io.espalier.nn.Linear;
import io.espalier.nn.Mask;
import io.espalier.nn.Module;
import io.espalier.nn.MultiheadAttention;
import io.espalier.nn.PReLU;
import io.espalier.nn.PaddingMode;
import io.espalier.nn.Sequential;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;

@DisplayName("A file of a quantized graph with layers that stay in float")
class FloatLayersTest {
    @BeforeEach
    void seed() {
        Libtorch.seed(6);
    }

    static Stream<Arguments> layers() {
        return Stream.of(
                Arguments.of(new Linear(4, 6, o -> o.bias(false)), "4 4"),
                Arguments.of(new Conv1d(4, 6, 3, o -> o.stride(2).groups(2)), "2 4 9"),
                Arguments.of(
                        new Conv2d(
                                4,
                                6,
                                new long[] {3, 1},
                                o -> o.padding(1, 0).paddingMode(PaddingMode.CIRCULAR)),
                        "2 4 5 6"),
                Arguments.of(
                        new Conv3d(4, 2, 2, o -> o.dilation(2, 1, 1).bias(false)), "2 4 5 4 3"),
                Arguments.of(new ConvTranspose1d(4, 6, 3, o -> o.groups(2)), "2 4 5"),
                Arguments.of(
                        new ConvTranspose2d(4, 6, 3, o -> o.stride(2).outputPadding(1)), "2 4 5 4"),
                Arguments.of(new ConvTranspose3d(4, 2, 2), "2 4 3 4 3"),
                Arguments.of(new BatchNorm1d(4, o -> o.eps(0.1)), "6 4"),
                Arguments.of(new BatchNorm2d(4, o -> o.affine(false)), "2 4 3 5"),
                Arguments.of(new BatchNorm3d(4, o -> o.momentum(0.5)), "2 4 3 5 2"),
                Arguments.of(new LayerNorm(4, o -> o.eps(0.5).bias(false)), "3 4"),
                Arguments.of(new LayerNorm(new long[] {3, 4}, o -> o), "5 3 4"),
                Arguments.of(new GroupNorm(2, 4, o -> o.eps(0.2)), "2 4 6"),
                Arguments.of(new PReLU(4), "2 4 3"),
                Arguments.of(new LSTM(4, 3, o -> o.layers(2).bidirectional(true)), "5 2 4"),
                Arguments.of(new GRU(4, 3, o -> o.batchFirst(true).bias(false)), "5 2 4"),
                Arguments.of(new Masked(), "3 4"));
    }

    /** A layer of which half the weights are pruned. */
    private static Linear masked() {
        var layer = new Linear(4, 5);
        var mask = new Mask("weight");
        Tensor kept = layer.weight().gt(new Scalar(0.0)).to(ScalarType.Float);
        layer.storeAs("weight", mask.storedName());
        layer.addBuffer(mask.bufferName(), kept);
        layer.parametrize("weight", mask);
        return layer;
    }

    /** A user's own module, whose layer is the library's. */
    private static final class Masked extends Module {
        private final Linear inner = add("inner", masked());

        @Override
        protected Tensor forward(Tensor x) {
            return inner.call(x);
        }
    }

    /** A float layer, and an integer one of its results. */
    private static final class Model extends Module {
        private final Module layer;
        private final Sequential head;

        Model(Module layer, Tensor x) {
            this.layer = add("layer", layer);
            layer.eval();
            long features = layer.call(x).reshape(x.size(0), -1).size(1);
            head = add("head", new Sequential(new Flatten(), new Linear(features, 3)));
            eval();
            qconfig(QConfig.forBackend("x86"));
            layer.qconfig(null);
        }

        @Override
        protected Tensor forward(Tensor x) {
            return head.call(layer.call(x));
        }
    }

    private static Tensor randn(String shape) {
        return Tensors.randn(Stream.of(shape.split(" ")).mapToLong(Long::parseLong).toArray());
    }

    private static GraphModule saved(GraphModule quantized, Path folder) {
        Path file = folder.resolve("graph.safetensors");
        Quantization.save(quantized, file);
        return Quantization.loadGraph(file);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("layers")
    @DisplayName("gives the same bits when it is read without the model")
    void same(Module layer, String shape, @TempDir Path folder) {
        Tensor x = randn(shape);
        GraphModule quantized = Quantization.quantize(new Model(layer, x), x, List.of(x));

        GraphModule loaded = saved(quantized, folder);

        assertEquals(quantized.toString(), loaded.toString());
        assertTrue(Tensors.equal(quantized.call(x), loaded.call(x)));
    }

    @Test
    @DisplayName("gives the same bits of tables of vectors, which take integers")
    void tables(@TempDir Path folder) {
        Tensor x = Tensors.of(new long[] {1, 5, 0, 2, 2, 3}, 3, 2);
        for (Module table :
                List.of(
                        new Embedding(6, 4, 2),
                        new Embedding(6, 4),
                        new EmbeddingBag(6, 4, o -> o.mode(Mode.MAX).paddingIndex(1)))) {
            GraphModule quantized = Quantization.quantize(new Model(table, x), x, List.of(x));

            GraphModule loaded = saved(quantized, folder);

            assertEquals(quantized.toString(), loaded.toString());
            assertTrue(Tensors.equal(quantized.call(x), loaded.call(x)));
        }
    }

    /** An attention between integer layers. */
    private static final class Attentive extends Module {
        private final Linear in = add("in", new Linear(8, 8));
        private final MultiheadAttention attention =
                add("attention", new MultiheadAttention(8, 2, o -> o.batchFirst(true)));
        private final LayerNorm norm = add("norm", new LayerNorm(8));
        private final Linear out = add("out", new Linear(8, 3));

        @Override
        protected Tensor forward(Tensor x) {
            Tensor y = in.call(x);
            return out.call(norm.call(Functional.add(attention.call(y, y, y), y)));
        }
    }

    @ParameterizedTest
    @org.junit.jupiter.params.provider.ValueSource(strings = {"x86", "onednn", "fbgemm", "qnnpack"})
    @DisplayName("holds attentions and normalizations between integer layers of every engine")
    void attention(String engine, @TempDir Path folder) {
        var model = new Attentive();
        model.eval();
        model.qconfig(QConfig.forBackend(engine));
        Tensor x = Tensors.randn(2, 5, 8);
        GraphModule quantized = Quantization.quantize(model, x, List.of(x));

        assertTrue(Tensors.equal(quantized.call(x), saved(quantized, folder).call(x)));
    }

    /** A layer of a user's own, with the name and tensors of one of the library's. */
    private static final class Own extends Module {
        private final Linear inner = add("inner", new Linear(4, 4));

        @Override
        protected Tensor forward(Tensor x) {
            return inner.call(x).exp();
        }
    }

    @Test
    @DisplayName("is refused where a layer's code is the user's own, which a model brings")
    void own(@TempDir Path folder) {
        Tensor x = Tensors.randn(3, 4);
        var model = new Model(new Own(), x);
        GraphModule quantized = Quantization.quantize(model, x, List.of(x));
        Path file = folder.resolve("graph.safetensors");
        Quantization.save(quantized, file);

        String message = messageOf(() -> Quantization.loadGraph(file));

        assertTrue(message.contains("left 'layer' in float, whose code it does not hold"), message);
        GraphModule loaded = Quantization.loadGraph(model, file);
        assertTrue(Tensors.equal(quantized.call(x), loaded.call(x)));
    }

    @Test
    @DisplayName("makes no layer of settings that its constructor refuses")
    void damaged() {
        layers().forEach(arguments -> {
            Module layer = (Module) Objects.requireNonNull(arguments.get()[0]);
            FloatLayers.describe(layer)
                    .ifPresent(description -> {
                        Map<String, Tensor> tensors = new HashMap<>(layer.stateDict());
                        FloatLayers.restore("it", description, tensors);
                        for (String name : description.keySet()) {
                            for (String wrong :
                                    List.of("", "-1", "x", "1e9", "99999999999999999999")) {
                                Map<String, String> changed = new HashMap<>(description);
                                changed.put(name, wrong);
                                if (isRefused(name, wrong)) {
                                    assertThrows(
                                            EspalierException.class,
                                            () -> FloatLayers.restore("it", changed, tensors),
                                            description + " with " + name + "=" + wrong);
                                }
                            }
                        }
                        if (layer.hasParameter("weight")) {
                            assertThrows(
                                    EspalierException.class,
                                    () -> FloatLayers.restore("it", description, Map.of()));
                        }
                    });
        });
    }

    @Test
    @DisplayName("makes no convolution that pads by more than any network does")
    void padding() {
        var layer = new Conv2d(1, 1, 3);
        Map<String, String> description = new HashMap<>(FloatLayers.describe(layer).orElseThrow());
        description.put("padding", "65536,1");
        FloatLayers.restore("it", description, layer.stateDict());
        description.put("padding", "1000000,1");

        String message = messageOf(() -> FloatLayers.restore("it", description, layer.stateDict()));

        assertTrue(message.contains("1000000,1; a file's paddings are at most 65536"), message);
    }

    /** Real numbers may be large, and sizes that the tensors say are not read. */
    private static boolean isRefused(String name, String wrong) {
        boolean real = List.of("eps", "momentum", "dropout").contains(name);
        boolean unread = List.of("shape", "features", "channels").contains(name);
        return !unread && !(real && List.of("1e9", "99999999999999999999").contains(wrong));
    }
}

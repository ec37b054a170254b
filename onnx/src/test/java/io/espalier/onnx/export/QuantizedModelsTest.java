package io.espalier.onnx.export;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.graph.GraphModule;
import io.espalier.nn.AdaptiveAvgPool2d;
import io.espalier.nn.AvgPool2d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.ConvTranspose2d;
import io.espalier.nn.ELU;
import io.espalier.nn.Embedding;
import io.espalier.nn.EmbeddingBag;
import io.espalier.nn.Flatten;
import io.espalier.nn.FloatFunctional;
import io.espalier.nn.Functional;
import io.espalier.nn.GRU;
import io.espalier.nn.Hardswish;
import io.espalier.nn.LSTM;
import io.espalier.nn.LayerNorm;
import io.espalier.nn.LeakyReLU;
import io.espalier.nn.Linear;
import io.espalier.nn.MaxPool2d;
import io.espalier.nn.Module;
import io.espalier.nn.PaddingMode;
import io.espalier.nn.ReLU;
import io.espalier.nn.ReLU6;
import io.espalier.nn.Sequential;
import io.espalier.nn.Sigmoid;
import io.espalier.nn.Softmax;
import io.espalier.onnx.model.ElementType;
import io.espalier.quant.GraphQuantization;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.function.Supplier;

@DisplayName("A quantized model's file")
class QuantizedModelsTest {
    @BeforeEach
    void seed() {
        Libtorch.seed(3);
    }

    /** Convolutions, a residual sum, pooling and a linear layer. */
    static final class Residual extends Module {
        final Conv2d conv = add("conv", new Conv2d(3, 8, 3, o -> o.padding(1)));
        final ReLU relu = add("relu", new ReLU());
        final MaxPool2d pool = add("pool", new MaxPool2d(2));
        final Conv2d deep = add("deep", new Conv2d(8, 8, 3, o -> o.padding(1)));
        final FloatFunctional sum = add("sum", new FloatFunctional());
        final AdaptiveAvgPool2d mean = add("mean", new AdaptiveAvgPool2d(1));
        final Linear fc = add("fc", new Linear(8, 4));

        @Override
        protected Tensor forward(Tensor x) {
            Tensor y = pool.call(relu.call(conv.call(x)));
            Tensor z = sum.add(deep.call(y), y);
            return fc.call(Functional.flatten(mean.call(z), 1, -1));
        }
    }

    /** A model that is quantized layer by layer, calibrated with an example. */
    private static Module eager(Module model, String backend, Tensor x) {
        model.eval();
        model.qconfig(QConfig.forBackend(backend));
        Quantization.prepare(model);
        model.call(x);
        model.call(x);
        Quantization.convert(model);
        return model;
    }

    private static GraphModule prepared(Module model, Tensor x) {
        model.eval();
        GraphModule traced = GraphModule.trace(model, x);
        traced.qconfig(QConfig.forBackend("x86"));
        GraphModule prepared = GraphQuantization.prepare(traced);
        prepared.call(x);
        return prepared;
    }

    /** The largest step between two results of a file, as its last rounding says. */
    private static double step(Exported exported) {
        var graph = exported.file().graph();
        String output = graph.outputs().getFirst().getName();
        var last = Objects.requireNonNull(graph.producer(output));
        return last.is("DequantizeLinear")
                ? Objects.requireNonNull(graph.constant(last.input(1))).toFloats()[0]
                : 0;
    }

    /** Within one step of the output's scale, or of a hundredth of the largest result. */
    private static void assertWithinOneStep(Exported exported, Tensor... inputs) {
        Tensor expected = exported.module().callAll(List.of(inputs)).getFirst();
        Tensor floats = expected.is_quantized() ? expected.dequantize() : expected;
        Tensor given = exported.run(List.of(inputs)).getFirst();
        double apart = floats.sub(given).abs().max().item_double();
        double step = step(exported);
        double allowed = step > 0 ? 1.01 * step : 0.01 * floats.abs().max().item_double();
        assertTrue(apart <= allowed, () -> "apart by " + apart + " with steps of " + step);
    }

    private static long count(Exported exported, String op) {
        return exported.file().graph().nodes().stream().filter(node -> node.is(op)).count();
    }

    @ParameterizedTest
    @DisplayName("gives what the converted layers give, to one step")
    @ValueSource(strings = {"x86", "fbgemm", "qnnpack", "onednn"})
    void eagerModels(String backend) {
        Tensor x = Tensors.randn(2, 3, 8, 8);
        Module model = eager(new Residual(), backend, x);

        Exported exported = Exported.of(model, x);

        assertWithinOneStep(exported, x);
        assertWithinOneStep(exported, Tensors.randn(3, 3, 8, 8));
        assertEquals(
                ElementType.INT8,
                Objects.requireNonNull(exported.file().graph().constant("conv.weight")).type());
    }

    @Test
    @DisplayName("gives what a graph of integer kernels gives, and so does that of explicit ranges")
    void graphs() {
        Tensor x = Tensors.randn(2, 3, 8, 8);
        GraphModule prepared = prepared(new Residual(), x);

        for (GraphModule graph :
                List.of(
                        GraphQuantization.convertToReference(prepared),
                        GraphQuantization.convert(prepared))) {
            Exported exported = Exported.of(graph, x);
            assertWithinOneStep(exported, x);
            assertWithinOneStep(exported, Tensors.randn(1, 3, 8, 8));
            assertTrue(
                    exported.file().graph().constants().values().stream()
                                    .filter(c -> c.type() == ElementType.INT8 && c.elements() > 1)
                                    .count()
                            >= 3);
        }
    }

    private static List<Supplier<Module>> chains() {
        return List.of(
                () -> new Sequential(new Conv2d(3, 4, 3), new Hardswish(), new Conv2d(4, 4, 1)),
                () -> new Sequential(new Conv2d(3, 4, 3), new ELU(0.7), new Flatten()),
                () -> new Sequential(new Conv2d(3, 4, 3), new LeakyReLU(0.1), new AvgPool2d(2)),
                () -> new Sequential(new Conv2d(3, 4, 3), new Sigmoid(), new Conv2d(4, 2, 1)),
                () -> new Sequential(new Conv2d(3, 4, 3), new ReLU6(), new Conv2d(4, 2, 1)),
                () -> new Sequential(new Conv2d(3, 4, 3), new Flatten(), new Softmax(1)),
                () ->
                        new Sequential(
                                new Conv2d(
                                        3,
                                        4,
                                        3,
                                        o -> o.padding(2).paddingMode(PaddingMode.REFLECT)),
                                new ReLU()),
                () ->
                        new Sequential(
                                new Conv2d(
                                        3,
                                        4,
                                        3,
                                        o -> o.padding(new long[] {0, 1}, new long[] {1, 2})),
                                new ReLU()),
                () -> new Sequential(new ConvTranspose2d(3, 4, 3, o -> o.stride(2)), new ReLU()),
                () -> new Sequential(new Linear(8, 5), new LayerNorm(5), new Linear(5, 2)));
    }

    @Test
    @DisplayName("has each activation and layer between integers")
    void chainsOfLayers() {
        for (Supplier<Module> chain : chains()) {
            Tensor x = Tensors.randn(2, 3, 8, 8);
            Module model = eager(chain.get(), "fbgemm", x);

            assertWithinOneStep(Exported.of(model, x), x);
        }
    }

    @Test
    @DisplayName("is written as its QuantizeLinear, DequantizeLinear and float operators only")
    void portable() {
        Tensor x = Tensors.randn(2, 3, 8, 8);

        Exported exported = Exported.of(GraphQuantization.convert(prepared(new Residual(), x)), x);

        assertEquals(2, count(exported, "Conv"));
        assertTrue(count(exported, "QuantizeLinear") >= 3);
        assertTrue(exported.file().opsets().keySet().equals(Set.of("")));
    }

    @Test
    @DisplayName("quantizes floats anew where the layers do")
    void dynamic() {
        for (Module model :
                List.of(
                        new Sequential(new Linear(16, 8), new ReLU(), new Linear(8, 4)),
                        new Sequential(new Linear(16, 8)))) {
            model.eval();
            Tensor x = Tensors.randn(3, 16);
            Module reference = model.copy();
            Quantization.quantizeDynamic(model);

            Exported exported = Exported.of(model, x);

            assertTrue(count(exported, "MatMulInteger") > 0);
            new Exported(reference, exported.file()).assertAgree(0.03, x);
            exported.assertAgree(0.03, x);
            exported.assertAgree(0.03, Tensors.randn(1, 16));
        }
    }

    @Test
    @DisplayName("has recurrent layers with weights in integers")
    void recurrent() {
        for (Module model :
                List.of(
                        new LSTM(6, 5, o -> o.layers(2).bidirectional(true)),
                        new GRU(6, 5, o -> o.batchFirst(true)))) {
            model.eval();
            Tensor x = Tensors.randn(4, 2, 6);
            Module holder = new Sequential(model);
            holder.eval();
            Quantization.quantizeDynamic(holder);

            Exported exported = Exported.of(holder, x);

            exported.assertAgree(0.03, x);
            assertTrue(
                    exported.file().graph().constants().values().stream()
                            .anyMatch(c -> c.type() == ElementType.INT8 && c.elements() > 50));
        }
        Tensor x = Tensors.randn(4, 2, 6);
        Module statically = eager(new Sequential(new LSTM(6, 5)), "fbgemm", x);
        Exported.of(statically, x).assertAgree(0.03, x);
    }

    @Test
    @DisplayName("keeps tables of vectors in few bits")
    void tables() {
        Tensor indices = Tensors.of(new long[] {1, 4, 0, 4, 2, 2}, 2, 3);
        for (QConfig rows : List.of(QConfig.weightOnly(), QConfig.weightOnly4Bit())) {
            for (Module table : List.of(new Embedding(6, 5), new EmbeddingBag(6, 5))) {
                var model = new Sequential(table);
                model.eval();
                model.qconfig(rows);
                Quantization.prepare(model);
                Quantization.convert(model);

                Exported exported = Exported.of(model, indices);

                exported.assertAgree(1e-5, indices);
                assertEquals(
                        ElementType.UINT8,
                        Objects.requireNonNull(exported.file().graph().constant("0.weight"))
                                .type());
            }
        }
    }

    @Test
    @DisplayName("keeps 16-bit weights in 16 bit")
    void halves() {
        Tensor x = Tensors.randn(2, 3, 8, 8);
        Module layers = new Residual();
        layers.eval();
        layers.qconfig(QConfig.forBackend("float16"));
        Quantization.prepare(layers);
        Quantization.convert(layers);
        Module linear = new Sequential(new Flatten(), new Linear(192, 4));
        linear.eval();
        Quantization.quantizeDynamic(linear, QConfig.float16());

        for (Module model : List.of(layers, linear)) {
            Exported exported = Exported.of(model, x);

            exported.assertAgree(1e-3, x);
            String name = model.equals(linear) ? "1.weight" : "conv.weight";
            assertEquals(
                    ElementType.FLOAT16,
                    Objects.requireNonNull(exported.file().graph().constant(name)).type());
        }
    }

    @Test
    @DisplayName("comes of a model that was trained rounded, once it is converted")
    void trained() {
        Module model = new Residual();
        model.train();
        model.qconfig(QConfig.qatForBackend("x86"));
        Quantization.prepareQat(model);
        Tensor x = Tensors.randn(4, 3, 8, 8);
        model.call(x);
        model.eval();
        var error = assertThrows(EspalierException.class, () -> OnnxExport.of(model, x));
        assertTrue(String.valueOf(error.getMessage()).contains("convert"), error.getMessage());

        Quantization.convert(model);

        assertWithinOneStep(Exported.of(model, x), x);
    }
}

package io.espalier.onnx.export;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.demo.DigitNet;
import io.espalier.graph.FreeDimensions;
import io.espalier.graph.GraphModule;
import io.espalier.nn.AdaptiveAvgPool2d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Embedding;
import io.espalier.nn.Functional;
import io.espalier.nn.GroupNorm;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.prune.Prune;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

import java.nio.file.Path;
import java.util.List;
import java.util.Objects;

@DisplayName("A Java model's file")
class OnnxExportTest {
    private static final double SAME = 1e-5;

    @TempDir Path folder;

    @BeforeEach
    void seed() {
        Libtorch.seed(5);
    }

    private static Sequential small() {
        var model = new Sequential(new Linear(4, 3), new ReLU(), new Linear(3, 2));
        model.eval();
        return model;
    }

    private static String refusal(Executable export) {
        return String.valueOf(assertThrows(EspalierException.class, export).getMessage());
    }

    @Test
    @DisplayName("has the names, the opset and the free batch that were asked for")
    void options() {
        OnnxModel file =
                OnnxExport.of(
                        small(),
                        List.of(Tensors.randn(2, 4)),
                        o -> o.inputs("features").outputs("scores").opset(21));

        assertEquals(21, file.opset());
        assertEquals(10, file.irVersion());
        var input = file.graph().inputs().getFirst();
        assertEquals("features", input.getName());
        assertEquals("batch", input.getType().getTensorType().getShape().getDim(0).getDimParam());
        assertEquals(4, input.getType().getTensorType().getShape().getDim(1).getDimValue());
        var output = file.graph().outputs().getFirst();
        assertEquals("scores", output.getName());
        assertEquals("batch", output.getType().getTensorType().getShape().getDim(0).getDimParam());
    }

    @Test
    @DisplayName("normalizes groups of channels of any number of examples, none among them")
    void groupsOfNothing() {
        for (long[] shape : List.of(new long[] {2, 8}, new long[] {2, 8, 5, 3})) {
            var norm = new GroupNorm(4, 8);
            norm.eval();
            long[] none = shape.clone();
            none[0] = 0;
            var exported = Exported.of(norm, Tensors.randn(shape));

            exported.assertAgree(SAME, Tensors.randn(none));
            exported.assertAgree(SAME, Tensors.randn(shape));
        }
    }

    @Test
    @DisplayName("comes back from disk as it was")
    void saved() {
        OnnxModel file = OnnxExport.of(small(), Tensors.randn(2, 4));
        Path path = folder.resolve("m.onnx");

        file.save(path);

        assertEquals(file.toProto(), OnnxModel.load(path).toProto());
    }

    @Test
    @DisplayName("has pruned weights as they are computed with")
    void pruned() {
        Sequential model = small();
        Prune.l1Unstructured(model.get(0), "weight", 0.5);
        Tensor x = Tensors.randn(2, 4);

        Exported exported = Exported.of(model, x);

        exported.assertAgree(SAME, x);
        float[] weight =
                Objects.requireNonNull(exported.file().graph().constant("0.weight")).toFloats();
        int zeros = 0;
        for (float value : weight) {
            zeros += value == 0 ? 1 : 0;
        }
        assertEquals(6, zeros);
        assertEquals(4, exported.file().graph().constants().size());
    }

    @Test
    @DisplayName("of the demo's network gives its results: float, pruned, and in integers")
    void demo() {
        Tensor images = Tensors.randn(4, 1, 28, 28);
        var model = new DigitNet();
        model.call(images);
        model.eval();
        Exported.of(model, images).assertAgree(SAME, Tensors.randn(2, 1, 28, 28));

        Prune.l1Unstructured(model.module("fc1"), "weight", 0.8);
        Exported.of(model, images).assertAgree(SAME, Tensors.randn(2, 1, 28, 28));

        GraphModule graph = Quantization.quantize(model, images, List.of(images));
        Exported.of(graph, images).assertAgree(0.01, images);

        Quantization.fuse(model, images);
        model.qconfig(QConfig.forBackend("x86"));
        Quantization.prepare(model);
        model.call(images);
        Quantization.convert(model);
        Exported.of(model, images).assertAgree(0.01, images);
    }

    /** Reshapes by the sizes of its input. */
    static final class BySizes extends Module {
        final Linear fc = add("fc", new Linear(6, 6));

        @Override
        protected Tensor forward(Tensor x) {
            long batch = x.size(0);
            long length = x.size(1);
            Tensor y = fc.call(Functional.reshape(x, batch * length, 6));
            Tensor heads = Functional.reshape(y, batch, length, 2, 3);
            return Functional.reshape(Functional.transpose(heads, 1, 2), batch, 2, length * 3);
        }
    }

    @Test
    @DisplayName("computes sizes from those of its inputs, as far as these are free")
    void sizes() {
        var model = new BySizes();
        model.eval();
        Tensor x = Tensors.randn(2, 5, 6);
        var free = FreeDimensions.of("batch", "length");

        var exported = new Exported(model, OnnxExport.of(model, List.of(x), o -> o.free(free)));

        exported.assertAgree(SAME, x);
        exported.assertAgree(SAME, Tensors.randn(3, 7, 6));
        exported.assertAgree(SAME, Tensors.randn(1, 1, 6));
    }

    @Test
    @DisplayName("takes pictures of any size where that is asked for and can be")
    void freePictures() {
        var pooled = new Sequential(new Conv2d(3, 4, 3), new AdaptiveAvgPool2d(1));
        pooled.eval();
        Tensor x = Tensors.randn(2, 3, 8, 9);
        var free = FreeDimensions.of("batch", "", "height", "width");

        new Exported(pooled, OnnxExport.of(pooled, List.of(x), o -> o.free(free)))
                .assertAgree(SAME, Tensors.randn(1, 3, 12, 7));

        var uneven = new Sequential(new Conv2d(3, 4, 3), new AdaptiveAvgPool2d(2));
        uneven.eval();
        String refusal = refusal(() -> OnnxExport.of(uneven, List.of(x), o -> o.free(free)));
        assertTrue(refusal.contains("adaptive_avg_pool2d"), refusal);
        assertTrue(refusal.contains("free"), refusal);
    }

    @Test
    @DisplayName("has a weight that two layers share once")
    void tied() {
        Tensor weight = Tensors.randn(100, 8);
        var model =
                new Sequential(
                        Embedding.of(weight), Linear.of(new Tensor(weight), null), new ReLU());
        model.eval();
        Tensor indices = Tensors.of(new long[] {3, 1, 99}, 3);

        Exported exported = Exported.of(model, indices);

        exported.assertAgree(SAME, indices);
        assertEquals(1, exported.file().graph().constants().size());
    }

    /** Computes with libtorch itself. */
    static final class Foreign extends Module {
        @Override
        protected Tensor forward(Tensor x) {
            return x.mul(x);
        }
    }

    @Test
    @DisplayName("is refused with the place of what no file can hold")
    void refusals() {
        Tensor x = Tensors.randn(2, 4);
        var foreign = new Sequential(new Linear(4, 4), new Foreign());
        foreign.eval();
        assertTrue(refusal(() -> OnnxExport.of(foreign, x)).contains("self.1("), "place");

        Sequential training = small();
        training.train();
        assertTrue(refusal(() -> OnnxExport.of(training, x)).contains("eval()"));

        Sequential hooked = small();
        try (var registration = hooked.get(0).onOutput((module, tensors) -> tensors)) {
            String refusal = refusal(() -> OnnxExport.of(hooked, x));
            assertTrue(refusal.contains("'0'") && refusal.contains("hook"), refusal);
        }
        assertTrue(
                refusal(() -> OnnxExport.of(small(), List.of(x), o -> o.opset(12)))
                        .contains("17 to 23"));
        assertTrue(
                refusal(() -> OnnxExport.of(small(), List.of(x), o -> o.inputs("a", "b")))
                        .contains("inputs"));
        GraphModule graph = GraphModule.trace(small(), x);
        assertTrue(refusal(() -> OnnxExport.of(graph, x, x)).contains("2 tensors"));
    }
}

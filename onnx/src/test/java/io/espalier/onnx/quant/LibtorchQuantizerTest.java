package io.espalier.onnx.quant;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.lower.Lowering;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.quant.QuantizationResult.Layer;
import io.espalier.onnx.serve.CompressedModel;
import io.espalier.onnx.serve.NumberArray;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;

@DisplayName("A quantizer for libtorch")
class LibtorchQuantizerTest {
    @TempDir Path folder;
    private OnnxModel model;
    private Inputs data;

    @BeforeEach
    void network() {
        model =
                TestGraphs.opset(17)
                        .input("x: Float[N, 3, 16, 16]")
                        .weight("w0", 32, 3, 3, 3)
                        .weight("w1", 64, 32, 3, 3)
                        .weight("w2", 64, 24)
                        .node("c0 = Conv(x, w0)", n -> n.with("pads", List.of(1L, 1L, 1L, 1L)))
                        .node("a0 = HardSwish(c0)")
                        .node("c1 = Conv(a0, w1)")
                        .node("a1 = HardSwish(c1)")
                        .node("p = GlobalAveragePool(a1)")
                        .node("f = Flatten(p)")
                        .node("scores.1 = MatMul(f, w2)")
                        .output("scores.1")
                        .build();
        data =
                Inputs.of(
                        Stream.generate(() -> Map.of("x", Tensors.rand(4, 3, 16, 16)))
                                .limit(3)
                                .toList());
    }

    private static long inIntegers(LibtorchResult result) {
        return result.layers().stream().filter(layer -> layer.precision().equals("int8")).count();
    }

    @Test
    @DisplayName(
            "gives a small model that a program runs by its names, with nearly the same results")
    void small() {
        LibtorchResult result = Quantizer.auto().threads(1).quantizeForLibtorch(model, data);
        Path file = folder.resolve("small.safetensors");
        result.save(file);

        assertEquals(3, inIntegers(result), result.table());
        assertTrue(result.size() < 0.4, result.summary());
        assertTrue(result.drop() < 0.01, result.summary());
        Path original = folder.resolve("model.onnx");
        model.save(original);
        float[] image = Tensors.floats(Tensors.rand(1, 3, 16, 16));
        try (var small = CompressedModel.load(file);
                var float32 = CompressedModel.load(original)) {
            var x = NumberArray.of(image, 1, 3, 16, 16);
            float[] expected = float32.run(x).floats();
            float[] found = small.run(x).floats();

            assertEquals("[scores.1: float [N, 24]]", small.outputs().toString());
            float largest = Tensors.of(expected).abs().max().item_float();
            assertArrayEquals(expected, found, 0.1f * largest);
        }
    }

    @Test
    @DisplayName("gives layers back to floats where integers lose too much")
    void givesBack() {
        LibtorchResult strict =
                Quantizer.auto().threads(1).maxDrop(1e-9).quantizeForLibtorch(model, data);

        assertTrue(inIntegers(strict) < 3, strict.table());
        assertTrue(strict.table().contains("float"), strict.table());
    }

    /** Channel 0 of a1 is far larger than all others, and what reads it makes nothing of it. */
    private static OnnxModel withOutlyingChannel() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, 3, 16, 16]")
                        .weight("w0", 8, 3, 3, 3)
                        .weight("w1", 64, 8, 1, 1)
                        .weight("w2", 64, 64, 3, 3)
                        .weight("w3", 8, 64, 1, 1)
                        .weight("w4", 8, 8, 1, 1)
                        .weight("w5", 128, 24)
                        .node("a0 = Conv(x, w0)")
                        .node("h0 = HardSwish(a0)")
                        .node("c1 = Conv(h0, w1)")
                        .node("a1 = HardSwish(c1)")
                        .node("c2 = Conv(a1, w2)")
                        .node("a2 = HardSwish(c2)")
                        .node("c3 = Conv(a2, w3)")
                        .node("a3 = HardSwish(c3)")
                        .node("c4 = Conv(a3, w4)")
                        .node(
                                "p = AveragePool(c4)",
                                n ->
                                        n.with("kernel_shape", List.of(3L, 3L))
                                                .with("strides", List.of(3L, 3L)))
                        .node("f = Flatten(p)")
                        .node("y = MatMul(f, w5)")
                        .output("y")
                        .build();
        float[] w1 = floats(model, "w1");
        for (int i = 0; i < 8; i++) {
            w1[i] = 50 * Math.abs(w1[i]);
        }
        float[] w2 = floats(model, "w2");
        for (int i = 0; i < w2.length; i++) {
            w2[i] *= i / 9 % 64 == 0 ? 1e-6f : 1;
        }
        model.graph().setConstant("w1", ConstantTensor.floats(List.of(64L, 8L, 1L, 1L), w1));
        model.graph().setConstant("w2", ConstantTensor.floats(List.of(64L, 64L, 3L, 3L), w2));
        return model;
    }

    private static float[] floats(OnnxModel model, String constant) {
        return Objects.requireNonNull(model.graph().constant(constant)).toFloats();
    }

    @Test
    @DisplayName("gives back the layer whose codes cost the results most, not the first ones")
    void givesBackWhatCosts() {
        LibtorchResult result =
                Quantizer.auto()
                        .threads(1)
                        .maxDrop(0.01)
                        .quantizeForLibtorch(withOutlyingChannel(), data);

        assertEquals(
                List.of("w2"),
                result.layers().stream()
                        .filter(layer -> layer.precision().equals("float"))
                        .map(Layer::name)
                        .toList(),
                result.table());
    }

    @Test
    @DisplayName("keeps in floats what it is told to, and leaves the model as it is")
    void keepsFloat() {
        String before = model.toProto().toString();
        LibtorchResult result =
                Quantizer.auto().threads(1).keepFloat("*1").quantizeForLibtorch(model, data);

        assertEquals(2, inIntegers(result), result.table());
        assertEquals(before, model.toProto().toString());
    }

    @Test
    @DisplayName("says where there is nothing to quantize, or libtorch lacks an operator")
    void refuses() {
        OnnxModel sum =
                TestGraphs.opset(17)
                        .input("x: Float[N, 3, 16, 16]")
                        .node("y = Add(x, x)")
                        .output("y")
                        .build();
        var refused =
                assertThrows(
                        EspalierException.class,
                        () -> Quantizer.auto().quantizeForLibtorch(sum, data));
        assertEquals(
                "Nothing to quantize for libtorch: the model has no convolution or linear layer"
                        + " with constant weights in floats.",
                refused.getMessage());
        var unknown =
                assertThrows(
                        EspalierException.class,
                        () -> Quantizer.auto().keepFloat("none").quantizeForLibtorch(model, data));
        assertTrue(
                String.valueOf(unknown.getMessage())
                        .startsWith(
                                "No layer to be kept float is named 'none'; the model's layers"),
                unknown::getMessage);
    }

    @Test
    @DisplayName("leaves no journal behind in which nothing was found")
    void noJournal() {
        Path journal = folder.resolve("journal");

        assertThrows(
                EspalierException.class,
                () ->
                        Quantizer.auto()
                                .keepFloat("none")
                                .journal(journal)
                                .quantizeForLibtorch(model, data));

        assertFalse(Files.exists(journal));
    }

    @Test
    @DisplayName("joins batches of one shape where the model takes any number")
    void joins() {
        var lowered = Lowering.lower(model);
        Map<String, Tensor> four = Map.of("x", Tensors.rand(4, 3, 16, 16));
        Map<String, Tensor> other = Map.of("x", Tensors.rand(2, 3, 16, 16));

        Tensor joined = JoinedBatches.of(lowered, List.of(four, other, four)).getFirst();

        assertArrayEquals(new long[] {10, 3, 16, 16}, Tensors.shape(joined));
    }
}

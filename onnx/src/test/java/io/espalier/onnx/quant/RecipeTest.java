package io.espalier.onnx.quant;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

@DisplayName("A recipe")
class RecipeTest {
    @TempDir Path folder;

    @Test
    @DisplayName("is what became of the layers, and makes the same model again, through a file")
    void again() {
        OnnxModel model = network();
        Inputs data = data();
        QuantizationResult first = Quantizer.auto().threads(1).quantize(model, data);
        Path file = folder.resolve("recipe.yaml");

        first.recipe().save(file);
        QuantizationResult second =
                Quantizer.auto().threads(1).recipe(Recipe.load(file)).quantize(model, data);

        assertEquals(first.recipe(), second.recipe());
        assertEquals(first.model().toProto().getGraph(), second.model().toProto().getGraph());
    }

    @Test
    @DisplayName("that was written by hand decides each layer")
    void byHand() {
        var recipe =
                new Recipe(
                        Map.of(
                                "c0/Conv", "int8",
                                "c1/Conv", "float",
                                "m/MatMul", "int8 dynamic",
                                "y/MatMul", "float"));

        OnnxModel quantized = Quantizer.auto().recipe(recipe).quantize(network(), data()).model();

        List<String> ops = quantized.graph().nodes().stream().map(OnnxNode::op).toList();
        assertEquals(1, ops.stream().filter("QLinearConv"::equals).count(), ops.toString());
        assertEquals(1, ops.stream().filter("Conv"::equals).count(), ops.toString());
        assertEquals(1, ops.stream().filter("MatMul"::equals).count(), ops.toString());
        assertTrue(ops.contains("DynamicQuantizeLinear"), ops.toString());
    }

    @Test
    @DisplayName("of another model is refused by the layer's name")
    void otherModel() {
        var recipe = new Recipe(Map.of("stem", "int8"));

        var refusal =
                assertThrows(
                        EspalierException.class,
                        () -> Quantizer.auto().recipe(recipe).quantize(network(), data()));

        assertTrue(String.valueOf(refusal.getMessage()).contains("'stem'"), refusal.toString());
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "nothing | no YAML",
                "{a: [ | no YAML",
                "espalier-recipe: 1 | no 'layers'",
                "{espalier-recipe: 2, layers: {a: int8}} | version is 2",
                "{espalier-recipe: 1, layers: {a: int3}} | layer 'a' is int3",
                "{espalier-recipe: 1, layers: {a: null}} | no precision",
                "{espalier-recipe: 1, layers: {a: int8}, more: 1} | no YAML",
            })
    @DisplayName("that is none is refused with the reason")
    void damaged(String text, String reason) throws IOException {
        Path file = Files.writeString(folder.resolve("r.yaml"), text);

        var refusal = assertThrows(EspalierException.class, () -> Recipe.load(file));

        assertTrue(String.valueOf(refusal.getMessage()).contains(reason), refusal.toString());
    }

    private static Inputs data() {
        torch.manual_seed(3);
        List<Map<String, Tensor>> batches =
                Stream.generate(() -> Map.of("x", Tensors.rand(4, 3, 16, 16))).limit(3).toList();
        return Inputs.of(batches);
    }

    private static OnnxModel network() {
        return TestGraphs.opset(17)
                .input("x: Float[N, 3, 16, 16]")
                .weight("w0", 32, 3, 3, 3)
                .weight("w1", 64, 32, 3, 3)
                .weight("w2", 64, 64)
                .weight("w3", 64, 32)
                .node("c0 = Conv(x, w0)")
                .node("r0 = Relu(c0)")
                .node("c1 = Conv(r0, w1)")
                .node("r1 = Relu(c1)")
                .node("g = GlobalAveragePool(r1)")
                .node("f = Flatten(g)")
                .node("m = MatMul(f, w2)")
                .node("n = Relu(m)")
                .node("y = MatMul(n, w3)")
                .output("y")
                .build();
    }
}

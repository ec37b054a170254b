package io.espalier.onnx.quant;

import static io.espalier.onnx.quant.EmbeddingPrecision.INT4;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.proto.OperatorSetIdProto;
import io.espalier.onnx.quant.matmul.RoundingMethod;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
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
                Recipe.of(
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
        var recipe = Recipe.of(Map.of("stem", "int8"));
        List<String> begun = new ArrayList<>();
        Quantizer told =
                Quantizer.auto().recipe(recipe).progress(progress -> begun.add(progress.step()));

        var refusal = assertThrows(EspalierException.class, () -> told.quantize(network(), data()));

        assertEquals(List.of("repairing the graph"), begun);
        assertTrue(String.valueOf(refusal.getMessage()).contains("'stem'"), refusal.toString());
    }

    @Test
    @DisplayName("makes the same file again, which names no operators that it has not")
    void sameFile() {
        OnnxModel model =
                OnnxModel.of(
                        network().toProto().toBuilder()
                                .clearOpsetImport()
                                .addOpsetImport(OperatorSetIdProto.newBuilder().setVersion(17))
                                .build());
        Quantizer dynamic = Quantizer.of(QuantizationMode.DYNAMIC).keepFloat("c*");

        QuantizationResult first = dynamic.quantize(model, data());
        QuantizationResult second = Quantizer.auto().recipe(first.recipe()).quantize(model, data());
        QuantizationResult byHand =
                Quantizer.auto()
                        .recipe(Recipe.of(Map.of("m/MatMul", "int8 dynamic")))
                        .quantize(model, data());

        assertEquals(Set.of(""), byHand.model().opsets().keySet());
        assertEquals(Set.of(""), first.model().opsets().keySet());
        assertEquals(first.model().toProto(), second.model().toProto());
    }

    @ParameterizedTest
    @MethodSource("ways")
    @DisplayName("has all that made a model in any mode, and makes the same again, through a file")
    void everyMode(String name, Quantizer quantizer) {
        OnnxModel model = ofAllKinds(name.endsWith("4 bits") ? 8192 : 256);
        Inputs data = dataOfAllKinds();
        QuantizationResult first = quantizer.threads(1).quantize(model, data);
        Path file = folder.resolve("recipe.yaml");

        first.recipe().save(file);
        QuantizationResult second =
                Quantizer.auto().threads(1).recipe(Recipe.load(file)).quantize(model, data);

        assertEquals(first.recipe(), second.recipe());
        assertEquals(first.recipe(), Recipe.load(file));
        assertEquals(
                first.model().toProto().getGraph().getNodeList(),
                second.model().toProto().getGraph().getNodeList());
        assertEquals(first.model().toProto(), second.model().toProto());
    }

    static Stream<Arguments> ways() {
        return Stream.of(
                way(
                        "auto, tables in 4 bits",
                        QuantizationMode.AUTO,
                        q -> q.embeddings(INT4).maxDrop(0.5).keepFloat("c0*", "l/*")),
                way("static", QuantizationMode.STATIC, q -> q.reduceRange().keepFloat("c1*", "m*")),
                way("portable", QuantizationMode.STATIC, q -> q.portable().perTensor()),
                way("fitted", QuantizationMode.STATIC, Quantizer::fittingWeights),
                way("dynamic", QuantizationMode.DYNAMIC, q -> q),
                way("weights", QuantizationMode.WEIGHT_ONLY, q -> q.keepFloat("y*")),
                way(
                        "4 bits",
                        QuantizationMode.WEIGHT_ONLY,
                        q -> q.bits(4).blockSize(16).rounding(RoundingMethod.NEAREST)),
                way("halves", QuantizationMode.FLOAT16, q -> q.keepFloat("c1*")));
    }

    private static Arguments way(
            String name, QuantizationMode mode, UnaryOperator<Quantizer> settings) {
        return Arguments.of(name, settings.apply(Quantizer.of(mode)));
    }

    @Test
    @DisplayName("leaves in floats what it does not name, and takes more of that beside it")
    void unnamed() {
        var recipe = Recipe.of(Map.of("c0/Conv", "int8", "m/MatMul", "int8"));

        QuantizationResult result =
                Quantizer.auto().recipe(recipe).keepFloat("m*").quantize(network(), data());

        assertEquals(Map.of("c0/Conv", "int8"), inFewBits(result));
    }

    private static Map<String, String> inFewBits(QuantizationResult result) {
        return result.recipe().layers().entrySet().stream()
                .filter(layer -> !layer.getValue().equals("float"))
                .collect(Collectors.toMap(Map.Entry::getKey, Map.Entry::getValue));
    }

    @Test
    @DisplayName("that wants what can't be is refused with the layer and what it could be")
    void impossible() {
        var recipe = Recipe.of(Map.of("c0/Conv", "int8 dynamic"));

        var refusal =
                assertThrows(
                        EspalierException.class,
                        () -> Quantizer.auto().recipe(recipe).quantize(network(), data()));

        assertEquals(
                "The recipe has layer 'c0/Conv' in int8 dynamic, which it can't be in mode auto; it"
                        + " would be in float.",
                refusal.getMessage());
    }

    @Test
    @DisplayName("decides bits by itself, and 4 of them are never standard operators")
    void together() {
        Quantizer bits = Quantizer.auto().embeddings(INT4).recipe(Recipe.of(Map.of()));
        Quantizer portable = Quantizer.auto().portable().recipe(Recipe.of(Map.of("t", "int4")));

        assertTrue(refusal(bits).contains("leave these settings out"), refusal(bits));
        assertTrue(refusal(portable).contains("leave 'portable' out"), refusal(portable));
    }

    private static String refusal(Quantizer quantizer) {
        return String.valueOf(
                assertThrows(EspalierException.class, () -> quantizer.quantize(network(), data()))
                        .getMessage());
    }

    @Test
    @DisplayName("of the first version has layers alone, and is still read")
    void firstVersion() throws IOException {
        Path file = folder.resolve("r.yaml");
        Files.writeString(file, "---\nespalier-recipe: 1\nlayers:\n  a: \"int8\"\n  b: float\n");

        assertEquals(Recipe.of(Map.of("a", "int8", "b", "float")), Recipe.load(file));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '"',
            value = {
                "nothing | line 1: it has no 'espalier-recipe' and no 'layers'",
                "espalier-recipe: 2;layers: {a: int8 | line 2: it is no YAML",
                "espalier-recipe: 1 | it has no 'layers'",
                "layers: {} | it has no 'espalier-recipe'",
                "{espalier-recipe: 3, layers: {a: int8}} | its version is 3; this is version 2",
                "espalier-recipe: 2;layers:;  a: int3 | line 3: layer 'a' is int3; a layer is in"
                        + " int8,",
                "espalier-recipe: 2;layers:;  a: int8;  a: int4 | line 4: layer 'a' is there"
                        + " twice",
                "{espalier-recipe: 1, layers: {a: null}} | 'a' has no value",
                "espalier-recipe: 2;layers: {a: int8};portabel: true | line 3: a recipe has no"
                        + " 'portabel'; it has espalier-recipe, mode,",
                "espalier-recipe: 2;portable: yes;layers: {} | line 2: 'portable' is true or"
                        + " false, not yes",
                "espalier-recipe: 2;mode: fast;layers: {} | line 2: 'mode' is one of auto,"
                        + " static, dynamic, weight-only, float16, not fast",
                "espalier-recipe: 2;bits: four;layers: {} | line 2: 'bits' is a number, not four",
                "espalier-recipe: 2;bits: 5;layers: {} | Weights have 8 bits or 4, not 5",
                "espalier-recipe: 2;mode: static;bits: 4;layers: {} | for the mode WEIGHT_ONLY",
                "espalier-recipe: 2;layers: {};---;a: 1 | it goes on after its end",
            })
    @DisplayName("that is none is refused with the line and the reason")
    void damaged(String text, String reason) throws IOException {
        Path file = Files.writeString(folder.resolve("r.yaml"), text.replace(';', '\n'));

        var refusal = assertThrows(EspalierException.class, () -> Recipe.load(file));

        assertTrue(String.valueOf(refusal.getMessage()).contains(reason), refusal.toString());
    }

    private static Inputs dataOfAllKinds() {
        torch.manual_seed(3);
        List<Map<String, Tensor>> batches =
                Stream.generate(() ->
                                Map.of(
                                        "x",
                                        Tensors.rand(4, 3, 16, 16),
                                        "ids",
                                        Tensors.of(new long[] {1, 5, 9, 255}, 1, 4)))
                        .limit(2)
                        .toList();
        return Inputs.of(batches);
    }

    /** Convolutions, products, a table that is worth 4 bits, and a recurrent layer. */
    private static OnnxModel ofAllKinds(int rows) {
        return TestGraphs.opset(17)
                .input("x: Float[N, 3, 16, 16]")
                .input("ids: Int64[1, 4]")
                .weight("w0", 32, 3, 3, 3)
                .weight("w1", 64, 32, 3, 3)
                .weight("w2", 64, 64)
                .weight("w3", 64, 32)
                .weight("table", rows, 128)
                .weight("wl", 1, 64, 128)
                .weight("rl", 1, 64, 16)
                .node("c0 = Conv(x, w0)")
                .node("r0 = Relu(c0)")
                .node("c1 = Conv(r0, w1)")
                .node("r1 = Relu(c1)")
                .node("g = GlobalAveragePool(r1)")
                .node("f = Flatten(g)")
                .node("m = MatMul(f, w2)")
                .node("n = Relu(m)")
                .node("y = MatMul(n, w3)")
                .node("t = Gather(table, ids)")
                .node("l = LSTM(t, wl, rl)", node -> node.with("hidden_size", 16L))
                .output("y")
                .output("l")
                .build();
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

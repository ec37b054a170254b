package io.espalier.onnx.zoo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.lower.Lowering;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.quant.QuantizationMode;
import io.espalier.onnx.quant.QuantizationResult;
import io.espalier.onnx.quant.Quantizer;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Stream;

/** All of the zoo with {@code -Dzoo=all}, which the build's slow profile sets; else some of it. */
@DisplayName("A quantizer refuses no architecture:")
class QuantizedZooTest {
    private static final double BUDGET = 0.01;

    /** Of the largest result. */
    private static final double ON_LIBTORCH = 0.03;

    private static final Set<String> SOME =
            Set.of(
                    "MobileNetV3",
                    "UNet",
                    "BERT",
                    "CRNN, LSTM",
                    "labels",
                    "sequences",
                    "half picture",
                    "functions");

    private static Stream<DynamicTest> each(QuantizationMode mode) {
        boolean all = System.getProperty("zoo", "some").equals("all");
        return Zoo.models().entrySet().stream()
                .filter(model -> all || SOME.contains(model.getKey()))
                .flatMap(model ->
                        Stream.of(Exporter.values())
                                .filter(exporter -> all || isTried(exporter, mode))
                                .map(exporter ->
                                        DynamicTest.dynamicTest(
                                                model.getKey() + ", " + exporter,
                                                () ->
                                                        quantize(
                                                                model.getValue().apply(exporter),
                                                                mode))));
    }

    /** The newer exporter in all modes, tracing where there is something to be chosen. */
    private static boolean isTried(Exporter exporter, QuantizationMode mode) {
        return exporter == Exporter.DYNAMO
                || (exporter == Exporter.TRACING && mode == QuantizationMode.AUTO);
    }

    private static void quantize(OnnxModel model, QuantizationMode mode) {
        try (var scope = new PointerScope()) {
            Quantizer quantizer =
                    mode == QuantizationMode.AUTO
                            ? Quantizer.auto().maxDrop(BUDGET)
                            : Quantizer.of(mode);
            QuantizationResult result = quantizer.threads(1).quantize(model, Batches.inputs());

            Map<String, Tensor> inputs = Batches.first(model);
            Map<String, Tensor> quantized = Batches.run(result.model(), inputs);
            assertAlike(Batches.run(model, inputs), quantized);
            if (isLowered(model)) {
                assertClose(quantized, Lowering.lower(result.model()).run(inputs));
            }
            if (mode == QuantizationMode.AUTO) {
                assertTrue(result.drop() <= BUDGET, result.summary());
                assertTrue(result.bytesAfter() <= result.bytesBefore(), result.summary());
            }
        }
    }

    private static boolean isLowered(OnnxModel model) {
        try {
            Lowering.lower(model);
            return true;
        } catch (EspalierException e) {
            return false; // libtorch lacks an operator
        }
    }

    /** What libtorch gives, where an integer may be one more here and there. */
    private static void assertClose(Map<String, Tensor> expected, Map<String, Tensor> actual) {
        expected.forEach((name, tensor) -> {
            Tensor other = Objects.requireNonNull(actual.get(name));
            if (tensor.numel() > 0) {
                Tensor wanted = tensor.to(ScalarType.Double);
                double largest = wanted.abs().max().item_double();
                double apart = wanted.sub(other.to(ScalarType.Double)).abs().max().item_double();
                assertTrue(apart <= ON_LIBTORCH * largest, () -> name + " is apart by " + apart);
            }
        });
    }

    private static void assertAlike(Map<String, Tensor> expected, Map<String, Tensor> actual) {
        assertEquals(List.copyOf(expected.keySet()), List.copyOf(actual.keySet()));
        expected.forEach((name, tensor) -> {
            Tensor other = Objects.requireNonNull(actual.get(name));
            assertEquals(Tensors.type(tensor), Tensors.type(other), name);
            if (tensor.is_floating_point()) {
                assertFalse(other.isnan().any().item_bool(), name);
            }
        });
    }

    @TestFactory
    @DisplayName("auto keeps its budget and makes nothing larger")
    Stream<DynamicTest> auto() {
        return each(QuantizationMode.AUTO);
    }

    @TestFactory
    @DisplayName("static gives numbers")
    Stream<DynamicTest> fixed() {
        return each(QuantizationMode.STATIC);
    }

    @TestFactory
    @DisplayName("dynamic gives numbers")
    Stream<DynamicTest> dynamic() {
        return each(QuantizationMode.DYNAMIC);
    }

    @TestFactory
    @DisplayName("weights alone give numbers")
    Stream<DynamicTest> weights() {
        return each(QuantizationMode.WEIGHT_ONLY);
    }

    @Test
    @DisplayName("batches may be of different lengths, and pictures of different sizes")
    void differentShapes() {
        OnnxModel bert =
                Objects.requireNonNull(Zoo.models().get("DistilBERT")).apply(Exporter.DYNAMO);
        OnnxModel pyramid =
                Objects.requireNonNull(Zoo.models().get("pyramid")).apply(Exporter.TRACING);
        try (var scope = new PointerScope()) {
            Inputs sentences =
                    Inputs.of(
                            List.of(
                                    Map.of("input_ids", ids(4, 9), "attention_mask", ids(4, 9)),
                                    Map.of("input_ids", ids(2, 5), "attention_mask", ids(2, 5))));
            Inputs pictures =
                    Inputs.of(
                            List.of(
                                    Map.of("image", Tensors.randn(1, 3, 32, 48)),
                                    Map.of("image", Tensors.randn(1, 3, 64, 32))));

            QuantizationResult words =
                    Quantizer.of(QuantizationMode.STATIC).quantize(bert, sentences);
            QuantizationResult levels =
                    Quantizer.of(QuantizationMode.STATIC).quantize(pyramid, pictures);

            assertTrue(words.drop() < 0.05, words.summary());
            assertTrue(levels.drop() < 0.05, levels.summary());
        }
    }

    /** Ones, which are words and a mask that hides nothing. */
    private static Tensor ids(long rows, long length) {
        return Tensors.ones(rows, length).to(ScalarType.Long);
    }
}

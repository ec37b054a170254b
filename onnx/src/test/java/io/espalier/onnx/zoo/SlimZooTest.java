package io.espalier.onnx.zoo;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.shape.ModelCost;
import io.espalier.onnx.slim.OnnxSlimmer;
import io.espalier.onnx.slim.ZeroedModel;
import io.espalier.slim.Cut;
import io.espalier.slim.Unit;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Stream;

@DisplayName("Each architecture, as each exporter writes it,")
class SlimZooTest {
    /**
     * Whose results are as wide as what runs through all layers, that have one hidden layer, or
     * whose weights are of no type or in no graph that is gone through.
     */
    private static final Set<String> LITTLE_TO_REMOVE =
            Set.of(
                    "GhostNet",
                    "autoencoder",
                    "video",
                    "BERT",
                    "DistilBERT",
                    "ALBERT",
                    "T5",
                    "Whisper",
                    "CLIP",
                    "labels",
                    "doubles",
                    "halves",
                    "all halves",
                    "plain",
                    "passed",
                    "empty",
                    "branches",
                    "loop",
                    "leftovers",
                    "sequences",
                    "half picture",
                    "functions",
                    "shared",
                    "scatters");

    /** Of which nearly all goes that is pruned. */
    private static final Set<String> EMPTIED =
            Set.of(
                    "AlexNet",
                    "VGG",
                    "ResNet",
                    "ResNeXt",
                    "DenseNet",
                    "SqueezeNet",
                    "MobileNetV1",
                    "MobileNetV2",
                    "UNet",
                    "pyramid",
                    "detector",
                    "tabular");

    private interface Check {
        void of(String name, OnnxModel model);
    }

    private static Stream<DynamicTest> each(Stream<Exporter> exporters, Check check) {
        return exporters.flatMap(exporter ->
                Zoo.models().entrySet().stream()
                        .map(model ->
                                DynamicTest.dynamicTest(
                                        model.getKey() + ", " + exporter,
                                        () -> {
                                            try (var scope = new PointerScope();
                                                    var noGrad = new NoGradGuard()) {
                                                check.of(
                                                        model.getKey(),
                                                        model.getValue().apply(exporter));
                                            }
                                        })));
    }

    @TestFactory
    @DisplayName("runs without half of its channels, and gives what it does with zeros there")
    Stream<DynamicTest> slims() {
        return each(Stream.of(Exporter.values()), SlimZooTest::slim);
    }

    @TestFactory
    @DisplayName("gives the same without channels whose weights are zero and whose biases are not")
    Stream<DynamicTest> losesWhatIsPruned() {
        return each(Stream.of(Exporter.DYNAMO), SlimZooTest::prune);
    }

    private static void prune(String name, OnnxModel model) {
        Map<String, Tensor> inputs = Batches.first(model);
        var slimmer = OnnxSlimmer.of(model);
        Cut half = slimmer.groups().choose(slimmer.leastImportant(0.5));
        OnnxModel biased = ZeroedModel.withoutProducers(slimmer, half);
        OnnxModel unread = ZeroedModel.withoutReaders(slimmer, half);

        double fromBiases = leftOf(biased, inputs);
        double fromUnread = leftOf(unread, inputs);

        if (EMPTIED.contains(name)) {
            assertTrue(fromBiases < 0.6, () -> "of biased " + fromBiases);
            assertTrue(fromUnread < 0.4, () -> "of unread " + fromUnread);
        }
    }

    /** The share of parameters left of a pruned model, which should give what it gave. */
    private static double leftOf(OnnxModel pruned, Map<String, Tensor> inputs) {
        OnnxModel slim = OnnxSlimmer.removePruned(pruned);
        Batches.assertNear(Batches.run(pruned, inputs), Batches.run(slim, inputs), 1e-4);
        return (double) ModelCost.of(slim).parameters() / ModelCost.of(pruned).parameters();
    }

    private static void slim(String name, OnnxModel model) {
        Map<String, Tensor> inputs = Batches.first(model);
        var slimmer = OnnxSlimmer.of(model);
        List<Unit> half = slimmer.leastImportant(0.5);

        OnnxModel slim = slimmer.remove(half);

        Map<String, Tensor> results = Batches.run(slim, inputs);
        Batches.run(model, inputs)
                .forEach((result, tensor) ->
                        assertArrayEquals(
                                Tensors.shape(tensor),
                                Tensors.shape(Objects.requireNonNull(results.get(result)))));
        OnnxModel zeroed = ZeroedModel.of(slimmer, slimmer.groups().choose(half));
        Batches.assertNear(Batches.run(zeroed, inputs), results, 1e-4);
        long before = ModelCost.of(slimmer.model()).parameters();
        long after = ModelCost.of(slim).parameters();
        if (!LITTLE_TO_REMOVE.contains(name)) {
            assertTrue(after <= 0.45 * before, () -> after + " of " + before);
        }
    }
}

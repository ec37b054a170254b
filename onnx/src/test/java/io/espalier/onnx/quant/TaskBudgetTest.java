package io.espalier.onnx.quant;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.compare.ModelComparison;
import io.espalier.onnx.compare.TaskScore;
import io.espalier.onnx.inputs.ImageInputs;
import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.inputs.Task;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.tensor.EspalierException;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

import javax.imageio.ImageIO;

@DisplayName("A quantizer that is told the right answers")
class TaskBudgetTest {
    @TempDir Path folder;

    /** Tells red images from blue ones. */
    private static OnnxModel classifier() {
        return TestGraphs.opset(17)
                .input("x: Float[N, 3, 4, 4]")
                .node("g = GlobalAveragePool(x)")
                .node("f = Flatten(g)")
                .constant("w", ConstantTensor.floats(List.of(3L, 2L), 1, 0, 0, 0, 0, 1))
                .node("y = MatMul(f, w)")
                .output("y")
                .build();
    }

    /** The same with a matrix as large as those that are put into integers, and more classes. */
    private static OnnxModel ofPixels(float telling, float common) {
        var weights = new float[48 * 16];
        for (int pixel = 0; pixel < 16; pixel++) {
            weights[pixel * 16] = telling;
            weights[(32 + pixel) * 16 + 1] = telling;
            weights[(16 + pixel) * 16] = common;
            weights[(16 + pixel) * 16 + 1] = common;
        }
        return TestGraphs.opset(17)
                .input("x: Float[N, 3, 4, 4]")
                .node("f = Flatten(x)")
                .constant("w", ConstantTensor.floats(List.of(48L, 16L), weights))
                .node("y = MatMul(f, w)")
                .output("y")
                .build();
    }

    private ImageInputs images(String labels) throws IOException {
        image("red.png", 0xff2010);
        image("blue.png", 0x1020ff);
        Path file = folder.resolve("labels.tsv");
        Files.writeString(file, labels);
        return Inputs.images(folder, 4, 4).labels(file);
    }

    private void image(String name, int rgb) throws IOException {
        var image = new BufferedImage(4, 4, BufferedImage.TYPE_INT_RGB);
        for (int i = 0; i < 16; i++) {
            image.setRGB(i % 4, i / 4, rgb);
        }
        ImageIO.write(image, "png", folder.resolve(name).toFile());
    }

    @Test
    @DisplayName("counts what both models get right, and keeps the cosine beside it")
    void counts() throws IOException {
        ImageInputs images = images("red.png\t0\nblue.png\t1\n");

        for (QuantizationMode mode : QuantizationMode.values()) {
            QuantizationResult result =
                    Quantizer.of(mode)
                            .judgedBy(Task.classes())
                            .threads(1)
                            .quantize(classifier(), images);

            assertEquals(new TaskScore("accuracy", 1, 1), result.score().orElseThrow());
            assertTrue(result.summary().endsWith("accuracy 100.00 % -> 100.00 %"));
            assertTrue(result.drop() < 0.01, result.summary());
        }
    }

    @Test
    @DisplayName("ranks layers by what of the right results they lose, too")
    void ranks() throws IOException {
        ImageInputs images = images("red.png\t0\nblue.png\t1\n");
        LayerSensitivity measuring =
                LayerSensitivity.measuring().threads(1).judgedBy(Task.classes());

        assertEquals(0, measuring.of(ofPixels(1, 0), images).getFirst().drop());
        // Both classes' scores differ by less than an 8-bit weight can tell.
        assertEquals(0.5, measuring.of(ofPixels(1e-4f, 500), images).getFirst().drop());
        var unlabelled =
                assertThrows(
                        EspalierException.class,
                        () -> measuring.of(ofPixels(1, 0), Inputs.images(folder, 4, 4)));
        assertTrue(
                String.valueOf(unlabelled.getMessage()).contains("no labels"),
                unlabelled::getMessage);
    }

    @Test
    @DisplayName("takes the part of right results that is lost for its budget")
    void budget() throws IOException {
        ImageInputs half = images("red.png\t0\nblue.png\t0\n");
        var settings =
                QuantizationSettings.of(QuantizationMode.AUTO)
                        .with(s -> s.task = Optional.of(Task.classes()));
        try (var data = CalibrationData.read(classifier(), half, 8)) {
            var judgement =
                    new Judgement(
                            ReferenceOutputs.of(classifier(), data.batches(), settings.threads()),
                            data,
                            settings);
            OnnxModel exchanged =
                    classifier()
                            .rewritten(graph ->
                                    graph.setConstant(
                                            "w",
                                            ConstantTensor.floats(
                                                    List.of(3L, 2L), 1, 9, 0, 0, 0, 10)));

            assertEquals(0, judgement.drop(classifier()));
            assertEquals(1, judgement.drop(exchanged));
            assertEquals(0.5, judgement.score(exchanged).orElseThrow().reference());
            assertTrue(judgement.distance(exchanged) < 1);
        }
    }

    @Test
    @DisplayName("finds what a comparison of both models by labels finds")
    void compares() throws IOException {
        ImageInputs half = images("red.png\t0\nblue.png\t0\n");
        OnnxModel model = classifier();

        ModelComparison found =
                ModelComparison.of(
                        model,
                        model,
                        half.checkedFor(model),
                        how -> how.turns(1).judgedBy(Task.classes()).withoutLayers());

        assertEquals(new TaskScore("accuracy", 0.5, 0.5), found.score().orElseThrow());
    }

    @Test
    @DisplayName("refuses inputs without labels, and labels by which nothing is right")
    void refuses() throws IOException {
        ImageInputs wrong = images("red.png\t1\nblue.png\t0\n");
        Quantizer quantizer = Quantizer.auto().judgedBy(Task.classes());

        var nothing =
                assertThrows(
                        EspalierException.class, () -> quantizer.quantize(classifier(), wrong));
        assertTrue(String.valueOf(nothing.getMessage()).contains("gets nothing right"));
        Inputs unlabelled = Inputs.images(folder, 4, 4);
        var none =
                assertThrows(
                        EspalierException.class,
                        () -> quantizer.quantize(classifier(), unlabelled));
        assertTrue(String.valueOf(none.getMessage()).contains("no labels"), none.getMessage());
    }
}

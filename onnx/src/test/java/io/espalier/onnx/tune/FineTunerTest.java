package io.espalier.onnx.tune;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.compare.TaskScore;
import io.espalier.onnx.inputs.ImageInputs;
import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.inputs.Task;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.quant.QuantizationMode;
import io.espalier.onnx.quant.Quantizer;
import io.espalier.onnx.quant.ReferenceOutputs;
import io.espalier.onnx.run.OnnxSession;
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

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.LongStream;

import javax.imageio.ImageIO;

@DisplayName("A fine-tuner")
class FineTunerTest {
    @TempDir Path folder;
    private final List<Map<String, Tensor>> batches = new ArrayList<>();

    @BeforeEach
    void data() {
        Libtorch.seed(1);
        for (int i = 0; i < 4; i++) {
            batches.add(Map.of("x", Tensors.randn(8, 4, 6, 6)));
        }
    }

    private Inputs inputs() {
        return Inputs.of(batches);
    }

    /** Convolutions with a bias, without, by channel; a normalization; products of each kind. */
    private static OnnxModel network() {
        return TestGraphs.opset(17)
                .input("x: Float[N, 4, 6, 6]")
                .weight("c0.weight", 8, 4, 3, 3)
                .weight("c0.bias", 8)
                .weight("c1.weight", 8, 1, 3, 3)
                .weight("c2.weight", 16, 8, 1, 1)
                .weight("scale", 16)
                .weight("shift", 16)
                .weight("mean", 16)
                .constant("variance", ConstantTensor.floats(List.of(16L), filled(16, 300)))
                .weight("head", 16, 12)
                .weight("head_bias", 12)
                .weight("last", 5, 12)
                .weight("last_bias", 5)
                .node("a = Conv(x, c0.weight, c0.bias)", FineTunerTest::padded)
                .node("b = Relu(a)")
                .node("c = Conv(b, c1.weight)", node -> padded(node).with("group", 8))
                .node("d = Conv(c, c2.weight)")
                .node("e = BatchNormalization(d, scale, shift, mean, variance)")
                .node("f = Relu(e)")
                .node("g = GlobalAveragePool(f)")
                .node("h = Flatten(g)")
                .node("i = MatMul(h, head)")
                .node("j = Add(i, head_bias)")
                .node("k = Relu(j)")
                .node(
                        "l = Gemm(k, last, last_bias)",
                        node -> node.with("transB", 1).with("alpha", 0.1f))
                .node("y = Softmax(l)")
                .output("y")
                .build();
    }

    private static OnnxNode padded(OnnxNode node) {
        return node.with("pads", List.of(1L, 1L, 1L, 1L));
    }

    private static float[] filled(int count, float value) {
        var values = new float[count];
        Arrays.fill(values, value);
        return values;
    }

    private static float[] constant(OnnxModel model, String name) {
        return Objects.requireNonNull(model.graph().constant(name)).toFloats();
    }

    private static void assertZerosStay(OnnxModel before, OnnxModel after) {
        before.graph()
                .constants()
                .forEach((name, held) -> {
                    if (held.shape().size() >= 2) {
                        float[] was = held.toFloats();
                        float[] is = constant(after, name);
                        for (int i = 0; i < was.length; i++) {
                            assertEquals(was[i] == 0, is[i] == 0, name + " at " + i);
                        }
                    }
                });
    }

    @Test
    @DisplayName("brings a pruned model nearer to its teacher, layer by layer, and keeps its zeros")
    void fits() {
        OnnxModel teacher = network();
        OnnxModel pruned = OnnxPruner.l1(0.4).prune(teacher).model();

        TunedModel tuned = FineTuner.distilling(teacher).tune(pruned, inputs());

        double before = tuned.dropBefore().orElseThrow();
        assertTrue(before > 1e-3, tuned.toString());
        assertTrue(tuned.dropAfter().orElseThrow() < before / 3, tuned.toString());
        assertEquals(5, tuned.layersFitted());
        // A convolution without a bias moves its outputs by the normalization after it.
        assertFalse(Arrays.equals(constant(pruned, "shift"), constant(tuned.model(), "shift")));
        assertZerosStay(pruned, tuned.model());
    }

    @Test
    @DisplayName("changes weights and biases, and nothing else in the file")
    void changesNothingElse() {
        OnnxModel teacher = network();
        OnnxModel pruned = OnnxPruner.l1(0.4).prune(teacher).model();
        String before = pruned.toProto().toString();

        OnnxModel tuned = FineTuner.distilling(teacher).tune(pruned, inputs()).model();

        assertEquals(before, pruned.toProto().toString());
        assertEquals(
                pruned.toProto().getGraph().getNodeList(),
                tuned.toProto().getGraph().getNodeList());
        assertEquals(pruned.graph().constants().keySet(), tuned.graph().constants().keySet());
        assertEquals(
                List.of(16L, 12L), Objects.requireNonNull(tuned.graph().constant("head")).shape());
    }

    @Test
    @DisplayName("fits a model exactly that only lost its biases")
    void findsBiases() {
        OnnxModel teacher = network();
        OnnxModel student =
                teacher.rewritten(graph -> {
                    for (String bias : List.of("c0.bias", "head_bias", "last_bias")) {
                        int count = constant(teacher, bias).length;
                        graph.setConstant(
                                bias,
                                ConstantTensor.floats(List.of((long) count), new float[count]));
                    }
                });

        TunedModel tuned = FineTuner.distilling(teacher).tune(student, inputs());

        assertTrue(tuned.dropBefore().orElseThrow() > 1e-3, tuned.toString());
        assertTrue(tuned.dropAfter().orElseThrow() < 1e-4, tuned.toString());
        assertEquals(constant(teacher, "c0.bias")[3], constant(tuned.model(), "c0.bias")[3], 1e-3);
        assertEquals(
                constant(teacher, "last_bias")[3], constant(tuned.model(), "last_bias")[3], 1e-2);
    }

    @Test
    @DisplayName("writes back to where weights hide: Constant nodes, transposed, shared by nobody")
    void hiddenWeights() {
        OnnxModel teacher = hidden();
        OnnxModel pruned = OnnxPruner.l1(0.5).prune(teacher).model();

        TunedModel fitted = FineTuner.distilling(teacher).tune(pruned, features());
        TunedModel trained =
                FineTuner.distilling(teacher).epochs(3).learningRate(1e-3).tune(pruned, features());

        assertTrue(fitted.dropAfter().orElseThrow() < fitted.dropBefore().orElseThrow());
        assertEquals(List.of(), trained.frozen());
        for (TunedModel tuned : List.of(fitted, trained)) {
            float[] was = value(pruned);
            float[] is = value(tuned.model());
            for (int i = 0; i < was.length; i++) {
                assertEquals(was[i] == 0, is[i] == 0);
            }
            assertFalse(Arrays.equals(was, is));
        }
    }

    private static OnnxModel hidden() {
        var values = new float[48];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) Math.sin(i * 1.7);
        }
        return TestGraphs.opset(17)
                .input("x: Float[N, 6]")
                .node(
                        "m = Constant()",
                        node -> node.with("value", ConstantTensor.floats(List.of(8L, 6L), values)))
                .node("t = Transpose(m)")
                .node("y = MatMul(x, t)")
                .output("y")
                .build();
    }

    private static float[] value(OnnxModel model) {
        OnnxNode node = Objects.requireNonNull(model.graph().producer("m"));
        return Objects.requireNonNull(node.tensor("value")).toFloats();
    }

    /** Inputs of which each number follows from others. */
    private static Inputs features() {
        List<Map<String, Tensor>> all = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            Tensor base = Tensors.randn(32, 6);
            all.add(
                    Map.of(
                            "x",
                            base.add(base.roll(new long[] {1}, new long[] {1}), new Scalar(3))));
        }
        return Inputs.of(all);
    }

    @Test
    @DisplayName("trains by gradients against the teacher's results, zeros kept")
    void gradients() {
        OnnxModel teacher = network();
        OnnxModel pruned = OnnxPruner.l1(0.4).prune(teacher).model();

        TunedModel tuned =
                FineTuner.distilling(teacher).epochs(25).learningRate(1e-3).tune(pruned, inputs());

        assertEquals(100, tuned.steps());
        assertZerosStay(pruned, tuned.model());
        assertEquals(List.of(), tuned.frozen());
        assertEquals(constant(pruned, "mean")[2], constant(tuned.model(), "mean")[2]);
    }

    @Test
    @DisplayName("comes nearer to the teacher by gradients than by the fit on inputs it never saw")
    void neverSeen() {
        OnnxModel teacher = products(ElementType.FLOAT);
        OnnxModel pruned = OnnxPruner.l1(0.5).prune(teacher).model();
        List<Map<String, Tensor>> rows = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            rows.add(Map.of("x", Tensors.randn(64, 4)));
        }
        List<Map<String, Tensor>> others = List.of(Map.of("x", Tensors.randn(512, 4)));
        FineTuner tuner = FineTuner.distilling(teacher).threads(1);

        TunedModel fitted = tuner.tune(pruned, Inputs.of(rows));
        TunedModel trained = tuner.epochs(25).learningRate(1e-2).tune(pruned, Inputs.of(rows));

        assertTrue(trained.trainingHelped());
        ReferenceOutputs reference = ReferenceOutputs.of(teacher, others, 1);
        double before = reference.drop(fitted.model());
        double after = reference.drop(trained.model());
        assertTrue(after < 0.95 * before, before + " " + after);
    }

    @Test
    @DisplayName("takes no fit that is right for the words of the data and wrong for others")
    void otherWords() {
        OnnxModel teacher = words(0.6f);
        OnnxModel student = words(0.3f);
        Inputs sentences =
                Inputs.of(
                        List.of(
                                Map.of(
                                        "ids",
                                        Tensors.of(LongStream.range(0, 64).toArray(), 8, 8))));
        FineTuner tuner = FineTuner.distilling(teacher).threads(1);

        TunedModel fitted = tuner.tune(student, sentences);
        TunedModel trained = tuner.epochs(5).learningRate(1e-2).tune(student, sentences);

        assertTrue(fitted.dropBefore().orElseThrow() > 1e-4, fitted.toString());
        assertEquals(0, fitted.layersFitted());
        assertEquals(student.toProto(), fitted.model().toProto());
        assertEquals(List.of("table"), trained.frozen());
        assertArrayEquals(constant(student, "table"), constant(trained.model(), "table"));
    }

    /** Of 1000 words, the first 64 of which have this as their first number and all others 1. */
    private static OnnxModel words(float first) {
        float[] table = new float[4000];
        for (int i = 0; i < table.length; i++) {
            table[i] = i % 4 > 0 ? (float) Math.sin(i * 1.7) : i < 4 * 64 ? first : 1;
        }
        return TestGraphs.opset(17)
                .input("ids: Int64[N, L]")
                .constant("table", ConstantTensor.floats(List.of(1000L, 4L), table))
                .constant(
                        "w",
                        ConstantTensor.floats(
                                List.of(4L, 4L), 1, 2, -1, 1, 0, 1, 1, 2, 1, 0, 1, -1, 2, 1, 0, 1))
                .node("rows = Gather(table, ids)")
                .node("y = MatMul(rows, w)")
                .output("y")
                .build();
    }

    @Test
    @DisplayName("judges by the data as it is where varied inputs have results of other sizes")
    void otherSizes() {
        OnnxModel teacher = above(5, 1);
        OnnxModel student = above(-100, 0.5f);
        Tensor rows = Tensors.rand(64, 4).add(new Scalar(5.01));

        TunedModel tuned =
                FineTuner.distilling(teacher)
                        .threads(1)
                        .tune(student, Inputs.of(List.of(Map.of("x", rows))));

        assertEquals(1, tuned.layersFitted());
        assertTrue(
                tuned.dropAfter().orElseThrow() < tuned.dropBefore().orElseThrow() / 10,
                tuned.toString());
    }

    /** Gives what it makes of rows whose first number is above another. */
    private static OnnxModel above(float least, float first) {
        return TestGraphs.opset(17)
                .input("x: Float[N, 4]")
                .integers("first", 0)
                .constant("least", ConstantTensor.floats(List.of(1L), least))
                .constant("w", ConstantTensor.floats(List.of(4L, 2L), first, 2, -3, 1, 2, -1, 1, 2))
                .node("a = Gather(x, first)", node -> node.with("axis", 1))
                .node("b = Greater(a, least)")
                .node("c = Flatten(b)", node -> node.with("axis", 0))
                .integers("axes", 0)
                .node("d = Squeeze(c, axes)")
                .node("e = MatMul(x, w)")
                .node("y = Compress(e, d)", node -> node.with("axis", 0))
                .output("y")
                .build();
    }

    @Test
    @DisplayName(
            "keeps one scale and one shift for all channels, which integers need, and trains it")
    void oneScale() {
        OnnxModel teacher =
                TestGraphs.opset(17)
                        .input("x: Float[N, 4, 6, 6]")
                        .weight("first", 16, 4, 3, 3)
                        .constant("scale", ConstantTensor.floats(List.of(16L), filled(16, 2)))
                        .constant("shift", ConstantTensor.floats(List.of(16L), filled(16, 0.5f)))
                        .constant("mean", ConstantTensor.floats(List.of(16L), filled(16, 0)))
                        .constant("variance", ConstantTensor.floats(List.of(16L), filled(16, 1)))
                        .weight("last", 8, 16, 3, 3)
                        .node("a = Conv(x, first)")
                        .node("b = HardSwish(a)")
                        .node("c = BatchNormalization(b, scale, shift, mean, variance)")
                        .node("y = Conv(c, last)", FineTunerTest::padded)
                        .output("y")
                        .build();
        OnnxModel pruned = OnnxPruner.l1(0.4).prune(teacher).model();

        OnnxModel tuned =
                FineTuner.distilling(teacher)
                        .epochs(25)
                        .learningRate(1e-3)
                        .tune(pruned, inputs())
                        .model();

        for (String name : List.of("scale", "shift")) {
            float[] all = constant(tuned, name);
            assertArrayEquals(filled(16, all[0]), all);
            assertNotEquals(constant(pruned, name)[0], all[0]);
        }
    }

    @Test
    @DisplayName("goes on from a checkpoint to the same weights as without a break")
    void resumes() {
        OnnxModel teacher = network();
        OnnxModel pruned = OnnxPruner.l1(0.4).prune(teacher).model();
        FineTuner tuner = FineTuner.distilling(teacher).learningRate(1e-3).epochs(4);

        TunedModel whole = tuner.tune(pruned, inputs());
        Path file = folder.resolve("run");
        assertThrows(
                IllegalStateException.class,
                () ->
                        tuner.checkpoints(file, false)
                                .progress((stage, done, total) -> {
                                    if (stage.equals("training") && done == 9) {
                                        throw new IllegalStateException("killed");
                                    }
                                })
                                .tune(pruned, inputs()));
        TunedModel resumed = tuner.checkpoints(file, true).tune(pruned, inputs());

        assertTrue(Files.exists(file.resolve("fitted.onnx")));
        assertEquals(whole.model().toProto(), resumed.model().toProto());
    }

    @Test
    @DisplayName("goes on from a whole checkpoint of the same work alone, which is one run's")
    void othersCheckpoint() throws IOException {
        OnnxModel teacher = hidden();
        Inputs data = features();
        OnnxModel pruned = OnnxPruner.l1(0.4).prune(teacher).model();
        Path kept = folder.resolve("run");
        FineTuner tuner = FineTuner.distilling(teacher).learningRate(1e-3).epochs(1);
        FineTuner goingOn = tuner.checkpoints(kept, true);
        List<String> refused = new ArrayList<>();
        tuner.checkpoints(kept, false)
                .progress((stage, done, total) -> {
                    if (refused.isEmpty()) {
                        refused.add(refusal(goingOn, data, pruned));
                    }
                })
                .tune(pruned, data);

        refused.add(refusal(goingOn, data, OnnxPruner.l1(0.5).prune(teacher).model()));
        refused.add(refusal(goingOn.learningRate(1), data, pruned));
        refused.add(refusal(goingOn.epochs(2), data, pruned));
        OnnxModel other = OnnxPruner.l1(0.1).prune(teacher).model();
        refused.add(
                refusal(
                        FineTuner.distilling(other)
                                .learningRate(1e-3)
                                .epochs(1)
                                .checkpoints(kept, true),
                        data,
                        pruned));

        goingOn.minutes(5).threads(1).tune(pruned, data);
        assertTrue(refused.getFirst().startsWith("Another run keeps its checkpoint in " + kept));
        for (String message : refused.subList(1, 5)) {
            assertEquals(
                    "Can't go on from the checkpoint in "
                            + kept
                            + ": it is of another model, another teacher, other data or other"
                            + " settings. Name another folder, delete this one, or begin it anew.",
                    message);
        }
        for (String name : List.of("training.safetensors", "fitted.onnx", "checkpoint.json")) {
            byte[] whole = Files.readAllBytes(kept.resolve(name));
            Files.write(kept.resolve(name), Arrays.copyOf(whole, whole.length - 50));
            String message = refusal(goingOn, data, pruned);
            assertTrue(message.startsWith("Can't go on from the checkpoint in " + kept), message);
            assertTrue(message.contains(kept.resolve(name).toString()), message);
            assertTrue(message.endsWith("or begin it anew."), message);
        }
        tuner.checkpoints(kept, false).tune(pruned, data);
        OnnxModel fitted = OnnxModel.load(kept.resolve("fitted.onnx"));
        OnnxPruner.l1(0.9).prune(fitted).model().save(kept.resolve("fitted.onnx"));
        String message = refusal(goingOn, data, pruned);
        assertTrue(message.contains("fitted.onnx is damaged or another's."), message);
        tuner.checkpoints(kept, false).epochs(0).tune(pruned, data);
        try (var left = Files.list(kept)) {
            assertEquals(2, left.count());
        }
    }

    private static String refusal(FineTuner tuner, Inputs data, OnnxModel model) {
        return String.valueOf(
                assertThrows(EspalierException.class, () -> tuner.tune(model, data)).getMessage());
    }

    @Test
    @DisplayName("learns from labels, and refuses what are none")
    void labels() throws IOException {
        OnnxModel model = classifier();
        Files.writeString(folder.resolve("labels.tsv"), "file\ttext\nred.png\t1\nblue.png\t0\n");
        Files.writeString(
                folder.resolve("words.tsv"), "file\ttext\nred.png\tred\nblue.png\tblue\n");
        image("red.png", 0xff0000);
        image("blue.png", 0x0000ff);
        ImageInputs images = Inputs.images(folder, 4, 4);
        FineTuner tuner = FineTuner.byLabels().epochs(60).learningRate(0.05);

        TunedModel tuned = tuner.tune(model, images.labels(folder.resolve("labels.tsv")));

        assertEquals(60, tuned.steps());
        assertTrue(tuned.trainingHelped());
        assertTrue(tuned.dropAfter().isEmpty());
        try (var session = OnnxSession.open(tuned.model())) {
            for (Map<String, Tensor> batch : images.checkedFor(model)) {
                float[] scores =
                        Tensors.floats(Objects.requireNonNull(session.run(batch).get("y")));
                // Ordered by name: blue first.
                assertTrue(scores[0] > scores[1]);
                assertTrue(scores[3] > scores[2]);
            }
        }
        Inputs words = images.labels(folder.resolve("words.tsv"));
        assertThrows(EspalierException.class, () -> tuner.tune(model, words));
        OnnxModel unknown =
                model.rewritten(graph ->
                        graph.setConstant(
                                "h",
                                ConstantTensor.floats(
                                        List.of(4L, 2L), 1, 1, 1, 1, 1, 1, 1, Float.NaN)));
        var noNumbers =
                assertThrows(
                        EspalierException.class,
                        () -> tuner.tune(unknown, images.labels(folder.resolve("labels.tsv"))));
        assertTrue(
                String.valueOf(noNumbers.getMessage()).contains("holds NaN"),
                noNumbers::getMessage);
        assertThrows(EspalierException.class, () -> tuner.tune(model, images));
    }

    @Test
    @DisplayName("keeps what there was where gradients make it no better, and says so")
    void keepsBest() throws IOException {
        OnnxModel model = classifier();
        Files.writeString(folder.resolve("labels.tsv"), "red.png\t1\nblue.png\t0\nruby.png\t0\n");
        image("red.png", 0xff0000);
        image("ruby.png", 0xff0000);
        image("blue.png", 0x0000ff);
        Inputs images = Inputs.images(folder, 4, 4).labels(folder.resolve("labels.tsv"));
        OnnxModel good =
                FineTuner.byLabels().epochs(60).learningRate(0.05).tune(model, images).model();
        OnnxModel teacher = network();

        TunedModel byLabels = FineTuner.byLabels().epochs(2).learningRate(100).tune(good, images);
        TunedModel byTeacher =
                FineTuner.distilling(teacher).epochs(2).learningRate(100).tune(teacher, inputs());

        assertEquals(new TaskScore("accuracy", 2 / 3.0, 2 / 3.0), byLabels.score().orElseThrow());
        assertEquals(good.toProto(), byLabels.model().toProto());
        assertEquals(0, byTeacher.dropAfter().orElseThrow(), 1e-6);
        for (TunedModel tuned : List.of(byLabels, byTeacher)) {
            assertTrue(tuned.steps() > 0, tuned.toString());
            assertFalse(tuned.trainingHelped());
        }
    }

    @Test
    @DisplayName("learns texts from labels, on floats and on integers")
    void texts() throws IOException {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, 3, 4, 4]")
                        .weight("w", 4, 3, 4, 1)
                        .integers("axes", 2)
                        .node("a = Conv(x, w)")
                        .node("b = Squeeze(a, axes)")
                        .node("y = Transpose(b)", n -> n.with("perm", List.of(0L, 2L, 1L)))
                        .output("y")
                        .build();
        Files.writeString(folder.resolve("labels.tsv"), "red.png\tab\nblue.png\tb a\n");
        Files.writeString(folder.resolve("characters.txt"), "a\nb\n");
        columns("red.png", 0xff0000, 0, 0x00ff00, 0);
        columns("blue.png", 0x00ff00, 0x0000ff, 0xff0000, 0);
        Inputs images = Inputs.images(folder, 4, 4).labels(folder.resolve("labels.tsv"));
        FineTuner tuner =
                FineTuner.byLabels(Task.texts(folder.resolve("characters.txt")))
                        .epochs(150)
                        .learningRate(0.05)
                        .threads(1);

        TunedModel inFloats = tuner.tune(model, images);
        TunedModel inIntegers = tuner.trainingIntegers().learningRate(1).tune(model, images);

        assertEquals(new TaskScore("exact match", 0, 1), inFloats.score().orElseThrow());
        // The ranges are those of the untrained model.
        assertTrue(inIntegers.score().orElseThrow().candidate() > 0, inIntegers::toString);
        assertTrue(inFloats.integers().isEmpty());
        assertTrue(inIntegers.integers().isPresent());
        Files.writeString(folder.resolve("labels.tsv"), "red.png\tabc\n");
        var unknown = assertThrows(EspalierException.class, () -> tuner.tune(model, images));
        assertTrue(String.valueOf(unknown.getMessage()).contains("the character 'c'"));
        Files.writeString(folder.resolve("labels.tsv"), "red.png\taabb\n");
        var longer = assertThrows(EspalierException.class, () -> tuner.tune(model, images));
        assertEquals(
                "The text 'aabb' needs 6 steps, and the model's result has 4.",
                longer.getMessage());
    }

    /** An image of columns of these colours. */
    private void columns(String name, int... rgb) throws IOException {
        var image = new BufferedImage(rgb.length, 4, BufferedImage.TYPE_INT_RGB);
        for (int i = 0; i < 4 * rgb.length; i++) {
            image.setRGB(i % rgb.length, i / rgb.length, rgb[i % rgb.length]);
        }
        ImageIO.write(image, "png", folder.resolve(name).toFile());
    }

    private static OnnxModel classifier() {
        return TestGraphs.opset(17)
                .input("x: Float[N, 3, 4, 4]")
                .weight("w", 4, 3, 1, 1)
                .weight("h", 4, 2)
                .node("a = Conv(x, w)")
                .node("b = GlobalAveragePool(a)")
                .node("c = Flatten(b)")
                .node("y = MatMul(c, h)")
                .output("y")
                .build();
    }

    private void image(String name, int rgb) throws IOException {
        var image = new BufferedImage(4, 4, BufferedImage.TYPE_INT_RGB);
        for (int i = 0; i < 16; i++) {
            image.setRGB(i % 4, i / 4, rgb);
        }
        ImageIO.write(image, "png", folder.resolve(name).toFile());
    }

    @Test
    @DisplayName("puts layers into integers, nearer to the teacher than rounding alone")
    void integers() {
        OnnxModel model = network();

        TunedModel tuned =
                FineTuner.distilling(model).toIntegers().threads(1).tune(model, inputs());

        assertTrue(
                tuned.model().graph().nodes().stream()
                        .anyMatch(node -> node.op().equals("QLinearConv")));
        assertTrue(tuned.dropAfter().orElseThrow() < 0.05, tuned.dropAfter().toString());
    }

    @Test
    @DisplayName("trains as long as the minutes say where no epochs are set")
    void byTime() {
        OnnxModel teacher = hidden();
        OnnxModel pruned = OnnxPruner.l1(0.4).prune(teacher).model();

        TunedModel tuned =
                FineTuner.distilling(teacher)
                        .minutes(0.01)
                        .learningRate(1e-3)
                        .tune(pruned, features());

        assertTrue(tuned.steps() > 0);
    }

    @Test
    @DisplayName("refuses a teacher of other results, and numbers of no meaning")
    void refuses() {
        OnnxModel model = network();
        OnnxModel other = hidden().rewritten(graph -> {});
        FineTuner tuner = FineTuner.distilling(renamed(other));

        var refused = assertThrows(EspalierException.class, () -> tuner.tune(model, inputs()));
        assertTrue(String.valueOf(refused.getMessage()).contains("The teacher gives"));
        assertThrows(EspalierException.class, () -> tuner.epochs(-1));
        for (double wrong : new double[] {0, Double.POSITIVE_INFINITY, Double.NaN}) {
            assertThrows(EspalierException.class, () -> tuner.minutes(wrong));
        }
        assertThrows(EspalierException.class, () -> tuner.learningRate(-1));
        assertThrows(EspalierException.class, () -> tuner.threads(0));
    }

    private static OnnxModel renamed(OnnxModel model) {
        return TestGraphs.opset(model.opset())
                .input("x: Float[N, 4]")
                .node("z = Relu(x)")
                .output("z")
                .build();
    }

    @Test
    @DisplayName("trains weights of 16 bits in 32, and writes them in 16, in integers' files too")
    void halves() {
        OnnxModel teacher = products(ElementType.FLOAT);
        Inputs rows = Inputs.of(List.of(Map.of("x", Tensors.randn(16, 4))));
        OnnxModel halves =
                Quantizer.of(QuantizationMode.FLOAT16).threads(1).quantize(teacher, rows).model();
        OnnxModel pruned = OnnxPruner.l1(0.4).prune(halves).model();
        FineTuner tuner = FineTuner.distilling(teacher).threads(1).epochs(3);

        TunedModel tuned = tuner.tune(pruned, rows);
        TunedModel integers = tuner.trainingIntegers().tune(pruned, rows);

        assertTrue(types(pruned).contains(ElementType.FLOAT16));
        assertEquals(3, tuned.steps());
        assertEquals(3, integers.steps());
        assertEquals(types(pruned), types(tuned.model()));
        assertZerosStay(pruned, tuned.model());
    }

    @Test
    @DisplayName("trains a model of 16-bit floats throughout, whose results are such, in 32")
    void halvesThroughout() {
        OnnxModel teacher = products(ElementType.FLOAT16);
        OnnxModel pruned = OnnxPruner.l1(0.5).prune(teacher).model();
        Inputs rows = Inputs.of(List.of(Map.of("x", Tensors.randn(16, 4).to(ScalarType.Half))));

        TunedModel tuned =
                FineTuner.distilling(teacher)
                        .threads(1)
                        .epochs(20)
                        .learningRate(1e-3)
                        .tune(pruned, rows);

        assertTrue(tuned.trainingHelped(), tuned.toString());
        assertEquals(types(pruned), types(tuned.model()));
        assertZerosStay(pruned, tuned.model());
    }

    private static OnnxModel products(ElementType type) {
        return TestGraphs.opset(17)
                .input("x: " + type + "[N, 4]")
                .constant("w", random(type, 4, 64))
                .constant("v", random(type, 64, 8))
                .node("h = MatMul(x, w)")
                .node("r = Relu(h)")
                .node("y = MatMul(r, v)")
                .output("y: " + type + "[N, 8]")
                .build();
    }

    private static ConstantTensor random(ElementType type, long... shape) {
        return ConstantTensor.of(Tensors.randn(shape).to(type.libtorch()));
    }

    private static List<ElementType> types(OnnxModel model) {
        return model.graph().constants().values().stream().map(ConstantTensor::type).toList();
    }

    @Test
    @DisplayName("leaves layers alone that read nothing but constants")
    void constants() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, 4]")
                        .weight("w", 8, 16)
                        .weight("v", 16, 4)
                        .node("m = MatMul(w, v)")
                        .node("y = Identity(m)")
                        .node("z = Identity(x)")
                        .output("y")
                        .output("z")
                        .build();

        TunedModel tuned =
                FineTuner.distilling(model)
                        .threads(1)
                        .tune(model, Inputs.of(List.of(Map.of("x", Tensors.randn(2, 4)))));

        assertEquals(0, tuned.layersFitted());
        assertEquals(model.graph().constants(), tuned.model().graph().constants());
    }
}

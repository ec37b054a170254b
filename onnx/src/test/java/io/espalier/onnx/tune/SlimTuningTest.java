package io.espalier.onnx.tune;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.slim.Importance;
import io.espalier.onnx.slim.OnnxSlimmer;
import io.espalier.onnx.slim.SlimResult;
import io.espalier.onnx.slim.Slimming;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Libtorch;
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

@DisplayName("Slimming with training")
class SlimTuningTest {
    private static final int WIDTH = 24;
    private static final int LENGTH = 1;

    @TempDir Path folder;
    private OnnxModel model;
    private Inputs rows;

    @BeforeEach
    void model() {
        Libtorch.seed(4);
        model =
                TestGraphs.opset(17)
                        .input("x: Float[N, L, 6]")
                        .weight("first", 6, WIDTH)
                        .weight("bias", WIDTH)
                        .weight("last", WIDTH, 4)
                        .node("a = MatMul(x, first)")
                        .node("b = Add(a, bias)")
                        .node("c = Relu(b)")
                        .node("y = MatMul(c, last)")
                        .output("y")
                        .build();
        Tensor x = Tensors.randn(32, LENGTH, 6);
        rows = Inputs.of(List.of(Map.of("x", x), Map.of("x", Tensors.randn(32, LENGTH, 6))));
    }

    private Slimming slimming() {
        return OnnxSlimmer.of(model).parameters(0.5).importance(Importance.secondOrder(rows));
    }

    private SlimTuning tuning() {
        FineTuner tuner = FineTuner.distilling(model).epochs(40).learningRate(0.02).threads(1);
        return SlimTuning.of(slimming(), tuner).rounds(2);
    }

    private static long width(OnnxModel of) {
        return Objects.requireNonNull(of.graph().constant("last")).shape().getFirst();
    }

    @Test
    @DisplayName("says before it slims that a model can't be trained")
    void cannotTrain() {
        OnnxModel strange =
                model.rewritten(graph -> {
                    graph.add(OnnxNode.of("Det", List.of("x"), "z"));
                    graph.addOutput("z");
                });
        SlimTuning tuning =
                SlimTuning.of(
                        OnnxSlimmer.of(strange).parameters(0.5),
                        FineTuner.distilling(strange).epochs(1));

        var refused = assertThrows(EspalierException.class, () -> tuning.run(rows));

        String begin = "Training by gradients needs a model that libtorch can run; slim this one";
        assertTrue(String.valueOf(refused.getMessage()).startsWith(begin), refused::getMessage);
    }

    @Test
    @DisplayName("goes to its target in rounds, each nearer to the model after training")
    void goesInRounds() {
        TunedSlim tuned = tuning().run(rows);

        assertEquals(width(slimming().run().model()), width(tuned.slim().model()));
        SlimResult.Row row = tuned.slim().rows().getFirst();
        assertEquals(WIDTH, row.group().units().size());
        assertEquals(width(tuned.slim().model()), row.left());
        assertEquals("second order", row.by());
        // Parameters before the first round and after the last.
        assertEquals(11 * WIDTH, row.spent().orElseThrow().before(), 1e-6);
        assertEquals(11.0 * row.left(), row.spent().orElseThrow().after(), 1e-6);

        assertEquals(2, tuned.rounds().size());
        TunedSlim.Round first = tuned.rounds().getFirst();
        TunedSlim.Round last = tuned.rounds().getLast();
        assertTrue(first.parameters() > last.parameters(), tuned.rounds().toString());
        // For as many rows as the data have, not for a usual number.
        assertEquals(LENGTH * 10L * width(tuned.slim().model()), last.macs());
        assertEquals("cosine", last.metric());
        assertEquals(40, last.steps());
        for (TunedSlim.Round round : tuned.rounds()) {
            assertTrue(round.tuned() > round.slimmed(), tuned.rounds().toString());
        }
    }

    @Test
    @DisplayName("goes on where it was stopped, to the same model")
    void goesOn() {
        TunedSlim whole = tuning().run(rows);
        Path kept = folder.resolve("journal");
        for (int stop : List.of(7, 77)) {
            var steps = new int[1];
            assertThrows(
                    IllegalStateException.class,
                    () ->
                            tuning().journal(kept)
                                    .progress((stage, done, total) -> {
                                        if (stage.equals("training") && ++steps[0] == stop) {
                                            throw new IllegalStateException("killed");
                                        }
                                    })
                                    .run(rows));
        }
        assertTrue(Files.exists(kept.resolve("tuned-1.onnx")));

        TunedSlim resumed = tuning().journal(kept).run(rows);

        assertEquals(whole.slim().model().toProto(), resumed.slim().model().toProto());
        assertEquals(whole.rounds(), resumed.rounds());
        assertEquals(
                whole.slim().rows().getFirst().spent(), resumed.slim().rows().getFirst().spent());
        SlimTuning.deleteJournal(kept);
        assertFalse(Files.exists(kept));
    }

    @Test
    @DisplayName("refuses a journal of other work, unless it may be begun anew")
    void refusesOther() throws Exception {
        Path kept = folder.resolve("journal");
        tuning().rounds(1).journal(kept).run(rows);
        Files.writeString(kept.resolve("notes.txt"), "mine");

        var refused = assertThrows(EspalierException.class, () -> tuning().journal(kept).run(rows));
        tuning().scratchJournal(kept).run(rows);

        assertTrue(
                String.valueOf(refused.getMessage()).contains("other settings"),
                refused.getMessage());
        assertTrue(Files.exists(kept.resolve("tuned-2.onnx")));
        SlimTuning.deleteJournal(kept);
        assertTrue(Files.exists(kept.resolve("notes.txt")));
    }

    @Test
    @DisplayName("reaches a largest drop in one round alone")
    void refusesRounds() {
        Slimming drop = OnnxSlimmer.of(model).maxDrop(0.1).importance(Importance.secondOrder(rows));
        SlimTuning tuning = SlimTuning.of(drop, FineTuner.distilling(model).epochs(1));

        assertThrows(EspalierException.class, () -> tuning.rounds(2));
        assertThrows(EspalierException.class, () -> tuning.rounds(0));
    }

    @Test
    @DisplayName(
            "says what is left of heads, and of places in them, of one weight for queries, keys and"
                    + " values")
    void packedHeads() {
        OnnxModel attention = packed();
        var history = new GroupHistory(OnnxSlimmer.of(attention).groups());
        SlimResult heads = OnnxSlimmer.of(attention).only("qkv").ratio(0.5).run();
        SlimResult places = OnnxSlimmer.of(heads.model()).only("qkv").ratio(0.5).run();

        history.add(heads);
        history.add(places);

        List<SlimResult.Row> rows =
                history.result(places.model()).rows().stream()
                        .filter(row -> row.group().place().constant().equals("qkv"))
                        .toList();
        assertEquals(List.of(4, 6, 6), rows.stream().map(r -> r.group().units().size()).toList());
        List<Integer> left = rows.stream().map(SlimResult.Row::left).toList();
        assertEquals(List.of(2, 3, 3), left);
    }

    private static OnnxModel packed() {
        TestGraphs graph =
                TestGraphs.opset(17)
                        .input("x: Float[N, 5, 8]")
                        .weight("in", 8, 24)
                        .weight("qkv", 24, 72)
                        .weight("qkv_bias", 72)
                        .weight("o", 24, 24)
                        .weight("last", 24, 4)
                        .integers("heads", 0, 5, 4, 6)
                        .integers("joined", 0, 5, 24)
                        .node("e = MatMul(x, in)")
                        .node("p = MatMul(e, qkv)")
                        .node("b = Add(p, qkv_bias)")
                        .integers("thirds", 24, 24, 24)
                        .node("q0, k0, v0 = Split(b, thirds)", n -> n.with("axis", 2));
        for (String part : List.of("q", "k", "v")) {
            graph.node("%s1 = Reshape(%s0, heads)".formatted(part, part))
                    .node(
                            "%s = Transpose(%s1)".formatted(part, part),
                            n ->
                                    n.with(
                                            "perm",
                                            part.equals("k")
                                                    ? List.of(0L, 2L, 3L, 1L)
                                                    : List.of(0L, 2L, 1L, 3L)));
        }
        return graph.node("s = MatMul(q, k)")
                .node("w = Softmax(s)")
                .node("m = MatMul(w, v)")
                .node("t = Transpose(m)", n -> n.with("perm", List.of(0L, 2L, 1L, 3L)))
                .node("j = Reshape(t, joined)")
                .node("d = MatMul(j, o)")
                .node("r = Add(e, d)")
                .node("y = MatMul(r, last)")
                .output("y")
                .build();
    }
}

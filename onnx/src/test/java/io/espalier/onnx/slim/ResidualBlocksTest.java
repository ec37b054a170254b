package io.espalier.onnx.slim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.quant.CalibrationData;
import io.espalier.onnx.shape.ModelCost;
import io.espalier.onnx.slim.SlimResult.Row;
import io.espalier.slim.Group;
import io.espalier.slim.UnitWidths;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;

@DisplayName("Residual blocks of a file")
class ResidualBlocksTest {
    private static final Inputs DATA = Inputs.random().size("N", 8).batch(8).limit(64);

    private static ConstantTensor numbers(long seed, double size, long... shape) {
        var random = new Random(seed);
        float[] values = new float[(int) Arrays.stream(shape).reduce(1, (a, b) -> a * b)];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) (size * random.nextGaussian());
        }
        return ConstantTensor.floats(Arrays.stream(shape).boxed().toList(), values);
    }

    private static TestGraphs begun() {
        return TestGraphs.opset(17)
                .input("x: Float[N, 3, 6, 6]")
                .constant("stem", numbers(1, 1, 16, 3, 1, 1))
                .node("s = Conv(x, stem)");
    }

    /** Two branches of two layers and an activation behind their sum; one gives next to nothing. */
    private static OnnxModel residual(double second) {
        return residual(second, 0);
    }

    /**
     * The same.
     *
     * @param shift what is added before the last activation
     */
    private static OnnxModel residual(double second, float shift) {
        var shifts = new float[24];
        Arrays.fill(shifts, shift);
        return begun().constant("a1", numbers(2, 0.3, 24, 16, 1, 1))
                .node("f = Conv(s, a1)")
                .node("g = Relu(f)")
                .constant("a2", numbers(3, 0.3, 24, 24, 1, 1))
                .node("h = Conv(g, a2)")
                .node("i = Relu(h)")
                .constant("a3", numbers(4, 0.3, 16, 24, 1, 1))
                .node("j = Conv(i, a3)")
                .node("t = Add(j, s)")
                .node("u = Relu(t)")
                .constant("b1", numbers(5, 0.3, 24, 16, 1, 1))
                .constant("b0", ConstantTensor.floats(List.of(24L), shifts))
                .node("k = Conv(u, b1, b0)")
                .node("l = Relu(k)")
                .constant("b2", numbers(6, second, 16, 24, 1, 1))
                .constant("b3", numbers(7, 0.5, 16))
                .node("m = Conv(l, b2, b3)")
                .node("v = Add(u, m)")
                .constant("head", numbers(8, 1, 5, 16, 1, 1))
                .node("y = Conv(v, head)")
                .output("y")
                .build();
    }

    @Test
    @DisplayName("are branches of which nothing else is read and that something goes by")
    void areFound() {
        OnnxModel model = residual(0.3);

        List<ResidualBlock> blocks = OnnxSlimmer.of(model).blocks();

        assertEquals(List.of("t", "v"), blocks.stream().map(ResidualBlock::sum).toList());
        assertEquals(5, blocks.getFirst().nodes().size());
        assertEquals(Set.of("a1", "a2", "a3"), blocks.getFirst().constants());
        assertEquals(1, OnnxSlimmer.of(model).keep("a2").blocks().size());
        assertEquals(1, OnnxSlimmer.of(model).only("b*").blocks().size());
        assertEquals(List.of(), OnnxSlimmer.of(model).only("b1").blocks());
    }

    @Test
    @DisplayName("go beside channels of the stream that they add to")
    void besideChannels() {
        var both = 0;
        for (double share : new double[] {0.15, 0.25, 0.35}) {
            SlimResult result =
                    OnnxSlimmer.of(residual(0.001))
                            .parameters(share)
                            .importance(Importance.secondOrder(DATA))
                            .run();
            boolean narrower =
                    result.rows().stream()
                            .anyMatch(row -> row.group().units().size() == 16 && row.left() < 16);
            boolean gone = result.rows().stream().anyMatch(row -> row.left() == 0);
            both += narrower && gone ? 1 : 0;
        }
        assertTrue(both > 0);
    }

    @Test
    @DisplayName("are none where a branch is read elsewhere, has another shape or is all there is")
    void areNotFound() {
        TestGraphs read =
                begun().constant("w1", numbers(9, 1, 16, 16, 1, 1))
                        .node("f = Conv(s, w1)")
                        .node("t = Add(s, f)")
                        .node("z = Relu(f)")
                        .node("y = Mul(t, z)")
                        .output("y");
        TestGraphs broadcast =
                begun().node("p = GlobalAveragePool(s)")
                        .constant("w1", numbers(10, 1, 16, 16, 1, 1))
                        .node("f = Conv(p, w1)")
                        .node("y = Add(s, f)")
                        .output("y");
        TestGraphs all =
                TestGraphs.opset(17)
                        .input("x: Float[N, 3, 6, 6]")
                        .constant("w1", numbers(11, 1, 8, 3, 1, 1))
                        .node("f = Conv(x, w1)")
                        .node("r = Relu(f)")
                        .constant("w2", numbers(12, 1, 3, 8, 1, 1))
                        .node("g = Conv(r, w2)")
                        .node("y = Add(x, g)")
                        .output("y");

        for (TestGraphs graph : List.of(read, broadcast, all)) {
            assertEquals(List.of(), OnnxSlimmer.of(graph.build()).blocks());
        }
    }

    @Test
    @DisplayName("that give little go before widths, and what they give on average stays")
    void goWhole() {
        OnnxModel model = residual(0.001);
        ModelCost before = ModelCost.of(model);
        var slimmer = OnnxSlimmer.of(model);
        Importance by = Importance.secondOrder(DATA);

        SlimResult result = slimmer.macs(0.66).importance(by).run();
        SlimResult kept = slimmer.macs(0.66).importance(by).keepBlocks().run();

        Row gone = result.rows().stream().filter(row -> row.left() == 0).findFirst().orElseThrow();
        assertEquals("b1[0]", gone.group().place().toString());
        assertEquals("block removed", gone.by());
        assertEquals(0, gone.spent().orElseThrow().after());
        assertTrue(ModelCost.of(result.model()).macs() <= 0.664 * before.macs());
        assertTrue(
                result.model().graph().constants().keySet().stream()
                        .noneMatch(name -> name.startsWith("b1") || name.startsWith("b2")));
        double drop = result.measure(model, DATA.shuffled(3)).drop();
        assertTrue(drop < 1e-4, () -> "drop " + drop);
        assertTrue(kept.rows().stream().allMatch(row -> row.left() > 0));
        assertTrue(kept.measure(model, DATA.shuffled(3)).drop() > 10 * drop);
    }

    @Test
    @DisplayName("are gone exactly where what they give is one number for each channel")
    void areExact() {
        OnnxModel model = residual(0.3, -1000);
        var slimmer = OnnxSlimmer.of(model);
        List<Group> groups = slimmer.independent();
        int[] widths = Arrays.copyOf(UnitWidths.of(groups, 1), groups.size() + 2);
        widths[groups.size()] = 1;

        try (var data = CalibrationData.read(model, DATA, 16)) {
            LeftOutBlocks blocks = LeftOutBlocks.of(slimmer, groups, data.batches());
            OnnxModel out = slimmer.remove(List.of(), slimmer.model(), blocks, widths);

            assertTrue(out.graph().nodes().size() < slimmer.model().graph().nodes().size());
            double drop = SlimResult.drop(model, out, DATA);
            assertTrue(drop < 1e-9, () -> "drop " + drop);
        }
    }

    @Test
    @DisplayName("cost nothing when they are gone, beside any widths of what they are read by")
    void costsAreForeseen() {
        OnnxModel model = residual(0.3);
        var slimmer = OnnxSlimmer.of(model);
        List<Group> groups = slimmer.independent();
        try (var run =
                new SlimmingRun(
                        slimmer, Importance.secondOrder(DATA), true, (stage, done, all) -> {})) {
            var costs = new Costs(slimmer, groups, run.blocks());
            int[] widths = Arrays.copyOf(UnitWidths.of(groups, 0.5), groups.size() + 2);
            for (int[] there : new int[][] {{1, 1}, {0, 1}, {1, 0}}) {
                widths[groups.size()] = there[0];
                widths[groups.size() + 1] = there[1];

                ModelCost found = ModelCost.of(costs.narrowed(widths));

                assertEquals(found.macs(), costs.macs(Map.of()).of(widths), 1e-6 * found.macs());
                // An average may take a bias that was not there.
                assertEquals(found.parameters(), costs.parameters().of(widths), 16);
            }
        }
    }

    @Test
    @DisplayName("of text are attention and feed-forward, whose averages leave padding out")
    void ofText() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, L, 8]")
                        .input("attention_mask: Int64[N, L]")
                        .constant("w0", numbers(13, 1, 8, 8))
                        .node("e = MatMul(x, w0)")
                        .constant("w1", numbers(14, 1, 8, 16))
                        .node("h = MatMul(e, w1)")
                        .node("r = Relu(h)")
                        .constant("w2", numbers(15, 1, 16, 8))
                        .node("f = MatMul(r, w2)")
                        .node("s = Add(f, e)")
                        .constant("scale", numbers(16, 1, 8))
                        .constant("shift", numbers(17, 1, 8))
                        .node("n = LayerNormalization(s, scale, shift)")
                        .node("m = Cast(attention_mask)", n -> n.with("to", 1))
                        .integers("last", -1)
                        .node("q = Unsqueeze(m, last)")
                        .node("y = Mul(n, q)")
                        .output("y")
                        .build();
        var slimmer = OnnxSlimmer.of(model);
        long[] mask = {1, 1, 0, 0, 1, 0, 0, 0};
        float[] seen = new float[2 * 4 * 8];
        var random = new Random(1);
        for (int i = 0; i < seen.length; i++) {
            // What is padding is far from all else.
            seen[i] = (float) random.nextGaussian() + (mask[i / 8] == 0 ? 1000 : 0);
        }
        var batch =
                Map.of(
                        "x",
                        ConstantTensor.floats(List.of(2L, 4L, 8L), seen).toTensor(),
                        "attention_mask",
                        ConstantTensor.longs(List.of(2L, 4L), mask).toTensor());

        LeftOutBlocks blocks = LeftOutBlocks.of(slimmer, slimmer.independent(), List.of(batch));

        int[] widths = IntStream.of(16, 0).toArray();
        ConstantTensor mean = blocks.out(slimmer.model(), widths).graph().constant("f_mean");
        assertNotNull(mean);
        assertArrayEquals(new Long[] {8L}, mean.shape().toArray());
        for (float value : mean.toFloats()) {
            assertTrue(Math.abs(value) < 100, () -> "average " + value);
        }
    }
}

package io.espalier.onnx.slim;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.shape.ModelCost;
import io.espalier.slim.Correction;
import io.espalier.slim.Group;
import io.espalier.slim.GroupCost;
import io.espalier.slim.SlimmingTarget;
import io.espalier.slim.WidthSearch;
import io.espalier.tensor.EspalierException;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.LongStream;

@DisplayName("A slimming to a target")
class TargetsTest {
    private static final Inputs CALIBRATION =
            Inputs.random().size("N", 8).size("L", 6).batch(8).limit(64);

    private static LongStream seeds() {
        return LongStream.rangeClosed(1, 12);
    }

    /** What is foreseen of widths and what they come to. */
    private static void assertForeseen(OnnxModel model, long seed) {
        var slimmer = OnnxSlimmer.of(model);
        List<Group> groups = slimmer.independent();
        var costs = new Costs(slimmer, groups, LeftOutBlocks.none(slimmer, groups));
        var random = new Random(seed);
        int[] widths =
                groups.stream()
                        .mapToInt(group -> 1 + random.nextInt(group.units().size()))
                        .toArray();

        OnnxModel slim = costs.narrowed(widths);

        ModelCost found = ModelCost.of(slim);
        assertEquals(found.macs(), costs.macs(Map.of()).of(widths), 1e-6 * found.macs());
        assertEquals(found.parameters(), costs.parameters().of(widths), 0.5);
        // Extents that are written in a file take as many bytes as they have digits.
        assertEquals(slim.byteSize(), costs.bytes().of(widths), 0.02 * slim.byteSize() + 64);
    }

    @ParameterizedTest
    @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "UNKNOWN")
    @DisplayName("foresees MACs, parameters and bytes at any widths")
    void foresees(SmallNetwork network) {
        assertForeseen(network.model, 3);
    }

    @ParameterizedTest(name = "seed {0}")
    @MethodSource("seeds")
    @DisplayName("foresees them of any network")
    void foreseesAny(long seed) {
        assertForeseen(RandomNetworks.of(seed), seed);
    }

    /** A first layer whose outputs are all alike, and a second whose outputs all matter. */
    private static OnnxModel halfRedundant() {
        var random = new Random(5);
        var values = new float[8 * 48];
        for (int i = 0; i < 8; i++) {
            float value = (float) random.nextGaussian();
            for (int o = 0; o < 48; o++) {
                values[i * 48 + o] = value * (1 + o % 7);
            }
        }
        return TestGraphs.opset(17)
                .input("x: Float[N, 8]")
                .constant("w1", ConstantTensor.floats(List.of(8L, 48L), values))
                .node("h = MatMul(x, w1)")
                .node("r = Relu(h)")
                .weight("w2", 48, 48)
                .node("i = MatMul(r, w2)")
                .node("t = Tanh(i)")
                .node("c = Concat(t, x)", n -> n.with("axis", 1))
                .weight("w3", 56, 32)
                .node("y = MatMul(c, w3)")
                .output("y")
                .build();
    }

    private static double share(double after, double before) {
        return after / before;
    }

    @Test
    @DisplayName("leaves the share asked for, and takes where least is lost")
    void meetsTargets() {
        OnnxModel model = halfRedundant();
        ModelCost before = ModelCost.of(model);
        var slimmer = OnnxSlimmer.of(model);
        Importance by = Importance.secondOrder(CALIBRATION);

        SlimResult macs = slimmer.macs(0.6).importance(by).run();
        SlimResult parameters = slimmer.parameters(0.5).importance(by).run();
        SlimResult bytes = slimmer.bytes(0.7).run();

        assertEquals(0.6, share(ModelCost.of(macs.model()).macs(), before.macs()), 0.05);
        assertEquals(
                0.5,
                share(ModelCost.of(parameters.model()).parameters(), before.parameters()),
                0.05);
        assertEquals(0.7, share(bytes.model().byteSize(), model.byteSize()), 0.05);
        assertEquals(48, macs.rows().get(1).left());
        assertTrue(macs.rows().get(0).left() < 32, macs.rows()::toString);
        assertTrue(macs.measure(model, CALIBRATION.shuffled(4)).drop() < 1e-3);
        GroupCost spent = macs.rows().get(0).spent().orElseThrow();
        assertEquals("MACs", macs.unit());
        assertEquals(48 * (8 + 48), spent.before(), 1e-6);
        assertEquals(macs.rows().get(0).left() * (8 + 48), spent.after(), 1e-6);
    }

    @Test
    @DisplayName("leaves weights as they are where nothing goes")
    void nothingGone() {
        OnnxModel model = halfRedundant();

        SlimResult result =
                OnnxSlimmer.of(model)
                        .ratio(1)
                        .importance(Importance.secondOrder(CALIBRATION))
                        .run();

        assertEquals(0, result.measure(model, CALIBRATION.shuffled(4)).drop());
        assertTrue(result.model().byteSize() <= model.byteSize());
    }

    @Test
    @DisplayName("goes as far as a largest drop lets it")
    void keepsToDrop() {
        OnnxModel model = halfRedundant();
        // So many rows that what an operator takes hangs on its widths.
        Inputs many = Inputs.random().size("N", 64).size("L", 96).batch(64).limit(128);

        SlimResult result =
                OnnxSlimmer.of(model).maxDrop(0.02).importance(Importance.secondOrder(many)).run();

        assertTrue(result.measure(model, many).drop() <= 0.02);
        assertTrue(ModelCost.of(result.model()).macs() < ModelCost.of(model).macs());
        var blind = OnnxSlimmer.of(model).maxDrop(0.02);
        assertThrows(EspalierException.class, blind::run);
    }

    @Test
    @DisplayName("says how far it gets where the target is out of reach")
    void refuses() {
        var slimming = OnnxSlimmer.of(halfRedundant()).macs(0.01);

        var error = assertThrows(EspalierException.class, slimming::run);

        String words = String.valueOf(error.getMessage());
        assertTrue(
                words.matches(
                        "0.010 of the MACs can't be reached: at the narrowest that widths are"
                                + " chosen 0.1.. stay; a ratio may take more."),
                words);
        for (double wrong : new double[] {0, -1, 2, Double.NaN}) {
            assertThrows(
                    EspalierException.class, () -> OnnxSlimmer.of(halfRedundant()).macs(wrong));
        }
        assertThrows(EspalierException.class, () -> OnnxSlimmer.of(halfRedundant()).speedup(0.5));
    }

    @Test
    @DisplayName("says how sizes are given that the model leaves open")
    void wantsSizes() {
        var slimming = OnnxSlimmer.of(SmallNetwork.GATED.model).macs(0.5);

        var error = assertThrows(EspalierException.class, slimming::run);

        assertTrue(
                String.valueOf(error.getMessage())
                        .matches(".*the size of 'L',.*timedOn\\(Inputs.random\\(\\).size.*"),
                error.getMessage());
    }

    @Test
    @DisplayName("is corrected until what is measured is what was asked for")
    void isCorrected() {
        var slimmer = OnnxSlimmer.of(halfRedundant());
        List<Group> groups = slimmer.independent();
        var costs = new Costs(slimmer, groups, LeftOutBlocks.none(slimmer, groups));
        List<double[]> errors =
                groups.stream()
                        .map(group -> {
                            double[] each = new double[group.units().size()];
                            Arrays.setAll(each, gone -> gone * gone);
                            return each;
                        })
                        .toList();
        var search = new WidthSearch(groups, errors, costs.macs(Map.of()));
        // A third of the time is nobody's work, and nothing foretold that.
        var correction =
                new Correction(
                        search, widths -> (1 + 2 * search.cost(widths) / search.whole()) / 3, 0.03);

        int[] widths =
                correction.to(
                        new SlimmingTarget(SlimmingTarget.Kind.SPEEDUP, 1.5),
                        (stage, done, total) -> {});

        assertEquals(0.5, search.cost(widths) / search.whole(), 0.05);
    }

    /** A table of places, which takes no more of them than it has rows, and a layer after it. */
    private static OnnxModel sequence() {
        return TestGraphs.opset(17)
                .input("x: Float[N, L, 8]")
                .weight("places", 20, 8)
                .node("e = Shape(x)")
                .integer("one", 1)
                .node("l = Gather(e, one)")
                .integer("zero", 0)
                .node("r = Range(zero, l, one)")
                .node("p = Gather(places, r)")
                .node("h = Add(x, p)")
                .weight("w1", 8, 64)
                .node("a = MatMul(h, w1)")
                .node("b = Relu(a)")
                .weight("w2", 64, 8)
                .node("t = MatMul(b, w2)")
                .node("u = Transpose(t)", n -> n.with("perm", List.of(0L, 2L, 1L)))
                .node("y = MatMul(t, u)")
                .output("y")
                .build();
    }

    @Test
    @DisplayName("counts MACs for what the data are like, not for extents of its own")
    void countsForTheData() {
        OnnxModel model = sequence();
        Inputs some = Inputs.random().size("L", 6).batch(4);
        Map<String, List<Long>> six = Map.of("x", List.of(1L, 6L, 8L));
        long products = 6 * 6 * 8;

        SlimResult result = OnnxSlimmer.of(model).macs(0.6).timedOn(some).run();

        assertEquals(six, SlimResult.cost(model, some).inputs());
        assertEquals(6 * 2 * 8 * 64 + products, SlimResult.cost(model, some).macs());
        double share =
                share(SlimResult.cost(result.model(), some).macs(), 6 * 2 * 8 * 64 + products);
        assertTrue(share <= 0.603, () -> "left " + share);
    }

    @Test
    @DisplayName("is refused where MACs can't be counted")
    void refusesWhatIsNotCounted() {
        OnnxModel chosen =
                TestGraphs.opset(17)
                        .input("x: Float[N, 8]")
                        .node("n = NonZero(x)")
                        .node("f = Cast(n)", n -> n.with("to", 1))
                        .node("t = Transpose(f)")
                        .weight("w1", 2, 8)
                        .node("h = MatMul(t, w1)")
                        .node("r = Relu(h)")
                        .weight("w2", 8, 4)
                        .node("y = MatMul(r, w2)")
                        .output("y")
                        .build();
        var slimming = OnnxSlimmer.of(chosen).macs(0.5);

        var error = assertThrows(EspalierException.class, slimming::run);

        String words = String.valueOf(error.getMessage());
        assertTrue(words.contains("can't be counted for inputs of {x=[1, 8]}"), words);
    }

    @ParameterizedTest
    @ValueSource(doubles = {0.45, 0.55, 0.65, 0.7, 0.8, 0.9})
    @DisplayName("leaves no more than is asked for where there are widths that do")
    void leavesNoMore(double wanted) {
        OnnxModel model = halfRedundant();

        SlimResult result = OnnxSlimmer.of(model).bytes(wanted).run();

        double left = share(result.model().byteSize(), model.byteSize());
        assertTrue(left <= 1.005 * wanted && left > wanted - 0.15, () -> "left " + left);
    }
}

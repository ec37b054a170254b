package io.espalier.slim;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.LongStream;

@DisplayName("What a layer loses by its inputs")
class BrainSurgeonTest {
    private static final double DAMPING = 0.01;
    private static final double CHANCE = 0.2;

    private final PointerScope scope = new PointerScope();
    private Tensor xx;
    private Tensor xy;
    private Tensor start;

    @BeforeEach
    void layer() {
        Libtorch.seed(4);
        Tensor x = Tensors.randn(200, 12).matmul(Tensors.randn(12, 12)).to(ScalarType.Double);
        start = Tensors.randn(12, 3).to(ScalarType.Double);
        Tensor y = x.matmul(start).add(Tensors.randn(200, 3)).to(ScalarType.Double);
        xx = x.t().matmul(x).div(new Scalar(200));
        xy = x.t().matmul(y).div(new Scalar(200));
    }

    @AfterEach
    void free() {
        scope.close();
    }

    /** How strongly each input's weights are held to the start, [inputs, 1]. */
    private Tensor ridges() {
        double damping = DAMPING * xx.diagonal().mean().item_double();
        return xx.diagonal().mul(new Scalar(CHANCE)).add(new Scalar(damping)).unsqueeze(1);
    }

    /** Products of inputs and what is halfway between outputs wanted and given. */
    private Tensor halfway() {
        return xy.add(xx.matmul(start)).div(new Scalar(2));
    }

    /** The weight of least error among those that have only these inputs, solved for anew. */
    private Tensor solved(List<Long> left) {
        Tensor some = Tensors.of(left.stream().mapToLong(Long::longValue).toArray(), left.size());
        Tensor h = xx.add(ridges().squeeze(1).diag());
        Tensor target = halfway().add(start.mul(ridges())).index_select(0, some);
        Tensor all = torch.zeros_like(start);
        all.index_copy_(
                0, some, torch.linalg_solve(h.index_select(0, some).index_select(1, some), target));
        return all;
    }

    private double error(Tensor weight) {
        Tensor move = weight.sub(start);
        Tensor half = halfway();
        return xx.matmul(weight).sub(half).sub(half).mul(weight).sum().item_double()
                + move.square().mul(ridges()).sum().item_double();
    }

    /** Where outputs are not wanted to vary, so that the weights are of least error. */
    private BrainSurgeon surgeon(double mean, double chance) {
        return surgeon(mean, chance, torch.zeros_like(start.select(0, 0)));
    }

    private BrainSurgeon surgeon(double mean, double chance, Tensor variances) {
        Tensor means = torch.zeros_like(start.select(1, 0)).add_(new Scalar(mean));
        return BrainSurgeon.of(
                new LayerSums.Moments(
                        xx.unsqueeze(0), xy.t().unsqueeze(0), means, variances, variances),
                start,
                chance);
    }

    private double energy() {
        return xx.matmul(start).mul(start).sum().item_double();
    }

    private static List<Long> without(List<Long> inputs, List<Long> gone) {
        var left = new ArrayList<>(inputs);
        left.removeAll(gone);
        return left;
    }

    @Test
    @DisplayName("stays as it is for inputs that are gone, alone or beside others that go")
    void goneTwice() {
        try (var once = surgeon(0, CHANCE);
                var twice = surgeon(0, CHANCE)) {
            once.remove(Tensors.of(new long[] {1, 2, 3, 4}, 4));
            twice.remove(Tensors.of(new long[] {1, 2, 3}, 3));
            twice.remove(Tensors.of(new long[] {2, 4, 1}, 3));

            assertTrue(once.weight().sub(twice.weight()).abs().max().item_double() < 1e-9);
            Tensor units = Tensors.of(new long[] {1, 5, 2, 6}, 2, 2);
            assertTrue(
                    once.losses(units).sub(twice.losses(units)).abs().max().item_double() < 1e-9);
        }
    }

    @ParameterizedTest(name = "in units of {0}")
    @DisplayName("is what solving anew without each of them finds, removal after removal")
    @CsvSource({"1, 9", "3, 3", "4, 2"})
    void losesWhatBruteForceFinds(int each, int removals) {
        List<List<Long>> units =
                IntStream.range(0, 12 / each)
                        .mapToObj(u -> LongStream.range(0, each).map(k -> u + k * (12 / each)))
                        .map(inputs -> inputs.boxed().toList())
                        .toList();
        long[] flat = units.stream().flatMap(List::stream).mapToLong(Long::longValue).toArray();
        Tensor columns = Tensors.of(flat, units.size(), each);
        List<Long> left = LongStream.range(0, 12).boxed().toList();
        List<Integer> staying = new ArrayList<>(IntStream.range(0, units.size()).boxed().toList());
        try (var surgeon = surgeon(0, CHANCE)) {
            for (int removal = 0; removal < removals - 1; removal++) {
                double before = error(solved(left));
                Tensor losses = surgeon.losses(columns);
                int best = staying.getFirst();
                for (int u : staying) {
                    double expected = (error(solved(without(left, units.get(u)))) - before);
                    double found = losses.select(0, u).item_double();
                    assertEquals(expected / energy(), found, 1e-9);
                    best = found < losses.select(0, best).item_double() ? u : best;
                }
                surgeon.remove(columns.select(0, best));
                left = without(left, units.get(best));
                int taken = best;
                staying.removeIf(u -> u == taken);

                assertTrue(torch.allclose(solved(left), surgeon.weight(), 1e-8, 1e-8, false));
            }
        }
    }

    @Test
    @DisplayName("stays exact over more removals than are put off at once")
    void settles() {
        Tensor x = Tensors.randn(400, 150).to(ScalarType.Double);
        start = Tensors.randn(150, 2).to(ScalarType.Double);
        xx = x.t().matmul(x);
        xy = xx.matmul(start);
        try (var surgeon = surgeon(0, CHANCE)) {
            for (long i = 0; i < 130; i++) {
                surgeon.remove(Tensors.of(new long[] {i}, 1));
            }
            Tensor expected = solved(LongStream.range(130, 150).boxed().toList());

            assertTrue(torch.allclose(expected, surgeon.weight(), 1e-7, 1e-7, false));
            assertEquals(0, surgeon.weight().select(0, 7).abs().sum().item_double());
            assertEquals(0, surgeon.losses(Tensors.of(new long[] {7}, 1, 1)).item_double(), 1e-20);
        }
    }

    @Test
    @DisplayName("is their own part of the squares where nothing makes up for it")
    void activity() {
        try (var activity = InputActivity.of(xx, start)) {
            Tensor columns = Tensors.of(new long[] {1, 5, 2, 7}, 2, 2);
            double expected = 0;
            for (long input : new long[] {2, 7}) {
                expected +=
                        start.select(0, input).square().sum().item_double()
                                * xx.select(0, input).select(0, input).item_double();
            }

            assertEquals(
                    expected / energy(),
                    activity.losses(columns).select(0, 1).item_double(),
                    1e-12);
            activity.remove(columns.select(0, 0));
            assertEquals(0, activity.weight().select(0, 5).abs().sum().item_double());
            assertTrue(Tensors.equal(start.select(0, 2), activity.weight().select(0, 2)));
        }
    }

    @Test
    @DisplayName("is nothing of a layer that is given only zeros")
    void zeros() {
        xx = xx.mul(new Scalar(0));
        xy = xy.mul(new Scalar(0));
        try (var surgeon = surgeon(0, CHANCE)) {
            assertTrue(torch.allclose(start, surgeon.weight(), 1e-12, 1e-12, false));
            surgeon.remove(Tensors.of(new long[] {3}, 1));
            assertEquals(0, surgeon.weight().select(0, 3).abs().sum().item_double());
        }
    }

    @Test
    @DisplayName("is told by no rounding error of inputs that are the same in all examples")
    void roundingErrors() {
        Tensor noise = Tensors.randn(12, 12).to(ScalarType.Double).mul(new Scalar(1e-16));
        xx = noise.add(noise.t()); // has negative eigenvalues, as what is left of equal rows
        xx.diagonal().add_(new Scalar(1e-17));
        xy = xx.matmul(start).add(new Scalar(1e-17));
        try (var surgeon = surgeon(1, 0)) {
            assertTrue(torch.allclose(start, surgeon.weight(), 1e-3, 1e-3, false));
        }
        // Without means that tell what is noise, there is still an inverse.
        try (var surgeon = surgeon(0, 0)) {
            assertTrue(surgeon.weight().isfinite().all().item_bool());
        }
    }

    @Test
    @DisplayName("is nothing by inputs that are always 0 or of which nothing is taken, to the last")
    void empty() {
        Tensor heard = torch.ones_like(start.select(1, 0));
        heard.narrow(0, 3, 2).fill_(new Scalar(0));
        xx = xx.mul(heard).mul(heard.unsqueeze(1));
        xy = xy.mul(heard.unsqueeze(1));
        start.narrow(0, 7, 2).fill_(new Scalar(0));
        Tensor alone = Tensors.of(new long[] {3, 4, 7, 8, 1}, 5, 1);
        Tensor pairs = Tensors.of(new long[] {3, 8, 1, 4}, 2, 2);
        try (var surgeon = surgeon(0, CHANCE)) {
            for (int i = 0; i < 4; i++) {
                assertEquals(0, surgeon.losses(alone).select(0, i).item_double());
            }
            assertTrue(surgeon.losses(alone).select(0, 4).item_double() > 0);
            assertEquals(0, surgeon.losses(pairs).select(0, 0).item_double());
            surgeon.remove(Tensors.of(new long[] {1}, 1));
            assertEquals(0, surgeon.losses(pairs).select(0, 0).item_double());
            // What stays keeps its weights: on other data it may be given something.
            assertTrue(Tensors.equal(start.select(0, 3), surgeon.weight().select(0, 3)));
        }
    }

    @Test
    @DisplayName("leaves weights whose outputs vary half as much more as they would have to")
    void restored() {
        Tensor gone = Tensors.of(new long[] {1, 2, 3, 7, 8}, 5);
        Tensor all = variance(start);
        try (var least = surgeon(0, 0);
                var surgeon = surgeon(0, 0, all)) {
            least.remove(gone);
            surgeon.remove(gone);

            Tensor expected = all.mul(variance(least.weight())).sqrt();
            assertTrue(torch.allclose(expected, variance(surgeon.weight()), 1e-8, 1e-8, false));
            assertTrue(expected.div(all).max().item_double() < 0.97);
        }
    }

    @Test
    @DisplayName("leaves weights that are no more than the root of two times as large")
    void restoredWithinBounds() {
        Tensor gone = Tensors.of(new long[] {1, 2}, 2);
        for (int time = 0; time < 2; time++) {
            try (var inner = new PointerScope();
                    var least = surgeon(0, 0);
                    var surgeon = surgeon(0, 0, variance(start).mul(new Scalar(1e6)))) {
                least.remove(gone);
                surgeon.remove(gone);

                Tensor most = least.weight().mul(new Scalar(Math.sqrt(2)));
                assertTrue(torch.allclose(most, surgeon.weight(), 1e-8, 1e-8, false));
            }
        }
    }

    private Tensor variance(Tensor weight) {
        return xx.matmul(weight).mul(weight).sum(new long[] {0}, false, new ScalarTypeOptional());
    }
}

package io.espalier.quant.accuracy;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@DisplayName("Matrices rounded in blocks")
class BlockRoundingTest {
    private final PointerScope scope = new PointerScope();

    @BeforeEach
    void seed() {
        Libtorch.seed(4);
    }

    @AfterEach
    void free() {
        scope.close();
    }

    /** Rows whose channels go together, as those of a layer's output do. */
    private static Tensor correlated(int rows, int channels) {
        return Tensors.randn(rows, channels / 4).matmul(Tensors.randn(channels / 4, channels));
    }

    private static SecondMoments moments(Tensor rows) {
        var moments = new SecondMoments(Math.toIntExact(rows.size(rows.dim() - 1)));
        moments.observe(rows);
        return moments;
    }

    private static double error(Tensor rows, Tensor weight, Tensor other) {
        Tensor lost = rows.matmul(other.sub(weight));
        return Math.sqrt(
                lost.square().sum().item_double()
                        / rows.matmul(weight).square().sum().item_double());
    }

    @ParameterizedTest
    @CsvSource({"64, 16", "64, 64", "50, 16", "20, 32", "17, 16"})
    @DisplayName("lose half as much of the product, if rows make up for the errors of others")
    void compensates(int rows, int block) {
        Tensor weight = Tensors.randn(rows, 24);
        int hidden = rows / 4 * 4;
        Tensor seen = correlated(400, hidden).matmul(Tensors.randn(hidden, rows));
        var rounding = new BlockRounding(4, block);

        try (var moments = moments(seen)) {
            Tensor nearest = rounding.nearest(weight).values();
            Tensor compensating = rounding.compensating(weight, moments.mean()).values();

            double worse = error(seen, weight, nearest);
            double better = error(seen, weight, compensating);
            assertTrue(better < 0.5 * worse, () -> better + " after " + worse);
            assertEquals(better, moments.error(weight, compensating), 1e-3);
        }
    }

    @ParameterizedTest
    @CsvSource({"4, 16", "4, 64", "2, 32", "8, 16"})
    @DisplayName("keep a pruned matrix's zeros, while the other numbers make up for errors")
    void zerosStay(int bits, int block) {
        Tensor weight = Tensors.randn(50, 24);
        weight.mul_(Tensors.randn(50, 24).gt(new Scalar(0)));
        weight.narrow(0, 20, 2).zero_();
        Tensor seen = correlated(400, 48).matmul(Tensors.randn(48, 50));
        var rounding = new BlockRounding(bits, block);

        try (var moments = moments(seen)) {
            Tensor compensating = rounding.compensating(weight, moments.mean()).values();

            float[] expected = Tensors.floats(weight);
            float[] found = Tensors.floats(compensating);
            for (int i = 0; i < expected.length; i++) {
                if (expected[i] == 0) {
                    assertEquals(0, found[i], "number " + i);
                }
            }
            double worse = error(seen, weight, rounding.nearest(weight).values());
            double better = error(seen, weight, compensating);
            assertTrue(better < 0.9 * worse, () -> better + " after " + worse);
        }
    }

    @Test
    @DisplayName("round to nearest where channels have nothing to do with each other")
    void independent() {
        Tensor weight = Tensors.randn(32, 8);
        var rounding = new BlockRounding(4, 16);

        BlockedWeight found = rounding.compensating(weight, identity(32));

        assertArrayEquals(rounding.nearest(weight).integers(), found.integers());
    }

    private static Tensor identity(int channels) {
        float[] values = new float[channels * channels];
        for (int i = 0; i < channels; i++) {
            values[i * channels + i] = 1;
        }
        return Tensors.of(values, channels, channels);
    }

    @ParameterizedTest
    @CsvSource({"2", "4", "8"})
    @DisplayName("are within a step of what they were, and have zeros where zeros were")
    void steps(int bits) {
        Tensor weight = Tensors.randn(40, 3);
        weight.narrow(0, 5, 2).zero_();
        weight.narrow(1, 1, 1).zero_();

        BlockedWeight found = new BlockRounding(bits, 16).nearest(weight);

        float[] expected = Tensors.floats(weight);
        float[] values = Tensors.floats(found.values());
        for (int i = 0; i < expected.length; i++) {
            if (expected[i] == 0) {
                assertEquals(0, values[i]);
            }
            assertTrue(
                    Byte.toUnsignedInt(found.integers()[i % 3 * 40 + i / 3]) < 1 << bits,
                    "an integer of as many bits");
        }
        assertTrue(error(identity(40), weight, found.values()) < 1.2 / (1 << bits));
    }

    @Test
    @DisplayName("keep channels that no data ever reached")
    void deadChannels() {
        Tensor weight = Tensors.randn(32, 8);
        Tensor seen = Tensors.randn(100, 32);
        seen.narrow(1, 4, 3).zero_();

        try (var moments = moments(seen);
                var nothing = moments(Tensors.zeros(10, 32))) {
            var rounding = new BlockRounding(4, 16);
            Tensor some = rounding.compensating(weight, moments.mean()).values();
            Tensor none = rounding.compensating(weight, nothing.mean()).values();

            assertTrue(error(identity(32), weight, some) < 0.2);
            assertTrue(error(identity(32), weight, none) < 0.2);
        }
    }

    @Test
    @DisplayName("refuse sizes that can't be, and moments of nothing")
    void refuses() {
        assertEquals(
                "Blocks are of 1 or more numbers of 2 to 8 bits, not of 32 numbers of 9 bits.",
                assertThrows(EspalierException.class, () -> new BlockRounding(9, 32)).getMessage());
        try (var moments = new SecondMoments(4)) {
            assertThrows(EspalierException.class, moments::mean);
        }
    }

    @Test
    @DisplayName("see the same data in parts as at once")
    void merges() {
        Tensor seen = Tensors.randn(30, 8);
        try (var all = moments(seen);
                var first = moments(seen.narrow(0, 0, 10));
                var second = moments(seen.narrow(0, 10, 20).reshape(4, 5, 8))) {
            first.merge(second);

            float[] expected = Tensors.floats(all.mean());
            float[] found = Tensors.floats(first.mean());
            assertArrayEquals(expected, found, 1e-5f);
        }
    }
}

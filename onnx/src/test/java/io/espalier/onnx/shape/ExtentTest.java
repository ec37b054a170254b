package io.espalier.onnx.shape;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.espalier.graph.Size;
import io.espalier.tensor.EspalierException;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.Set;
import java.util.function.LongBinaryOperator;

@DisplayName("An extent")
class ExtentTest {
    private static final Extent N = Extent.named("N");
    private static final Extent H = Extent.named("H");

    @Test
    @DisplayName("is written in one way, however it was computed")
    void canonical() {
        assertEquals(N.times(H).plus(N), H.plus(1).times(N));
        assertEquals("H * N + N", H.plus(1).times(N).toString());
        assertEquals(H, H.times(6).over(6));
        assertEquals("(H + 1) / 2", H.plus(-1).over(2).plus(1).toString());
        assertEquals("(H + 3) / 4", H.plus(1).over(2).plus(1).over(2).toString());
        assertEquals("H / 2", H.times(2).plus(1).over(4).toString());
        assertEquals(H.plus(3), N.times(H).plus(N.times(3)).over(N));
        assertEquals(Extent.of(4), H.plus(4).minus(H));
    }

    @Test
    @DisplayName("knows that a free dimension is 1 or more, so some comparisons are decided")
    void bounds() {
        assertEquals(H, H.max(Extent.ONE));
        assertEquals(Extent.ONE, H.min(Extent.ONE));
        assertEquals(H.plus(1), H.plus(1).max(H));
        assertEquals("max(H, N)", N.max(H).toString());
        assertEquals(N.max(H), H.max(N));
    }

    @Test
    @DisplayName("is a number where its names have sizes, and says which it lacks")
    void sizes() {
        Extent quotient = N.times(H).plus(1).over(2);

        assertEquals(11, quotient.with(Map.of("N", 3L, "H", 7L)).value());
        assertEquals(Set.of("H", "N"), quotient.names());
        assertFalse(quotient.isKnown());
        assertThrows(EspalierException.class, quotient::value);
    }

    @Test
    @DisplayName("is the same number as a size in core's graphs")
    void asSize() {
        var free = Map.of("N", 3L, "H", 7L);
        for (Extent extent :
                List.of(
                        Extent.of(4),
                        N.times(H).plus(N.times(-2)).plus(5),
                        N.times(-1).plus(-2),
                        N.times(H).plus(1).over(2),
                        N.plus(H).over(N.plus(1)).times(3),
                        N.max(H).minus(N.times(2).min(H)))) {
            Size size = Objects.requireNonNull(extent.toSize(Size.Free::new));

            assertEquals(extent.with(free).value(), size.resolve(free::get, dim -> 0));
        }
        assertNull(N.plus(H).toSize(name -> name.equals("N") ? new Size.Free(name) : null));
    }

    @Test
    @DisplayName("computes as whole numbers do, for random expressions and sizes")
    void arithmetic() {
        var random = new Random(3);
        for (int round = 0; round < 2000; round++) {
            Map<String, Long> sizes =
                    Map.of("N", 1L + random.nextInt(20), "H", 1L + random.nextInt(20));
            Extent extent = random.nextBoolean() ? N : H;
            long value = extent.with(sizes).value();
            for (int step = 0; step < 5; step++) {
                Extent other =
                        List.of(N, H, Extent.of(random.nextInt(9) - 4)).get(random.nextInt(3));
                long number = other.with(sizes).value();
                int operation = random.nextInt(5);
                if (operation == 3 && (number == 0 || other.is(0))) {
                    continue;
                }
                extent =
                        switch (operation) {
                            case 0 -> extent.plus(other);
                            case 1 -> extent.times(other);
                            case 2 -> extent.minus(other);
                            case 3 -> extent.over(other);
                            default -> extent.max(other);
                        };
                LongBinaryOperator same =
                        List.<LongBinaryOperator>of(
                                        (a, b) -> a + b,
                                        (a, b) -> a * b,
                                        (a, b) -> a - b,
                                        Math::floorDiv,
                                        Math::max)
                                .get(operation);
                value = same.applyAsLong(value, number);
            }
            assertEquals(value, extent.with(sizes).value(), extent::toString);
        }
    }

    @Test
    @DisplayName("that grows without end is refused before it fills the memory")
    void grows() {
        assertThrows(
                ArithmeticException.class,
                () -> {
                    Extent extent = N.plus(H);
                    for (int i = 0; i < 100; i++) {
                        extent = extent.times(extent).plus(extent.over(7));
                    }
                });
    }
}

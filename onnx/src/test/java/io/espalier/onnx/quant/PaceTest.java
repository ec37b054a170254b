package io.espalier.onnx.quant;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.espalier.onnx.quant.Pace.Work;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;

@DisplayName("The pace of a quantization")
class PaceTest {
    private static final long SECOND = 1_000_000_000L;

    private final AtomicLong clock = new AtomicLong();
    private final List<String> told = new ArrayList<>();
    private final Pace pace = new Pace(progress -> told.add(progress.toString()), clock::get);

    @Test
    @DisplayName("says what is left by how long like steps took, and by what is done of this one")
    void left() {
        pace.expect(Work.CONVOLUTIONS, 3);
        pace.begin(Work.OPERATORS, "measuring operators");
        clock.addAndGet(2 * SECOND);
        pace.begin(Work.CONVOLUTIONS, "attempt 1");
        clock.addAndGet(4 * SECOND);
        pace.at(10, 20);
        clock.addAndGet(5 * SECOND);
        pace.begin(Work.CONVOLUTIONS, "attempt 2");
        clock.addAndGet(3 * SECOND);
        pace.expect(Work.CONVOLUTIONS, 0);
        pace.at(10, 20);

        assertEquals(
                List.of(
                        "measuring operators",
                        "attempt 1",
                        // 4 s of this one, and two of 8 s
                        "attempt 1: 10 of 20, up to 21 s left",
                        // this one and another, of 9 s each
                        "attempt 2, up to 19 s left",
                        "attempt 2: 10 of 20, up to 4 s left"),
                told);
    }

    @Test
    @DisplayName("says nothing of the time left while a long step may come that none was like")
    void unknown() {
        pace.expect(Work.CONVOLUTIONS, 1);
        pace.begin(Work.PRODUCTS, "fitting matrix products");
        clock.addAndGet(SECOND);
        pace.begin(Work.PRODUCTS, "fitting matrix products");
        pace.expect(Work.CONVOLUTIONS, 0);
        pace.at(0, 8);
        pace.say("6 layers in integers");

        assertEquals(
                List.of(
                        "fitting matrix products",
                        "fitting matrix products",
                        "fitting matrix products: 0 of 8, up to 2 s left",
                        "6 layers in integers"),
                told);
    }
}

package io.espalier.onnx.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

@DisplayName("Times of two models")
class PairedTimeTest {
    /** Takes at least so many milliseconds, and counts. */
    private static final class Waiting implements RunningModel {
        private final long millis;
        private int runs;

        Waiting(long millis) {
            this.millis = millis;
        }

        @Override
        public Map<String, Tensor> run(Map<String, Tensor> inputs) {
            runs++;
            try {
                Thread.sleep(millis);
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
            return Map.of();
        }

        @Override
        public void close() {
            // Holds nothing.
        }
    }

    @Test
    @DisplayName(
            "are taken once a turn of a long run, more often of short ones, after an untimed one")
    void runs() {
        try (var slow = new Waiting(101);
                var quick = new Waiting(0)) {
            PairedTime time = PairedTime.of(slow, quick, Map.of(), 1);

            assertEquals(2, slow.runs);
            assertEquals(4, quick.runs);
            assertTrue(time.reference() > 100, time::toString);
        }
    }

    @Test
    @DisplayName("are taken as long as doubt remains, in sessions of their own")
    void doubt() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, 8]")
                        .weight("w", 8, 4)
                        .node("y = MatMul(x, w)")
                        .output("y")
                        .build();
        List<PairedTime> seen = new ArrayList<>();

        PairedTime least =
                PairedTime.ofSessions(
                        model,
                        model,
                        Map.of("x", Tensors.randn(2, 8)),
                        (time, times) -> {
                            seen.add(time);
                            return times < 3;
                        });

        assertEquals(3, seen.size());
        assertEquals(least, seen.getLast());
        assertTrue(seen.getFirst().reference() >= least.reference());
        assertTrue(seen.getFirst().candidate() >= least.candidate());
    }
}

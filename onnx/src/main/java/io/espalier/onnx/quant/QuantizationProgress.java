package io.espalier.onnx.quant;

import java.time.Duration;
import java.util.Optional;

/**
 * How far a quantization is; printed, it is a line for people.
 *
 * @param step what is being done, in words
 * @param done how much of the step is done, out of {@code total}
 * @param total 0 where that can't be counted
 * @param left how long the rest takes at most, if all steps come that may still come and each takes
 *     as long as the last like it; empty until that is known
 */
public record QuantizationProgress(String step, long done, long total, Optional<Duration> left) {
    @Override
    public String toString() {
        return step
                + (total > 0 ? ": %d of %d".formatted(done, total) : "")
                + left.map(time -> ", up to %d s left".formatted(time.toSeconds() + 1)).orElse("");
    }
}

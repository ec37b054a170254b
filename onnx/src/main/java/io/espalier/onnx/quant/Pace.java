package io.espalier.onnx.quant;

import org.jspecify.annotations.Nullable;

import java.time.Duration;
import java.util.EnumMap;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.function.Consumer;
import java.util.function.LongSupplier;

/**
 * Tells somebody which step a quantization is at and how long the rest may take: what is left of
 * the step, by what is done of it or by how long the last one like it took, and the steps that may
 * still come.
 */
final class Pace {
    /** Kinds of steps, each of which takes about the same time whenever it comes. */
    enum Work {
        /** What comes first, and is like nothing. */
        PREPARATION,
        PRODUCTS,
        OPERATORS,
        CONVOLUTIONS,
        LOSSES,
        ROUNDING,
        MEASURING;

        /** Whether nothing can be said of the rest while it is not known how long this takes. */
        private boolean isLong() {
            return this == PRODUCTS || this == CONVOLUTIONS;
        }
    }

    private final Consumer<QuantizationProgress> listener;
    private final LongSupplier clock;
    private final Map<Work, Long> took = new EnumMap<>(Work.class);
    private final Map<Work, Integer> ahead = new EnumMap<>(Work.class);
    private @Nullable Work current;
    private String step = "";
    private long began;
    private long done;
    private long total;

    /**
     * @param clock in nanoseconds
     */
    Pace(Consumer<QuantizationProgress> listener, LongSupplier clock) {
        this.listener = listener;
        this.clock = clock;
    }

    static Pace of(Consumer<QuantizationProgress> listener) {
        return new Pace(listener, System::nanoTime);
    }

    /** The same for another quantization, of which nothing is known. */
    Pace anew() {
        return new Pace(listener, clock);
    }

    /** A step begins, and the one before has ended. */
    void begin(Work work, String words) {
        end();
        current = work;
        step = words;
        began = clock.getAsLong();
        done = 0;
        total = 0;
        ahead.computeIfPresent(work, (same, count) -> Math.max(count - 1, 0));
        tell();
    }

    private void end() {
        Work ended = current;
        if (ended != null && ended != Work.PREPARATION) {
            took.put(ended, clock.getAsLong() - began);
        }
        current = null;
    }

    /** So many steps of a kind may come after this one. */
    void expect(Work work, int most) {
        ahead.put(work, most);
    }

    /** So much of the step is done. */
    void at(long newDone, long newTotal) {
        done = newDone;
        total = newTotal;
        tell();
    }

    /** Something was found. */
    void say(String words) {
        listener.accept(new QuantizationProgress(words, 0, 0, Optional.empty()));
    }

    private void tell() {
        listener.accept(new QuantizationProgress(step, done, total, left()));
    }

    private Optional<Duration> left() {
        Work work = current;
        OptionalLong whole = work == null ? OptionalLong.empty() : whole(work);
        if (work == null || whole.isEmpty()) {
            return Optional.empty();
        }
        long left = Math.max(whole.getAsLong() - (clock.getAsLong() - began), 0);
        for (Map.Entry<Work, Integer> next : ahead.entrySet()) {
            boolean same = next.getKey() == work;
            Long known = same ? Long.valueOf(whole.getAsLong()) : took.get(next.getKey());
            if (known == null && next.getKey().isLong() && next.getValue() > 0) {
                return Optional.empty();
            }
            left += next.getValue() * (known == null ? 0 : known);
        }
        return Optional.of(Duration.ofNanos(left));
    }

    /** What all of the step takes, in nanoseconds. */
    private OptionalLong whole(Work work) {
        if (done > 0 && total > 0) {
            return OptionalLong.of((clock.getAsLong() - began) * total / done);
        }
        Long known = took.get(work);
        return known == null ? OptionalLong.empty() : OptionalLong.of(known);
    }
}

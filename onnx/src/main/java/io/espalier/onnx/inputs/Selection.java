package io.espalier.onnx.inputs;

import io.espalier.tensor.EspalierException;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Random;

/** Which examples, in which order, how many at once. */
record Selection(OptionalInt batch, OptionalInt limit, OptionalLong seed) {
    static final Selection ALL =
            new Selection(OptionalInt.empty(), OptionalInt.empty(), OptionalLong.empty());

    /** Enough to use all cores, and little memory. */
    private static final int USUAL_BATCH = 8;

    Selection batch(int examples) {
        requirePositive("A batch has", examples);
        return new Selection(OptionalInt.of(examples), limit, seed);
    }

    Selection limit(int examples) {
        requirePositive("Inputs are limited to", examples);
        return new Selection(batch, OptionalInt.of(examples), seed);
    }

    Selection shuffled(long newSeed) {
        return new Selection(batch, limit, OptionalLong.of(newSeed));
    }

    private static void requirePositive(String what, int examples) {
        if (examples < 1) {
            throw new EspalierException(what + " 1 or more examples, not " + examples + ".");
        }
    }

    /** In this order: the draw is of {@link Random}, whose numbers Java's specification fixes. */
    <T> List<T> ordered(List<T> all) {
        if (seed.isEmpty()) {
            return all;
        }
        var shuffled = new ArrayList<>(all);
        Collections.shuffle(shuffled, new Random(seed.getAsLong()));
        return List.copyOf(shuffled);
    }

    /** In this order, no more than the limit. */
    <T> List<T> chosen(List<T> all) {
        List<T> ordered = ordered(all);
        return ordered.subList(0, Math.min(ordered.size(), limit.orElse(ordered.size())));
    }

    /** How many examples at once where each is made by itself. */
    int batchFor(Signature signature) {
        OptionalInt fixed = signature.fixedBatch();
        if (fixed.isPresent() && batch.isPresent() && batch.getAsInt() != fixed.getAsInt()) {
            throw new EspalierException(
                    "The model takes batches of %d; asked for batches of %d. %s"
                            .formatted(fixed.getAsInt(), batch.getAsInt(), signature.wanted()));
        }
        return batch.orElse(fixed.orElse(USUAL_BATCH));
    }
}

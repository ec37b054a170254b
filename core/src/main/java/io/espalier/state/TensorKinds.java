package io.espalier.state;

import io.espalier.state.SafeTensors.Entry;
import io.espalier.state.SafeTensors.Header;
import io.espalier.state.StoredTensor.Kind;

import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Tells what the tensors of a file are to their model: by the names that layers, observers and
 * trainings give, and by what the file says of itself.
 */
final class TensorKinds {
    private static final String ORIGINAL = "_orig";
    private static final String MASK = "_mask";
    private static final String CODES = "_codes";
    private static final String SCALE = "scale";
    private static final String ZERO_POINT = "zero_point";
    private static final String QUANTIZED = "espalier.quantized";
    private static final String CHECKPOINT = "espalier.checkpoint";

    /** Last parts of names of what is not trained. */
    private static final Set<String> BUFFERS =
            Set.of(
                    "running_mean",
                    "running_var",
                    "num_batches_tracked",
                    "min_val",
                    "max_val",
                    "eps",
                    "histogram",
                    "observer_enabled",
                    "fake_quant_enabled");

    /** Types that no training moves. */
    private static final Set<String> COUNTERS = Set.of("I64", "I32", "BOOL");

    private final Map<String, Entry> entries;
    private final boolean quantized;
    private final boolean checkpoint;

    TensorKinds(Header header) {
        entries = header.entries();
        quantized = header.metadata().containsKey(QUANTIZED);
        checkpoint = header.metadata().containsKey(CHECKPOINT);
    }

    /** What a tensor is; {@link Kind#MASKED} where the file has its mask too. */
    Kind of(String name) {
        if (checkpoint && !name.startsWith("model.")) {
            return beside(name);
        }
        String last = name.substring(name.lastIndexOf('.') + 1);
        if (isSetting(name, last)) {
            return Kind.SETTING;
        }
        if (mask(name).isPresent()) {
            return Kind.MASKED;
        }
        boolean buffer = BUFFERS.contains(last) || last.endsWith(MASK) || last.endsWith(CODES);
        return buffer || COUNTERS.contains(entry(name).dtype()) ? Kind.BUFFER : Kind.PARAMETER;
    }

    /** What a checkpoint keeps beside the model. */
    private static Kind beside(String name) {
        if (name.startsWith("optimizer")) {
            return Kind.OPTIMIZER;
        }
        return name.equals("generator") ? Kind.GENERATOR : Kind.BEST;
    }

    /** A scale comes with its zero point; a network that only has a "scale" may well train it. */
    private boolean isSetting(String name, String last) {
        return (last.endsWith(SCALE) && (quantized || has(name, SCALE, ZERO_POINT)))
                || (last.endsWith(ZERO_POINT) && (quantized || has(name, ZERO_POINT, SCALE)));
    }

    private boolean has(String name, String end, String other) {
        return entries.containsKey(withEnd(name, end, other));
    }

    /** Whether it is the mask of a parameter of the file, and so a part of that. */
    boolean isMask(String name) {
        return name.endsWith(MASK) && partner(name, MASK, ORIGINAL).isPresent();
    }

    /** The name of a pruned parameter's mask. */
    Optional<String> maskName(String name) {
        return mask(name).map(mask -> withEnd(name, ORIGINAL, MASK));
    }

    private Optional<Entry> mask(String name) {
        return name.endsWith(ORIGINAL) ? partner(name, ORIGINAL, MASK) : Optional.empty();
    }

    /** {@code X_mask} for {@code X_orig}, or the other way round, where it has the same shape. */
    private Optional<Entry> partner(String name, String end, String other) {
        return Optional.ofNullable(entries.get(withEnd(name, end, other)))
                .filter(found -> found.shape().equals(entry(name).shape()));
    }

    /** The name under which a model's author knows a tensor. */
    String publicName(String name) {
        return mask(name).isPresent() ? withEnd(name, ORIGINAL, "") : name;
    }

    private static String withEnd(String name, String end, String other) {
        return name.substring(0, name.length() - end.length()) + other;
    }

    private Entry entry(String name) {
        Entry entry = entries.get(name);
        if (entry == null) {
            throw new IllegalArgumentException(name);
        }
        return entry;
    }
}

package io.espalier.train;

import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.Adagrad;
import org.bytedeco.pytorch.Adam;
import org.bytedeco.pytorch.AdamW;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.RMSprop;
import org.bytedeco.pytorch.SGD;

import java.util.Map;
import java.util.Set;

/**
 * What one of libtorch's optimizers keeps of a parameter that it has moved, by libtorch's names.
 *
 * @param counts what it counts
 * @param tensors of the parameter's shape and type: those always there
 * @param optional further ones, by the option that is on where they are needed
 */
record Moments(Set<String> counts, Set<String> tensors, Map<String, String> optional) {
    private static final Set<String> STEP = Set.of("step");
    private static final String MOMENTUM = "momentum_buffer";

    /**
     * Those of an optimizer.
     *
     * @throws EspalierException if it is of another kind than those known
     */
    static Moments of(Optimizer optimizer) {
        return switch (optimizer) {
            case SGD _ -> new Moments(Set.of(), Set.of(MOMENTUM), Map.of());
            case Adam _ -> ofAdam();
            case AdamW _ -> ofAdam();
            case Adagrad _ -> new Moments(STEP, Set.of("sum"), Map.of());
            case RMSprop _ ->
                    new Moments(
                            STEP,
                            Set.of("square_avg"),
                            Map.of("momentum", MOMENTUM, "centered", "grad_avg"));
            default ->
                    throw new EspalierException(
                            "A checkpoint holds the state of SGD, Adam, AdamW, Adagrad or RMSprop;"
                                    + " this training's optimizer is "
                                    + optimizer.getClass().getSimpleName()
                                    + ".");
        };
    }

    private static Moments ofAdam() {
        return new Moments(
                STEP, Set.of("exp_avg", "exp_avg_sq"), Map.of("amsgrad", "max_exp_avg_sq"));
    }

    boolean mayHave(String tensor) {
        return tensors.contains(tensor) || optional.containsValue(tensor);
    }

    /** Whether {@code found} is enough for an optimizer with these options to go on. */
    boolean suffice(Set<String> found, Map<String, Object> options) {
        return found.containsAll(tensors)
                && optional.entrySet().stream()
                        .allMatch(each ->
                                found.contains(each.getValue())
                                        || !isOn(options.getOrDefault(each.getKey(), false)));
    }

    private static boolean isOn(Object option) {
        return option instanceof Double number ? number != 0 : option.equals(true);
    }
}

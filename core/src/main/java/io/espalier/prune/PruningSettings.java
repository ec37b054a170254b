package io.espalier.prune;

import io.espalier.train.Evaluator;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.Function;

/** What an {@link IterativePruner} was told. */
final class PruningSettings implements Cloneable {
    List<Target> targets;
    Schedule schedule = Schedule.oneShot(0.5);
    @Nullable Importance importance;
    Function<Amount, ? extends PruningMethod> method = L1Unstructured::new;
    boolean global = true;
    FineTuning fineTuning = FineTuning.NONE;
    @Nullable Evaluator evaluator;
    double budget = Double.POSITIVE_INFINITY;
    int retries;
    List<Consumer<? super PruningResult.Round>> listeners = new ArrayList<>();

    PruningSettings(List<Target> targets) {
        this.targets = targets;
    }

    /** What a run begins with, whatever is set later. */
    PruningSettings copy() {
        try {
            var copy = (PruningSettings) clone();
            copy.listeners = new ArrayList<>(listeners);
            return copy;
        } catch (CloneNotSupportedException e) {
            throw new AssertionError("settings are Cloneable", e);
        }
    }
}

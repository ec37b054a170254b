package io.espalier.train;

import io.espalier.nn.Module;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * The evaluations of a training, and which of them was the best. What is best, and how long there
 * has been no progress, counts anew whenever the model has taken another {@link Form}, and from
 * when its {@link ModelSchedule}s are done.
 */
final class Evaluations {
    private final Module model;
    private final TrainingSettings settings;
    private final List<Scores> all;
    private final BestModel bestModel;
    private int best;
    private int lastGain;
    private @Nullable Form form;

    /** Goes on from where a training stands. */
    Evaluations(Module model, TrainingSettings settings, Progress start, BestModel bestModel) {
        this.model = model;
        this.settings = settings;
        all = new ArrayList<>(start.evaluations());
        this.bestModel = bestModel;
        best = start.best();
        lastGain = start.lastGain();
        form = start.form();
    }

    /**
     * Evaluates the model.
     *
     * @return the evaluation, and whether it is the best so far of the model in its form
     */
    TrainingEvent.Evaluated add(EvaluationPass pass, int epoch, long step) {
        Scores scores = pass.run(settings.evaluated.apply(model), step);
        all.add(scores);
        int last = all.size() - 1;
        Form now = Form.of(model);
        boolean unfinished = !settings.unfinished(step).isEmpty();
        if (unfinished || !now.equals(form)) {
            form = unfinished ? null : now;
            best = -1;
            lastGain = unfinished ? last : -1;
        }
        if (unfinished) {
            return new TrainingEvent.Evaluated(epoch, scores, false);
        }
        boolean isBest = best < 0 || pass.isBetter(scores, all.get(best), 0);
        if (isBest) {
            best = last;
            if (settings.keepsBest) {
                bestModel.copyOf(model);
            }
        }
        if (lastGain < 0 || pass.isBetter(scores, all.get(lastGain), settings.minDelta)) {
            lastGain = last;
        }
        return new TrainingEvent.Evaluated(epoch, scores, isBest);
    }

    /** How many evaluations in a row have brought nothing. */
    int sinceGain() {
        return all.size() - 1 - lastGain;
    }

    /** All of them, in order. */
    List<Scores> all() {
        return all;
    }

    /** The best evaluation of the model in the form that it has now. */
    Optional<Scores> best() {
        return best >= 0 && Form.of(model).equals(form)
                ? Optional.of(all.get(best))
                : Optional.empty();
    }

    /**
     * Makes the model what it was at its best, if it still has that form.
     *
     * @return why not, if so
     */
    Optional<String> restoreBest() {
        Form now = Form.of(model);
        if (best < 0 || form == null) {
            return Optional.of(
                    "No evaluation counts as the best, so the model is as the last step left it.");
        }
        if (!now.equals(form)) {
            return Optional.of(
                    "The model is as the last step left it, not as it was at its best evaluation: "
                            + form.until(now)
                            + ", and it was not evaluated after that.");
        }
        bestModel.restore(model);
        return Optional.empty();
    }

    /** Where a training stands that has come so far. */
    Progress progress(long step, int epoch, int batch, double epochLoss, int epochSteps) {
        return new Progress(step, epoch, batch, epochLoss, epochSteps, all, best, lastGain, form);
    }
}

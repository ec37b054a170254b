package io.espalier.prune;

import io.espalier.nn.Module;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * What an {@link IterativePruner} reached; {@link #toString} is a table of its rounds.
 *
 * @param model the model that was given, now the sparsest one within the budget
 * @param sparsity its share of pruned weights among those that were to be pruned
 * @param before what the evaluator said of the model as it was given; NaN without an evaluator
 * @param after what it says of {@code model}
 * @param rounds the rounds that were completed, also those of earlier runs that this one continued
 * @param end why there was no further round
 * @param warnings what the trainer that fine-tunes warned of, a sentence each
 */
public record PruningResult(
        Module model,
        double sparsity,
        double before,
        double after,
        List<Round> rounds,
        End end,
        List<String> warnings) {
    /** Copies the lists. */
    public PruningResult {
        rounds = List.copyOf(rounds);
        warnings = List.copyOf(warnings);
    }

    /**
     * One round of pruning and fine-tuning.
     *
     * @param number counted from 1
     * @param sparsity the share of pruned weights after it
     * @param metric what the evaluator said after fine-tuning; NaN without an evaluator
     * @param kept whether that was within the budget
     */
    public record Round(int number, double sparsity, double metric, boolean kept) {}

    /** Why a run ended. */
    public enum End {
        /** The schedule's target was reached within the budget. */
        TARGET_REACHED,
        /** A round lost more than the budget allows; the round before it is the result. */
        BUDGET_EXCEEDED,
        /** Someone stopped it, or interrupted the thread; running it again goes on. */
        STOPPED
    }

    @Override
    public String toString() {
        List<List<String>> rows = new ArrayList<>();
        rows.add(List.of("round", "sparsity", "metric", ""));
        rows.add(List.of("0", "", number(before), "before"));
        for (Round round : rounds) {
            rows.add(
                    List.of(
                            Integer.toString(round.number()),
                            String.format(Locale.ROOT, "%.2f %%", 100 * round.sparsity()),
                            number(round.metric()),
                            round.kept() ? "kept" : "over budget"));
        }
        String ended =
                switch (end) {
                    case TARGET_REACHED -> "reached the target";
                    case BUDGET_EXCEEDED -> "stopped at the budget";
                    case STOPPED -> "was stopped";
                };
        return Table.print(rows, "rrrl")
                + String.format(
                        Locale.ROOT,
                        "%n%s: %.2f %% sparse, metric %s, before %s",
                        ended,
                        100 * sparsity,
                        number(after),
                        number(before));
    }

    private static String number(double metric) {
        return Double.isNaN(metric) ? "-" : String.format(Locale.ROOT, "%.4f", metric);
    }
}

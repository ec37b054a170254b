package io.espalier.slim;

import io.espalier.nn.Module;

import java.util.List;
import java.util.Locale;

/**
 * What a slimming of a Java model came to; {@link #toString} is a table of its groups.
 *
 * @param model the model that was given, now slimmer
 * @param rows one for each group, in their order
 * @param groups what goes together, and what stays for which reason, of the model as it came in
 * @param before what the model cost on the example as it came in
 * @param after what it costs now
 */
public record SlimResult(Module model, List<Row> rows, Groups groups, Cost before, Cost after) {
    /** Copies the list. */
    public SlimResult {
        rows = List.copyOf(rows);
    }

    /**
     * A group.
     *
     * @param left how many of its units are left
     * @param by how they were chosen
     */
    public record Row(Group group, int left, String by) {}

    /**
     * What a model costs.
     *
     * @param parameters how many there are
     * @param macs multiplications, each with an addition, in a call with the example
     */
    public record Cost(long parameters, long macs) {}

    @Override
    public String toString() {
        var text = new StringBuilder();
        for (Row row : rows) {
            text.append(
                    "%-40s %6d of %6d  %s%n"
                            .formatted(
                                    row.group().place(),
                                    row.left(),
                                    row.group().units().size(),
                                    row.by()));
        }
        return text.append(line("parameters", before.parameters(), after.parameters()))
                .append(System.lineSeparator())
                .append(line("MACs", before.macs(), after.macs()))
                .toString();
    }

    private static String line(String what, long was, long is) {
        double share = was == 0 ? 1 : (double) is / was;
        return String.format(Locale.ROOT, "%s: %,d of %,d (%.3f)", what, is, was, share);
    }
}

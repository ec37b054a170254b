package io.espalier.slim;

import io.espalier.nn.Module;

import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/**
 * What a slimming of a Java model came to; {@link #toString} is a table of its groups.
 *
 * @param model the model that was given, now slimmer
 * @param rows one for each group, in their order
 * @param unit what the costs in the rows are counted in, such as ms or MACs
 * @param groups what goes together, and what stays for which reason, of the model as it came in
 * @param before what the model cost on the example as it came in
 * @param after what it costs now
 */
public record SlimResult(
        Module model, List<Row> rows, String unit, Groups groups, Cost before, Cost after) {
    /** Copies the list. */
    public SlimResult {
        rows = List.copyOf(rows);
    }

    /**
     * A group.
     *
     * @param left how many of its units are left
     * @param by how they were chosen
     * @param spent what it costs and loses, where a target of costs was set
     */
    public record Row(Group group, int left, String by, Optional<GroupCost> spent) {
        private String text(String unit) {
            String units = "%-40s %6d of %6d".formatted(group.place(), left, group.units().size());
            return units + spent.map(cost -> text(cost, unit)).orElse("") + "  " + by;
        }

        private static String text(GroupCost cost, String unit) {
            String numbers = unit.equals("ms") ? "%,12.4f of %,12.4f" : "%,14.0f of %,14.0f";
            return String.format(
                    Locale.ROOT,
                    "  " + numbers + " %s  error %.5f",
                    cost.after(),
                    cost.before(),
                    unit,
                    cost.error());
        }
    }

    /**
     * What a model costs.
     *
     * @param parameters how many there are
     * @param macs multiplications, each with an addition, in a call with the example
     */
    public record Cost(long parameters, long macs) {}

    /** The same with what groups cost and lose. */
    SlimResult with(Map<Group, GroupCost> spent, String in) {
        List<Row> all =
                rows.stream()
                        .map(row ->
                                new Row(
                                        row.group,
                                        row.left,
                                        row.by,
                                        Optional.ofNullable(spent.get(row.group))))
                        .toList();
        return new SlimResult(model, all, in, groups, before, after);
    }

    @Override
    public String toString() {
        var text = new StringBuilder();
        for (Row row : rows) {
            text.append(row.text(unit)).append(System.lineSeparator());
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

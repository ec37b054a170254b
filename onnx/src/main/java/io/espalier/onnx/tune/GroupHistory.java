package io.espalier.onnx.tune;

import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.slim.SlimResult;
import io.espalier.onnx.slim.SlimResult.Row;
import io.espalier.slim.Group;
import io.espalier.slim.GroupCost;
import io.espalier.slim.Groups;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** What became of a model's groups in rounds, the groups of each of which are of what was left. */
final class GroupHistory {
    private final Groups groups;
    private List<Fate> fates = new ArrayList<>();
    private String unit = "";

    /** Of the groups of the model that came in. */
    GroupHistory(Groups groups) {
        this.groups = groups;
        groups.all().forEach(group -> fates.add(new Fate(group.units().size(), "", List.of())));
    }

    /**
     * What became of a group so far.
     *
     * @param spent what it costs before and after, and its error, if that is known
     */
    record Fate(int left, String by, List<Double> spent) {
        Optional<GroupCost> all() {
            return spent.isEmpty()
                    ? Optional.empty()
                    : Optional.of(new GroupCost(spent.get(0), spent.get(1), spent.get(2)));
        }

        /** Costs count from the first round to the last, errors add up. */
        Fate after(Row row) {
            List<Double> now =
                    row.spent()
                            .map(s ->
                                    List.of(
                                            all().map(GroupCost::before).orElse(s.before()),
                                            s.after(),
                                            all().map(GroupCost::error).orElse(0.0) + s.error()))
                            .orElse(spent);
            return new Fate(row.left(), row.by(), now);
        }
    }

    /** The same in a form that is kept in files. */
    record Kept(String unit, List<Fate> fates) {}

    Kept kept() {
        return new Kept(unit, fates);
    }

    /** Goes on from what was kept. */
    void takeUp(Kept kept) {
        unit = kept.unit();
        fates = new ArrayList<>(kept.fates());
    }

    /** Adds what a round came to. Groups go by the place of their first channels. */
    void add(SlimResult result) {
        unit = result.unit();
        Map<String, Row> rows = new HashMap<>();
        Map<String, Integer> seen = new HashMap<>();
        result.rows().forEach(row -> rows.put(key(row.group(), seen), row));
        seen.clear();
        List<Group> all = groups.all();
        for (int g = 0; g < all.size(); g++) {
            Row row = rows.get(key(all.get(g), seen));
            if (row != null) {
                fates.set(g, fates.get(g).after(row));
            }
        }
    }

    /**
     * Heads and the places within them have one place, and heads may be found no more when few are
     * left; the order tells places of queries from those of values.
     */
    private static String key(Group group, Map<String, Integer> seen) {
        String place = group.place() + (group.isOuter() ? " heads" : "");
        return place + " " + seen.merge(place, 1, Integer::sum);
    }

    /** All rounds as one. */
    SlimResult result(OnnxModel model) {
        List<Row> rows = new ArrayList<>();
        List<Group> all = groups.all();
        for (int g = 0; g < all.size(); g++) {
            Fate fate = fates.get(g);
            rows.add(new Row(all.get(g), fate.left(), fate.by(), fate.all()));
        }
        return new SlimResult(model, rows, unit, groups);
    }
}

package io.espalier.slim;

import io.espalier.graph.Node;
import io.espalier.graph.Node.OperatorCall;
import io.espalier.graph.Value;
import io.espalier.slim.LeftOutModules.Out;
import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * Whether a model out of which channels were taken computes what it did, on what is left of each
 * value: it is traced again.
 */
final class SlimmedModelCheck {
    private final ModelAnalysis analysis;
    private final Groups groups;
    private final List<Tensor> example;

    SlimmedModelCheck(ModelAnalysis analysis, Groups groups, List<Tensor> example) {
        this.analysis = analysis;
        this.groups = groups;
        this.example = example;
    }

    /**
     * The analysis of a model in which what its code counts by written numbers stays: channels are
     * taken out for a moment where numbers count them, to see whether the numbers follow.
     */
    static ModelAnalysis settled(ModelAnalysis first, List<Tensor> example) {
        if (first.counts().isEmpty()) {
            return first;
        }
        Groups groups = first.groups();
        var check = new SlimmedModelCheck(first, groups, example);
        List<Group> counted =
                groups.independent(group -> group.units().size() > 1 && check.isCounted(group));
        if (check.works(counted.stream().map(group -> group.units().getFirst()).toList())) {
            return first;
        }
        Set<WrittenCount.Place> follow = new HashSet<>();
        List<Set<WrittenCount.Place>> failed = new ArrayList<>();
        for (Group group : groups.all()) {
            if (group.units().size() > 1 && check.isCounted(group)) {
                boolean works = check.works(List.of(group.units().getFirst()));
                Set<WrittenCount.Place> cut = check.counting(group);
                if (works) {
                    follow.addAll(cut);
                } else {
                    failed.add(cut);
                }
            }
        }
        Set<WrittenCount.Place> written = new HashSet<>();
        for (Set<WrittenCount.Place> places : failed) {
            // What follows when other channels go is no written number.
            Set<WrittenCount.Place> suspects = new HashSet<>(places);
            suspects.removeAll(follow);
            written.addAll(suspects.isEmpty() ? places : suspects);
        }
        return ModelAnalysis.of(first.model(), first.traced(), written);
    }

    private boolean isCounted(Group group) {
        return !counting(group).isEmpty();
    }

    /** Where numbers count what goes with a group's first unit. */
    private Set<WrittenCount.Place> counting(Group group) {
        Cut cut = groups.alone(group.units().getFirst());
        return analysis.counts().stream()
                .filter(count -> count.isCut(cut))
                .map(WrittenCount::place)
                .collect(Collectors.toSet());
    }

    private boolean works(List<Unit> units) {
        List<Unit> some = ModelRemoval.leavingSome(analysis, groups, units);
        Cut cut = groups.choose(some);
        ModelRemoval removal = ModelRemoval.apply(analysis, cut);
        try {
            return difference(cut, Out.none(analysis.model())).isEmpty();
        } finally {
            removal.undo();
        }
    }

    /**
     * What the model, out of which this was cut, does otherwise than it should.
     *
     * @param out blocks that are left out as well
     */
    Optional<String> difference(Cut cut, Out out) {
        TracedModel now;
        try {
            now = TracedModel.of(analysis.model(), example);
        } catch (EspalierException e) {
            return Optional.of(String.valueOf(e.getMessage()));
        } catch (RuntimeException e) { // whatever a model's own code throws
            return Optional.of(e.toString());
        }
        List<Node> before = analysis.traced().graph().nodes();
        List<Node> after = now.graph().nodes().stream().filter(node -> !out.stands(node)).toList();
        int[] left =
                IntStream.range(0, before.size()).filter(i -> !out.had(before.get(i))).toArray();
        if (left.length != after.size()) {
            return Optional.of("it computes in other steps then");
        }
        return IntStream.range(0, left.length)
                .filter(i -> !out.isBehind(before.get(left[i])))
                .mapToObj(i -> difference(left[i], before.get(left[i]), after.get(i), now, cut))
                .flatMap(Optional::stream)
                .findFirst();
    }

    private Optional<String> difference(int at, Node was, Node is, TracedModel now, Cut cut) {
        if (was.results().size() != is.results().size()
                || !was.modulePath().equals(is.modulePath())) {
            return Optional.of("it computes in other steps then");
        }
        for (int i = 0; i < was.results().size(); i++) {
            long[] wanted = left(was.results().get(i), cut);
            Value result = is.results().get(i);
            if (!Arrays.equals(wanted, now.extents(result))) {
                return Optional.of(
                        "'%s' would be %s there and not %s"
                                .formatted(result, now.printed(result), Arrays.toString(wanted)));
            }
        }
        if (!(is instanceof OperatorCall call)) {
            return Optional.empty();
        }
        for (WrittenCount count : analysis.counts()) {
            Long number = count.place().node() == at ? count.place().in(call) : null;
            if (number != null && number >= 0 && number != count.after().applyAsLong(cut)) {
                return Optional.of("'%s' counts %d there".formatted(is.result(), number));
            }
        }
        return Optional.empty();
    }

    private long[] left(Value value, Cut cut) {
        ChannelValue known = analysis.value(value);
        return IntStream.range(0, known.rank())
                .mapToLong(d -> cut.extent(known.axes().get(d), known.extents()[d]))
                .toArray();
    }
}

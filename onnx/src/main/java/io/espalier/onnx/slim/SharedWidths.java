package io.espalier.onnx.slim;

import io.espalier.slim.Group;
import io.espalier.slim.UnitWidths;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Widths of which each leaves the same share of its channels. Heads and what is inside them share
 * channels: what is left of them is the product of both, and of all ways to divide it the one is
 * taken by which least is lost.
 */
final class SharedWidths {
    private final OnnxSlimmer of;
    private final SlimmingRun run;

    SharedWidths(OnnxSlimmer of, SlimmingRun run) {
        this.of = of;
        this.run = run;
    }

    /** The widths of the groups that get narrower. */
    int[] of(double share) {
        List<Group> groups = run.groups();
        int[] widths = UnitWidths.of(groups, share);
        List<List<Integer>> together =
                IntStream.range(0, groups.size())
                        .mapToObj(this::withInner)
                        .filter(places -> places.size() > 1)
                        .toList();
        List<Group> shared = new ArrayList<>();
        together.forEach(places -> places.forEach(place -> shared.add(groups.get(place))));
        if (!shared.isEmpty()) {
            List<double[]> losses = run.losses(shared);
            int at = 0;
            for (List<Integer> places : together) {
                divide(share, places, losses.subList(at, at + places.size()), widths);
                at += places.size();
            }
        }
        return widths;
    }

    /** The place of heads and those of what is inside; of anything else its own. */
    private List<Integer> withInner(int outer) {
        List<Group> groups = run.groups();
        List<Integer> places = new ArrayList<>(List.of(outer));
        if (groups.get(outer).isOuter()) {
            IntStream.range(0, groups.size())
                    .filter(inner -> of.groups().overlap(groups.get(outer), groups.get(inner)))
                    .forEach(places::add);
        }
        return places;
    }

    private void divide(double share, List<Integer> places, List<double[]> losses, int[] widths) {
        Group heads = run.groups().get(places.getFirst());
        int count = heads.units().size();
        double least = Double.POSITIVE_INFINITY;
        places.stream().skip(1).forEach(inner -> widths[inner] = size(inner));
        for (int width = UnitWidths.of(heads, share); width <= count; width++) {
            int[] tried = new int[places.size()];
            tried[0] = width;
            double lost = losses.getFirst()[count - width];
            for (int i = 1; i < tried.length; i++) {
                Group inner = run.groups().get(places.get(i));
                tried[i] = UnitWidths.of(inner, Math.min(1, share * count / width));
                lost += losses.get(i)[size(places.get(i)) - tried[i]];
            }
            if (lost < least) {
                least = lost;
                for (int i = 0; i < tried.length; i++) {
                    widths[places.get(i)] = tried[i];
                }
            }
        }
    }

    private int size(int place) {
        return run.groups().get(place).units().size();
    }
}

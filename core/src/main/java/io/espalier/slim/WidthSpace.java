package io.espalier.slim;

import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/**
 * What widths there are, and what is lost at them. Behind the groups' widths stand those of blocks,
 * 1 where one is there and 0 where it is gone; the widths of groups within it then mean nothing.
 */
final class WidthSpace {
    private final List<Group> groups;
    private final List<double[]> errors;
    private final List<RemovableBlock> blocks;
    private final int[][] widths;
    private final Map<Integer, Integer> placesOfBlocks = new HashMap<>();

    /**
     * Prepares.
     *
     * @param errors of each group, by how many of its units are gone
     */
    WidthSpace(List<Group> groups, List<double[]> errors, List<RemovableBlock> blocks) {
        this.groups = groups;
        this.errors = errors;
        this.blocks = blocks;
        widths = new int[size()][];
        for (int g = 0; g < groups.size(); g++) {
            int group = g;
            widths[g] =
                    IntStream.of(UnitWidths.all(groups.get(g)))
                            .filter(w -> Double.isFinite(ofGroup(group, w)))
                            .toArray();
        }
        for (int b = 0; b < blocks.size(); b++) {
            int place = groups.size() + b;
            widths[place] = new int[] {0, 1};
            blocks.get(b).groups().forEach(group -> placesOfBlocks.put(group, place));
        }
    }

    List<Group> groups() {
        return groups;
    }

    /** How many groups and blocks there are. */
    int size() {
        return groups.size() + blocks.size();
    }

    boolean hasBlocks() {
        return !blocks.isEmpty();
    }

    boolean hasAllBlocks(int[] at) {
        return IntStream.range(groups.size(), size()).allMatch(place -> at[place] > 0);
    }

    boolean isBlock(int place) {
        return place >= groups.size();
    }

    RemovableBlock block(int place) {
        return blocks.get(place - groups.size());
    }

    /** Whether a group lies in some block. */
    boolean isWithinBlock(int group) {
        return placesOfBlocks.containsKey(group);
    }

    /** Whether a width means something: not that of a group whose block is gone. */
    boolean counts(int place, int[] at) {
        return at[placesOfBlocks.getOrDefault(place, place)] > 0 || isBlock(place);
    }

    /** All widths that there may be, ascending. */
    int[] all(int place) {
        return widths[place];
    }

    /** The next of all widths in a direction, or the last one there. */
    int next(int place, int width, int direction) {
        int[] all = widths[place];
        int at = Arrays.binarySearch(all, width);
        return at < 0 ? width : all[Math.clamp((long) at + direction, 0, all.length - 1)];
    }

    /** The narrowest of all. */
    int[] narrowest() {
        return Arrays.stream(widths).mapToInt(all -> all[0]).toArray();
    }

    /** So much of each group, as far as that may be, and all blocks. */
    int[] shared(double share) {
        int[] all = Arrays.copyOf(UnitWidths.of(groups, share), size());
        for (int g = 0; g < groups.size(); g++) {
            all[g] = Math.max(all[g], widths[g][0]);
        }
        Arrays.fill(all, groups.size(), all.length, 1);
        return all;
    }

    /** All there is. */
    int[] whole() {
        return shared(1);
    }

    /** What is lost at these widths. */
    double error(int[] at) {
        return IntStream.range(0, size()).mapToDouble(place -> error(place, at)).sum();
    }

    private double error(int place, int[] at) {
        if (isBlock(place)) {
            return at[place] == 0 ? block(place).error() : 0;
        }
        return counts(place, at) ? ofGroup(place, at[place]) : 0;
    }

    /** What is lost by a group; those of a block that is gone have equal parts of that. */
    double errorOfGroup(int group, int[] at) {
        if (counts(group, at)) {
            return error(group, at);
        }
        RemovableBlock block = block(placesOfBlocks.getOrDefault(group, group));
        return block.error() / block.groups().size();
    }

    /** What is lost of a group that has a width. */
    double ofGroup(int group, int width) {
        return errors.get(group)[groups.get(group).units().size() - width];
    }

    /** How much more is lost if one of them has another width. */
    double more(int place, int width, int[] at) {
        if (!isBlock(place)) {
            return ofGroup(place, width) - ofGroup(place, at[place]);
        }
        double within = block(place).groups().stream().mapToDouble(g -> ofGroup(g, at[g])).sum();
        double lost = block(place).error() - within;
        return width == at[place] ? 0 : width == 0 ? lost : -lost;
    }
}

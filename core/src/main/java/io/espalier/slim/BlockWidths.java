package io.espalier.slim;

import io.espalier.slim.Remainders.Remainder;
import io.espalier.tensor.Internal;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;
import java.util.function.BiPredicate;
import java.util.function.Predicate;
import java.util.stream.IntStream;

/**
 * Parts of a model that may be left out whole, where groups have widths: behind those of the groups
 * stand those of the blocks, 1 or, where one is left out, 0; if they are not there, none is.
 *
 * @param <B> what a block is
 */
@Internal
public abstract class BlockWidths<B> {
    private final int groups;
    private final List<B> blocks;
    private final BiPredicate<B, Group> contains;

    /**
     * Those of some groups.
     *
     * @param groups how many have widths
     * @param contains whether a block has all channels of a group
     */
    protected BlockWidths(int groups, List<B> blocks, BiPredicate<B, Group> contains) {
        this.groups = groups;
        this.blocks = List.copyOf(blocks);
        this.contains = contains;
    }

    /** How many there are. */
    public final int count() {
        return blocks.size();
    }

    /** One of them. */
    protected final B block(int block) {
        return blocks.get(block);
    }

    /** Whether one has all channels of a group. */
    private boolean contains(int block, Group group) {
        return contains.test(blocks.get(block), group);
    }

    /** The first one that is wanted. */
    protected final OptionalInt first(Predicate<B> wanted) {
        return IntStream.range(0, count()).filter(b -> wanted.test(blocks.get(b))).findFirst();
    }

    /** The widths at which one block is left out and nothing else goes. */
    public final int[] without(int block) {
        int[] widths = new int[groups + count()];
        Arrays.setAll(widths, place -> place == groups + block ? 0 : 1);
        return widths;
    }

    /** Whether a block is left out at these widths. */
    public final boolean isOut(int block, int[] widths) {
        return widths.length > groups && widths[groups + block] == 0;
    }

    /** Whether some block is. */
    public final boolean isAnyOut(int[] widths) {
        return IntStream.range(0, count()).anyMatch(b -> isOut(b, widths));
    }

    /** Whether a group goes with a block that is left out at these widths. */
    public final boolean isOut(Group group, int[] widths) {
        return IntStream.range(0, count()).anyMatch(b -> isOut(b, widths) && contains(b, group));
    }

    /**
     * One that competes with the widths of some groups.
     *
     * @param error what results lose without it
     */
    public final RemovableBlock removable(int block, List<Group> groups, double error) {
        List<Integer> within =
                IntStream.range(0, groups.size())
                        .filter(g -> contains(block, groups.get(g)))
                        .boxed()
                        .toList();
        return new RemovableBlock(within, error);
    }

    /** No costs yet, of all widths. */
    public final WidthCosts costs() {
        return new WidthCosts(groups + count());
    }

    /** Factors of what is there if its block is. */
    public final List<Remainder> within(OptionalInt block, List<Remainder> factors) {
        if (block.isEmpty()) {
            return factors;
        }
        List<Remainder> all = new ArrayList<>(factors);
        all.add(Remainders.presence(groups + block.getAsInt()));
        return all;
    }
}

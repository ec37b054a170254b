package io.espalier.slim;

import io.espalier.tensor.Internal;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.stream.IntStream;

/**
 * Finds which channels of a model go together, from what its operators do to the identities along
 * the dimensions of their values: they unite them, as a sum does; move them, as joining and
 * reshaping; end them, as the inputs of a convolution; and what is not understood pins what it
 * touches.
 *
 * <p>A model's operators are gone through once, in any order in which they can be computed. Values
 * are a matter of the caller; an {@link Axis} of them stays right when identities are united
 * afterwards. (DepGraph, Fang et al., <a href="https://arxiv.org/abs/2301.12900">2023</a>, finds
 * groups from such dependencies of layers; here each single channel has its own.)
 */
@Internal
public final class ChannelFlow {
    private final Identities identities = new Identities();
    private final Reshaping reshaping = new Reshaping(identities);

    /** A dimension of so many channels that nothing is known of yet. */
    public Axis fresh(long extent) {
        return extent <= 1 || extent > Reshaping.MOST ? Axis.PLAIN : reshaping.fresh((int) extent);
    }

    /**
     * Lets the channels of two dimensions of one extent share their fate, each with that of its
     * index.
     *
     * @param reason why they stay, if those of one of them always do
     */
    public void unite(Axis first, Axis second, String reason) {
        if (first == second || (first.isPlain() && second.isPlain())) {
            return;
        }
        if (first.isPlain() || second.isPlain()) {
            pin(first.isPlain() ? second : first, reason);
            return;
        }
        long step = gcd(first.stride(), second.stride());
        long one = first.period() / step;
        long other = second.period() / step;
        long count = one / gcd(one, other) * other;
        if (count > Reshaping.MOST) {
            pin(first, reason);
            pin(second, reason);
            return;
        }
        for (long k = 0; k < count; k++) {
            identities.unite(first.at(k * step), second.at(k * step), reason);
        }
    }

    private static long gcd(long a, long b) {
        return b == 0 ? a : gcd(b, a % b);
    }

    /** Keeps all channels of a dimension for ever, for this reason. */
    public void pin(Axis axis, String reason) {
        for (int k = 0; k < axis.length(); k++) {
            identities.pin(axis.id(k), reason);
        }
    }

    /**
     * Says that results change when channels of a dimension go, whatever reads them, because
     * something is computed over all of them, such as a mean.
     */
    public void markInexact(Axis axis, String reason) {
        for (int k = 0; k < axis.length(); k++) {
            identities.markInexact(axis.id(k), reason);
        }
    }

    /** Whether all its channels are kept for ever, as far as is known. */
    public boolean isPinned(Axis axis) {
        return IntStream.range(0, axis.length())
                .allMatch(k -> identities.atoms(axis.id(k)).length == 0);
    }

    /** Dimensions one after another along one. */
    public Axis concatenate(List<Axis> parts, long[] extents) {
        if (parts.stream().allMatch(Axis::isPlain)) {
            return Axis.PLAIN;
        }
        long count = Arrays.stream(extents).sum();
        if (count > Reshaping.MOST) {
            parts.forEach(part -> pin(part, "it is joined to a very long dimension"));
            return Axis.PLAIN;
        }
        int[] ids = new int[(int) count];
        int at = 0;
        for (int i = 0; i < extents.length; i++) {
            for (long k = 0; k < extents[i]; k++) {
                ids[at++] = parts.get(i).at(k);
            }
        }
        return Axis.of(ids);
    }

    /** A range of a dimension, or every so manieth of it; a negative step goes backwards. */
    public Axis part(Axis axis, long from, long step, long count) {
        if (axis.isPlain() || count <= 0) {
            return Axis.PLAIN;
        }
        if (count > Reshaping.MOST) {
            pin(axis, "a part of a very long dimension is taken");
            return Axis.PLAIN;
        }
        int[] ids = new int[(int) count];
        for (int k = 0; k < ids.length; k++) {
            ids[k] = axis.at(from + k * step);
        }
        return Axis.of(ids);
    }

    /** The channels of these indices. */
    public Axis choose(Axis axis, long[] indices) {
        return axis.isPlain() ? axis : Axis.of(Arrays.stream(indices).mapToInt(axis::at).toArray());
    }

    /** The dimensions of a value that is given other extents, in row-major order. */
    public List<Axis> reshape(List<Axis> axes, long[] from, long[] to) {
        return axes.stream().allMatch(Axis::isPlain)
                ? IntStream.range(0, to.length).mapToObj(i -> Axis.PLAIN).toList()
                : reshaping.reshape(axes, from, to);
    }

    /**
     * A dimension as so many groups of neighbours.
     *
     * @throws NotUnderstood if it does not make so many
     */
    public Grouped group(Axis axis, long groups, long extent) {
        if (groups < 1 || extent % groups != 0) {
            throw new NotUnderstood("%d channels don't make %d groups".formatted(extent, groups));
        }
        return reshaping.divide(axis, extent / groups);
    }

    /** Groups of channels along one dimension, and the places within each of them. */
    public record Grouped(Axis groups, Axis places) {}

    /** The groups that were found among the dimensions of these constants. */
    public Groups groups(SequencedMap<String, List<Axis>> constants, Map<String, long[]> extents) {
        List<Grouping.Line> lines = new ArrayList<>();
        constants.forEach((name, axes) -> {
            long[] sizes = extents.getOrDefault(name, new long[0]);
            for (int i = 0; i < sizes.length; i++) {
                if (!axes.get(i).isPlain()) {
                    lines.add(new Grouping.Line(new Place(name, i), axes.get(i), sizes[i]));
                }
            }
        });
        return new Grouping(identities).groups(lines);
    }
}

package io.espalier.slim;

import io.espalier.tensor.Internal;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * A call of an operator as its rule sees it, whatever the model is written in: the channels of its
 * operands, and a place for its results'. What of its operands a rule doesn't ask for stays.
 */
@Internal
public abstract class ChannelCall {
    private final ChannelFlow flow;
    private final Map<Integer, BitSet> seen = new HashMap<>();

    /** A call among others of one model. */
    protected ChannelCall(ChannelFlow flow) {
        this.flow = flow;
    }

    /** As a user knows it, with quotation marks. */
    protected abstract String name();

    /** How many operands it may have. */
    public abstract int operands();

    /** Whether an operand is not left out. */
    public abstract boolean has(int place);

    /** What is known of an operand that is there; null if its rank is not known. */
    protected abstract @Nullable ChannelValue known(int place);

    /** How many results it has. */
    public abstract int results();

    /** Extents of a result. */
    public abstract long[] resultExtents(int place);

    /** The dimensions of a result. */
    public abstract void give(int place, List<Axis> axes);

    /**
     * Says that channels along a dimension of an operand end in a sum of products.
     *
     * @param other the operand that they meet; -1 for a sum of the first alone
     * @param groups of how many groups each sums its own; the other's dimension is that of one
     */
    public abstract void ends(int place, int dimension, int other, int otherDimension, long groups);

    /** The channels of the whole model. */
    public final ChannelFlow flow() {
        return flow;
    }

    /** What is known of an operand. */
    public final ChannelValue operand(int place) {
        ChannelValue value = known(place);
        if (value == null) {
            throw new NotUnderstood("the rank of what it reads isn't known");
        }
        return value;
    }

    /** How many dimensions an operand has. */
    public final int rank(int place) {
        return operand(place).rank();
    }

    /** The channels along a dimension of an operand, which the rule answers for from now on. */
    public final Axis axis(int place, int dimension) {
        if (dimension < 0 || dimension >= rank(place)) {
            throw new NotUnderstood("it reads what has %d dimensions".formatted(rank(place)));
        }
        seen.computeIfAbsent(place, k -> new BitSet()).set(dimension);
        return operand(place).axes().get(dimension);
    }

    /** The extent of an operand's dimension. */
    public final long extent(int place, int dimension) {
        long[] extents = operand(place).extents();
        if (dimension < 0 || dimension >= extents.length) {
            throw new NotUnderstood("it reads what has %d dimensions".formatted(extents.length));
        }
        return extents[dimension];
    }

    /** A copy of an operand's dimensions, for all of which the rule answers. */
    public final List<Axis> axes(int place) {
        seen.computeIfAbsent(place, k -> new BitSet()).set(0, rank(place));
        return new ArrayList<>(operand(place).axes());
    }

    /** Pins the dimensions of operands that the rule has not looked at. */
    public final void pinRest() {
        for (int place = 0; place < operands(); place++) {
            ChannelValue value = has(place) ? known(place) : null;
            BitSet answered = seen.getOrDefault(place, new BitSet());
            for (int d = 0; value != null && d < value.rank(); d++) {
                if (!answered.get(d)) {
                    pin(value.axes().get(d));
                }
            }
        }
    }

    /** A dimension counted from the first, of one that may be counted from the last. */
    public final int dimension(long given, int rank) {
        long dimension = given < 0 ? given + rank : given;
        if (dimension < 0 || dimension >= rank) {
            throw new NotUnderstood("there is no dimension " + given);
        }
        return (int) dimension;
    }

    /** Lets the channels of two dimensions share their fate. */
    public final void unite(Axis first, Axis second) {
        flow.unite(first, second, name() + " needs all");
    }

    /** Keeps the channels of a dimension. */
    public final void pin(Axis axis) {
        flow.pin(axis, name() + " needs all");
    }

    /** Pins dimensions of an operand from one on. */
    public final void pinFrom(int place, int dimension) {
        for (int i = dimension; i < rank(place); i++) {
            pin(axis(place, i));
        }
    }

    /** Leaves out what a weight's other dimensions are, such as a window's: none are channels. */
    public final void leaveFrom(int place, int dimension) {
        for (int i = dimension; i < rank(place); i++) {
            flow.pin(axis(place, i), "");
        }
    }

    /** Pins all of an operand, if it is there and anything is known of it. */
    public final void pinAll(int place) {
        if (has(place) && known(place) != null) {
            pinFrom(place, 0);
        }
    }

    /** Says that results change when channels of a dimension go, whatever reads them. */
    public final void markInexact(Axis axis) {
        flow.markInexact(axis, name());
    }

    /** So many dimensions without channels. */
    public static List<Axis> plain(int rank) {
        return Collections.nCopies(rank, Axis.PLAIN);
    }

    /** A value's dimensions of which two have channels, as most layers' results have. */
    protected static List<Axis> outer(int rank, Axis first, Axis second) {
        List<Axis> result = new ArrayList<>(plain(rank));
        result.set(0, first);
        result.set(1, second);
        return result;
    }
}

package io.espalier.slim;

import io.espalier.tensor.Internal;

/**
 * The identities along one dimension of a value: an index's is that of {@code index / stride}, over
 * and over again where the dimension is longer. Whatever has no channels has one identity, which is
 * always kept.
 */
@Internal
public final class Axis {
    /** A dimension without channels. */
    public static final Axis PLAIN = of(Identities.KEPT);

    /** Shared by all axes that are moved only; never changed. */
    private final int[] ids;

    private final long stride;

    Axis(int[] ids, long stride) {
        this.ids = ids;
        this.stride = stride;
    }

    static Axis of(int... ids) {
        return new Axis(ids, 1);
    }

    /** Whether it has no channels. */
    public boolean isPlain() {
        return ids.length == 1 && ids[0] == Identities.KEPT;
    }

    /** How many identities it has before they begin anew. */
    int length() {
        return ids.length;
    }

    /** How many neighbours share one. */
    long stride() {
        return stride;
    }

    /** After how many indices all begins anew. */
    public long period() {
        return ids.length * stride;
    }

    /** The identity by its place among the others. */
    int id(int place) {
        return ids[place];
    }

    /** The identity of an index. */
    int at(long index) {
        return ids[(int) (index / stride % ids.length)];
    }

    /** The same identities, shared by so many neighbours. */
    Axis withStride(long other) {
        return isPlain() || other == stride ? this : new Axis(ids, other);
    }
}

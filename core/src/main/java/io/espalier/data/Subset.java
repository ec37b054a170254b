package io.espalier.data;

import java.util.Arrays;

/** Some of the examples of another dataset. */
final class Subset implements Dataset {
    private final Dataset whole;
    private final int[] indices;

    private Subset(Dataset whole, int... indices) {
        this.whole = whole;
        this.indices = indices;
    }

    static Subset of(Dataset whole, int... indices) {
        Rows.requireIn(whole.size(), indices);
        return new Subset(whole, indices);
    }

    @Override
    public int size() {
        return indices.length;
    }

    @Override
    public Batch batch(int[] positions) {
        return whole.batch(Arrays.stream(positions).map(position -> indices[position]).toArray());
    }
}

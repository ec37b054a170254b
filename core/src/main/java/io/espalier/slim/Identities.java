package io.espalier.slim;

import org.jspecify.annotations.Nullable;

import java.util.Arrays;
import java.util.stream.IntStream;

/**
 * Who goes with whom: a union-find over identities, of which some are products of others.
 *
 * <p>An identity is <em>removed</em> or kept. Two that are united share their fate; a product is
 * removed if one of its factors is. So each identity stands for a set of atoms, identities that are
 * no products, and is removed if one of them is. A pinned identity is kept for ever, and drops out
 * of the products that it is a factor of.
 */
final class Identities {
    /** What is always kept. */
    static final int KEPT = 0;

    private int[] parents = new int[64];
    private int[] sizes = new int[64];
    private int[] @Nullable [] factors = new int[64][];
    private @Nullable String[] pinned = new String[64];
    private @Nullable String[] inexact = new String[64];
    private int count;

    Identities() {
        pinned[fresh()] = "";
    }

    /** An identity that nothing is known of. */
    int fresh() {
        if (count == parents.length) {
            int length = 2 * count;
            parents = Arrays.copyOf(parents, length);
            sizes = Arrays.copyOf(sizes, length);
            factors = Arrays.copyOf(factors, length);
            pinned = Arrays.copyOf(pinned, length);
            inexact = Arrays.copyOf(inexact, length);
        }
        parents[count] = count;
        sizes[count] = 1;
        return count++;
    }

    /** One that is removed if the first or the second is. */
    int product(int first, int second) {
        int[] atoms = joined(atoms(first), atoms(second));
        if (atoms.length == 0) {
            return KEPT;
        }
        if (atoms.length == 1) {
            return atoms[0];
        }
        int product = fresh();
        factors[product] = atoms;
        return product;
    }

    /** The identities whose removal removes this one, each once, outermost factor first. */
    int[] atoms(int identity) {
        int root = root(identity);
        int[] parts = factors[root];
        if (parts == null) {
            return pinned[root] == null ? new int[] {root} : new int[0];
        }
        int[] atoms = new int[0];
        for (int part : parts) {
            atoms = joined(atoms, atoms(part));
        }
        return atoms;
    }

    private static int[] joined(int[] first, int[] second) {
        return IntStream.concat(Arrays.stream(first), Arrays.stream(second)).distinct().toArray();
    }

    private int root(int identity) {
        int at = identity;
        while (parents[at] != at) {
            parents[at] = parents[parents[at]];
            at = parents[at];
        }
        return at;
    }

    /** Whether both are removed together, as far as is known. */
    boolean same(int first, int second) {
        int one = root(first);
        int other = root(second);
        return one == other || Arrays.equals(atoms(one), atoms(other));
    }

    /**
     * Lets both share their fate. Where products can't be told apart by their factors, more is
     * united than would have to be.
     *
     * @param reason why, which is told if one of them is always kept
     */
    void unite(int first, int second, String reason) {
        if (root(first) == root(second)) {
            return;
        }
        int[] one = atoms(first);
        int[] other = atoms(second);
        if (one.length == 0 || other.length == 0) {
            pin(
                    one.length == 0 ? second : first,
                    reasonOf(one.length == 0 ? first : second, reason));
        } else if (one.length == other.length) {
            for (int i = 0; i < one.length; i++) {
                merge(one[i], other[i]);
            }
        } else if (one.length == 1 && !contains(other, one[0])) {
            define(one[0], other);
        } else if (other.length == 1 && !contains(one, other[0])) {
            define(other[0], one);
        } else {
            for (int atom : joined(one, other)) {
                merge(one[0], atom);
            }
        }
    }

    private static boolean contains(int[] atoms, int atom) {
        return Arrays.stream(atoms).anyMatch(a -> a == atom);
    }

    private String reasonOf(int identity, String otherwise) {
        String known = pinned[root(identity)];
        return known == null || known.isEmpty() ? otherwise : known;
    }

    private void merge(int first, int second) {
        int one = root(first);
        int other = root(second);
        if (one == other) {
            return;
        }
        int large = sizes[one] >= sizes[other] ? one : other;
        int small = large == one ? other : one;
        parents[small] = large;
        sizes[large] += sizes[small];
        if (inexact[large] == null) {
            inexact[large] = inexact[small];
        }
    }

    private void define(int atom, int[] product) {
        factors[atom] = product;
        String why = inexact[atom];
        if (why != null) {
            markInexact(atom, why);
        }
    }

    /** Keeps it for ever. */
    void pin(int identity, String reason) {
        for (int atom : atoms(identity)) {
            pinned[atom] = reason;
        }
    }

    /** Why it is kept for ever; null if it isn't, or is kept because its factors are. */
    @Nullable String pinReason(int identity) {
        int root = root(identity);
        String reason = pinned[root];
        int[] parts = factors[root];
        if (reason != null || parts == null) {
            return reason;
        }
        for (int part : parts) {
            reason = pinReason(part);
            if (reason == null) {
                return null;
            }
        }
        return reason;
    }

    /** Says that results change when it is removed, also where it is multiplied by zero. */
    void markInexact(int identity, String reason) {
        for (int atom : atoms(identity)) {
            if (inexact[atom] == null) {
                inexact[atom] = reason;
            }
        }
    }

    /** Why results change when an atom is removed; null if they needn't. */
    @Nullable String inexactReason(int atom) {
        return inexact[root(atom)];
    }
}

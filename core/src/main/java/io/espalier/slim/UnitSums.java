package io.espalier.slim;

import io.espalier.tensor.Internal;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

import java.util.HashMap;
import java.util.Map;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.stream.LongStream;

/** Sums of numbers for each entry of a model's weights over what a unit has of them. */
@Internal
public final class UnitSums {
    private final Function<String, @Nullable Tensor> entries;
    private final boolean shares;
    private final Map<Place, double[]> sums = new HashMap<>();

    private UnitSums(Function<String, @Nullable Tensor> entries, boolean shares) {
        this.entries = entries;
        this.shares = shares;
    }

    /**
     * Sums as they are.
     *
     * @param entries of a constant, in its shape; null for one that doesn't count
     */
    public static UnitSums of(Function<String, @Nullable Tensor> entries) {
        return new UnitSums(entries, false);
    }

    /**
     * How large weights are: sums of their squares, each dimension's by its mean so that none
     * drowns the others. Vectors such as biases count for nothing.
     *
     * @param values of a constant, in its shape; null for one that doesn't count
     */
    public static UnitSums magnitude(Function<String, ? extends @Nullable Tensor> values) {
        return new UnitSums(
                name -> {
                    Tensor value = values.apply(name);
                    return value == null || value.dim() < 2
                            ? null
                            : value.to(torch.ScalarType.Double).square();
                },
                true);
    }

    /** The sum over all that computes and reads a unit. */
    public double of(Unit unit) {
        return of(unit, place -> true);
    }

    /** The sum over what a unit has of some places. */
    public double of(Unit unit, Predicate<Place> places) {
        double sum = 0;
        for (Map.Entry<Place, int[]> slice : unit.slices().entrySet()) {
            boolean counts = places.test(slice.getKey());
            double[] each =
                    counts ? sums.computeIfAbsent(slice.getKey(), this::sums) : new double[0];
            for (int index : slice.getValue()) {
                sum += index < each.length ? each[index] : 0;
            }
        }
        return sum;
    }

    /** Those of all units of a group. */
    public double[] of(Group group) {
        return group.units().stream().mapToDouble(this::of).toArray();
    }

    private double[] sums(Place place) {
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            Tensor numbers = entries.apply(place.constant());
            if (numbers == null) {
                return new double[0];
            }
            long[] others =
                    LongStream.range(0, numbers.dim())
                            .filter(d -> d != place.dimension())
                            .toArray();
            Tensor wide = numbers.to(torch.ScalarType.Double);
            Tensor sum =
                    others.length == 0 ? wide : wide.sum(others, false, new ScalarTypeOptional());
            double[] each = Tensors.doubles(sum);
            double all = 0;
            for (double one : each) {
                all += one;
            }
            for (int i = 0; shares && i < each.length; i++) {
                each[i] = all == 0 ? 0 : each[i] * each.length / all;
            }
            return each;
        }
    }
}

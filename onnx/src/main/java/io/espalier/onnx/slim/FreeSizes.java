package io.espalier.onnx.slim;

import io.espalier.onnx.shape.Extent;

import org.jspecify.annotations.Nullable;

import java.math.BigInteger;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * A number for each size that a model leaves free: a prime of its own, so that extents are equal,
 * or multiples of one another, only where they are so in each run.
 */
final class FreeSizes {
    /** Larger than the channels of a layer, small enough for products of four. */
    private static final long ABOVE = 10_000;

    private final Map<String, Long> primes = new HashMap<>();
    private BigInteger last = BigInteger.valueOf(ABOVE);

    /** Extents as numbers; null if they are not known, or too large for any tensor. */
    long @Nullable [] numbers(@Nullable List<Extent> shape) {
        if (shape == null) {
            return null;
        }
        long[] numbers = new long[shape.size()];
        try {
            for (int i = 0; i < numbers.length; i++) {
                Extent extent = shape.get(i);
                numbers[i] = (extent.isKnown() ? extent : extent.with(sizes(extent))).value();
            }
        } catch (ArithmeticException e) {
            return null;
        }
        return numbers;
    }

    private Map<String, Long> sizes(Extent extent) {
        for (String name : extent.names()) {
            if (!primes.containsKey(name)) {
                last = last.nextProbablePrime();
                primes.put(name, last.longValue());
            }
        }
        return primes;
    }
}

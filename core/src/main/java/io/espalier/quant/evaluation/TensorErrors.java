package io.espalier.quant.evaluation;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Internal;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * How far tensors are from what they should be, summed up over all pairs seen.
 *
 * <p>Numbers that are not finite count as right where both are the same; elsewhere they make the
 * errors infinite and the cosine NaN.
 */
@Internal
public final class TensorErrors {
    private double largest;
    private double absolute;
    private double noise;
    private double product;
    private double reference;
    private double candidate;
    private long values;

    /**
     * Adds a pair.
     *
     * @throws EspalierException if their shapes differ
     */
    public void add(Tensor expected, Tensor found) {
        long[] shape = Tensors.shape(expected);
        if (!Arrays.equals(shape, Tensors.shape(found))) {
            throw new EspalierException(
                    "One model's output is "
                            + Arrays.toString(shape)
                            + ", the other's "
                            + Arrays.toString(Tensors.shape(found))
                            + "; compare models of one purpose.");
        }
        try (var scope = new PointerScope()) {
            if (isFloat(expected) && isFloat(found)) {
                addFloats(plain(expected), plain(found));
            } else {
                addDoubles(
                        plain(expected.to(ScalarType.Double)), plain(found.to(ScalarType.Double)));
            }
        }
    }

    private static boolean isFloat(Tensor tensor) {
        return Tensors.type(tensor) == ScalarType.Float;
    }

    private static MemorySegment plain(Tensor tensor) {
        return Tensors.segment(tensor.detach().contiguous());
    }

    private void addFloats(MemorySegment expected, MemorySegment found) {
        for (long at = 0; at < expected.byteSize(); at += Float.BYTES) {
            add(expected.get(ValueLayout.JAVA_FLOAT, at), found.get(ValueLayout.JAVA_FLOAT, at));
        }
    }

    private void addDoubles(MemorySegment expected, MemorySegment found) {
        for (long at = 0; at < expected.byteSize(); at += Double.BYTES) {
            add(expected.get(ValueLayout.JAVA_DOUBLE, at), found.get(ValueLayout.JAVA_DOUBLE, at));
        }
    }

    private void add(double expected, double found) {
        values++;
        double difference = found - expected;
        if (Double.isFinite(difference)) {
            double size = Math.abs(difference);
            largest = Math.max(largest, size);
            absolute += size;
            noise += difference * difference;
            product += expected * found;
            reference += expected * expected;
            candidate += found * found;
        } else if (Double.compare(expected, found) != 0) {
            largest = Double.POSITIVE_INFINITY;
            absolute = Double.POSITIVE_INFINITY;
            noise = Double.POSITIVE_INFINITY;
            product = Double.NaN;
        }
    }

    /** The number of values compared. */
    public long values() {
        return values;
    }

    /** The largest absolute difference. */
    public double largest() {
        return largest;
    }

    /** The mean of the absolute differences. */
    public double mean() {
        return values == 0 ? 0 : absolute / values;
    }

    /** The length of all differences by that of all that was expected: the relative L2 error. */
    public double relative() {
        return noise == 0 ? 0 : Math.sqrt(noise / reference);
    }

    /** Of the angle between all that was expected and all that was found; 1 is the same. */
    public double cosine() {
        double lengths = Math.sqrt(reference) * Math.sqrt(candidate);
        if (lengths == 0 && !Double.isNaN(product)) {
            // Two without extent point the same way.
            return reference == candidate ? 1 : 0;
        }
        return Double.isNaN(product) ? Double.NaN : product / lengths;
    }

    /** The signal-to-noise ratio in decibel; infinite where there is no noise. */
    public double sqnr() {
        return noise == 0 ? Double.POSITIVE_INFINITY : 10 * Math.log10(reference / noise);
    }
}

package io.espalier.quant.evaluation;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.Arrays;

/**
 * How far tensors are from what they should be, summed up over all pairs seen.
 *
 * <p>Numbers that are not finite count as right where both are the same; elsewhere they make the
 * errors infinite and the cosine NaN.
 */
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
        if (expected.numel() == 0) {
            return;
        }
        Tensor a = expected.to(ScalarType.Double).flatten();
        Tensor b = found.to(ScalarType.Double).flatten();
        values += a.numel();
        if (!Double.isFinite(a.sub(b).abs().max().item_double())) {
            Tensor finite = a.isfinite().bitwise_and(b.isfinite());
            Tensor same = a.eq(b).bitwise_or(a.isnan().bitwise_and(b.isnan()));
            if (!finite.bitwise_or(same).all().item_bool()) {
                largest = Double.POSITIVE_INFINITY;
                absolute = Double.POSITIVE_INFINITY;
                noise = Double.POSITIVE_INFINITY;
                product = Double.NaN;
                return;
            }
            a = a.masked_select(finite);
            b = b.masked_select(finite);
        }
        if (a.numel() > 0) {
            addFinite(a, b);
        }
    }

    private void addFinite(Tensor a, Tensor b) {
        Tensor difference = b.sub(a);
        Tensor size = difference.abs();
        largest = Math.max(largest, size.max().item_double());
        absolute += size.sum().item_double();
        noise += dot(difference, difference);
        product += dot(a, b);
        reference += dot(a, a);
        candidate += dot(b, b);
    }

    private static double dot(Tensor a, Tensor b) {
        return torch.dot(a, b).item_double();
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

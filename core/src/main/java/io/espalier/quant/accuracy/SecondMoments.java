package io.espalier.quant.accuracy;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Internal;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;

/**
 * The mean of {@code x xᵀ} over all rows {@code x} that a product was seen to read: what the
 * squared error of the product is for any error of its matrix. Takes {@code channels²} floats
 * however many rows there are.
 */
@Internal
public final class SecondMoments implements AutoCloseable {
    private static final double TINY = 1e-30;

    private final int channels;
    private final Tensor sum;
    private double rows;

    /** Of rows of so many channels, none seen yet. */
    public SecondMoments(int channels) {
        this.channels = channels;
        try (var scope = new PointerScope()) {
            sum = Tensors.keep(Tensors.zeros(channels, channels));
        }
    }

    /** Takes rows in: the last dimension are the channels. */
    public void observe(Tensor value) {
        try (var scope = new PointerScope()) {
            Tensor rows = value.reshape(-1, channels);
            sum.add_(rows.t().matmul(rows));
            this.rows += rows.size(0);
        }
    }

    /** Takes in what another has seen. */
    public void merge(SecondMoments other) {
        sum.add_(other.sum);
        rows += other.rows;
    }

    /** Whether any row was seen, and all of it was finite. */
    public boolean hasObserved() {
        try (var scope = new PointerScope()) {
            return rows > 0 && sum.isfinite().all().item_bool();
        }
    }

    /**
     * The mean so far, in a new tensor [channels, channels].
     *
     * @throws EspalierException if nothing was seen
     */
    public Tensor mean() {
        if (rows == 0) {
            throw new EspalierException("No rows were seen; their mean product is not known.");
        }
        return sum.div(new Scalar(rows));
    }

    /**
     * The root of the mean squared error of {@code xW} relative to that of {@code xW} itself, if
     * another matrix takes the place of {@code W}.
     *
     * @param weight [channels, columns]
     * @param other of the same shape
     */
    public double error(Tensor weight, Tensor other) {
        try (var scope = new PointerScope()) {
            return Math.sqrt(square(other.sub(weight)) / Math.max(square(weight), TINY));
        }
    }

    private double square(Tensor weight) {
        return Math.max(0, mean().matmul(weight).mul(weight).sum().item_double());
    }

    @Override
    public void close() {
        sum.releaseReference();
    }
}

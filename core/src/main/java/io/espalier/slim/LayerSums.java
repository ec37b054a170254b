package io.espalier.slim;

import io.espalier.tensor.Internal;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

import java.util.Objects;

/**
 * {@code XXᵀ}, {@code YXᵀ} and the sums of x, y and y² over examples, in double precision; products
 * are of what x and y are away from the means of the first examples, so that single precision does
 * for those of a batch.
 */
@Internal
public final class LayerSums implements AutoCloseable {
    /** Whose multiples fill a line evenly. */
    private static final double GOLDEN = 0.6180339887498949;

    private @Nullable Tensor offX;
    private @Nullable Tensor offY;
    private @Nullable Tensor products;
    private @Nullable Tensor targets;
    private @Nullable Tensor inputs;
    private @Nullable Tensor outputs;
    private @Nullable Tensor squares;
    private double count;

    /**
     * Means over the examples, about their own mean where a bias takes that.
     *
     * @param xx of products of inputs, [groups, inputs, inputs]
     * @param yx of products of outputs and inputs, [groups, outputs, inputs]
     * @param meanX of inputs, [groups, 1, inputs]
     * @param meanY of outputs, [groups, 1, outputs]
     * @param yy of squares of outputs, [groups, 1, outputs]
     */
    public record Moments(Tensor xx, Tensor yx, Tensor meanX, Tensor meanY, Tensor yy) {
        /** The same of each so many-th output. */
        public Moments someOutputs(long step) {
            return new Moments(xx, every(yx, 1, step), meanX, meanY, yy);
        }

        /** Those of both, of which the first are a share of all examples. */
        private Moments mixed(Moments other, double share) {
            var rest = new Scalar(1 - share);
            return new Moments(
                    torch.lerp(xx, other.xx, rest),
                    torch.lerp(yx, other.yx, rest),
                    torch.lerp(meanX, other.meanX, rest),
                    torch.lerp(meanY, other.meanY, rest),
                    torch.lerp(yy, other.yy, rest));
        }

        /** The same about the mean, if so. */
        private Moments about(boolean mean) {
            return mean
                    ? new Moments(
                            xx.sub(outer(meanX, meanX)),
                            yx.sub(outer(meanY, meanX)),
                            meanX,
                            meanY,
                            yy.sub(meanY.square()))
                    : this;
        }

        /** The squared error of weights, less a number that is the same for all. */
        public double error(Tensor weight) {
            Tensor half = weight.matmul(xx).sub(yx).sub(yx);
            return half.mul(weight).sum().item_double();
        }
    }

    /** Each so many-th along a dimension. */
    public static Tensor every(Tensor tensor, long dim, long step) {
        return step <= 1
                ? tensor
                : tensor.slice(dim, new LongOptional(0), new LongOptional(tensor.size(dim)), step);
    }

    /**
     * Some of many rows along a dimension, always the same of as many: one of each part of them, at
     * another place in each, so that what repeats after some rows is among them as often as in all.
     *
     * @param most how many at most
     */
    public static Tensor some(Tensor rows, long dim, long most) {
        long all = rows.size(dim);
        if (all <= most) {
            return rows;
        }
        long[] places = new long[Math.toIntExact(most)];
        for (int i = 0; i < places.length; i++) {
            double within = i * GOLDEN - Math.floor(i * GOLDEN);
            places[i] = Math.min(all - 1, (long) ((i + within) * all / most));
        }
        return rows.index_select(dim, Tensors.of(places, places.length));
    }

    public boolean isEmpty() {
        return count == 0;
    }

    /** Adds examples: floats [groups, inputs, examples] and [groups, outputs, examples]. */
    public void add(Tensor x, Tensor y) {
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            offX = offX == null ? Tensors.keep(mean(x)) : offX;
            offY = offY == null ? Tensors.keep(mean(y)) : offY;
            Tensor given = x.sub(offX);
            Tensor wanted = y.sub(offY);
            Tensor across = given.transpose(1, 2);
            products = plus(products, given.matmul(across));
            targets = plus(targets, wanted.matmul(across));
            inputs = plus(inputs, sum(given));
            outputs = plus(outputs, sum(wanted));
            squares = plus(squares, sum(wanted.square()));
            count += x.size(2);
        }
    }

    private static Tensor mean(Tensor examples) {
        return examples.mean(new long[] {2}, true, new ScalarTypeOptional());
    }

    private static Tensor sum(Tensor examples) {
        return examples.sum(new long[] {2}, false, new ScalarTypeOptional()).unsqueeze(1);
    }

    private static Tensor plus(@Nullable Tensor sum, Tensor more) {
        if (sum == null) {
            return Tensors.keep(more.to(ScalarType.Double));
        }
        sum.add_(more);
        return sum;
    }

    /** The sums over both; the caller's scope has them. */
    public Both and(LayerSums other) {
        return new Both(this, other);
    }

    /**
     * Two sums as one.
     *
     * @param a of one half of the examples
     * @param b of the other
     */
    public record Both(LayerSums a, LayerSums b) {
        public Moments moments(boolean centred) {
            if (b.isEmpty()) {
                return a.moments(centred);
            }
            if (a.isEmpty()) {
                return b.moments(centred);
            }
            double share = a.count / (a.count + b.count);
            return a.products().mixed(b.products(), share).about(centred);
        }

        /**
         * How much of the products of different inputs is chance, from 0 to 1: what one half of the
         * examples doesn't say as the other does, by squares of correlations. By so much they are
         * to be shrunk (Ledoit and Wolf, <a href="https://doi.org/10.1016/S0047-259X(03)00096-4">A
         * well-conditioned estimator for large-dimensional covariance matrices</a>, 2004). 0 where
         * there is but one half.
         */
        public double chance(boolean centred) {
            if (a.isEmpty() || b.isEmpty()) {
                return 0;
            }
            try (var scope = new PointerScope();
                    var noGrad = new NoGradGuard()) {
                Tensor all = correlations(moments(centred).xx);
                Tensor one = correlations(a.moments(centred).xx);
                one.mul_(correlations(b.moments(centred).xx));
                double squares = all.square_().sum().item_double();
                return squares > 0 ? Math.clamp(1 - one.sum().item_double() / squares, 0, 1) : 0;
            }
        }

        /** Of different inputs; 0 of each with itself. */
        private static Tensor correlations(Tensor xx) {
            Tensor scale = xx.diagonal(0, 1, 2).clamp_min(new Scalar(1e-30)).rsqrt();
            Tensor found = xx.mul(scale.unsqueeze(1)).mul_(scale.unsqueeze(2));
            found.diagonal(0, 1, 2).zero_();
            return found;
        }
    }

    private static Tensor known(@Nullable Tensor sum) {
        return Objects.requireNonNull(sum, "nothing was added");
    }

    /** Means of what was added. */
    public Moments moments(boolean centred) {
        return products().about(centred);
    }

    /** Means of products as they are. */
    private Moments products() {
        var share = new Scalar(1 / count);
        Tensor awayX = known(inputs).mul(share);
        Tensor awayY = known(outputs).mul(share);
        Tensor meanX = awayX.add(known(offX).transpose(1, 2));
        Tensor meanY = awayY.add(known(offY).transpose(1, 2));
        Tensor xx = known(products).mul(share).sub_(outer(awayX, awayX)).add_(outer(meanX, meanX));
        Tensor yx = known(targets).mul(share).sub_(outer(awayY, awayX)).add_(outer(meanY, meanX));
        Tensor yy = known(squares).mul(share).sub_(awayY.square()).add_(meanY.square());
        return new Moments(xx, yx, meanX, meanY, yy);
    }

    private static Tensor outer(Tensor rows, Tensor columns) {
        return rows.transpose(1, 2).matmul(columns);
    }

    @Override
    public void close() {
        for (Tensor held :
                new @Nullable Tensor[] {offX, offY, products, targets, inputs, outputs, squares}) {
            if (held != null) {
                held.releaseReference();
            }
        }
        offX = null;
        offY = null;
        products = null;
        targets = null;
        inputs = null;
        outputs = null;
        squares = null;
        count = 0;
    }
}

package io.espalier.onnx.fit;

import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

import java.util.Objects;

/** {@code XXᵀ}, {@code YXᵀ} and the sums of x and y over examples, in double precision. */
final class LayerSums implements AutoCloseable {
    private @Nullable Tensor products;
    private @Nullable Tensor targets;
    private @Nullable Tensor inputs;
    private @Nullable Tensor outputs;
    private double count;

    /**
     * Means over the examples, about their own mean where a bias takes that.
     *
     * @param xx of products of inputs, [groups, inputs, inputs]
     * @param yx of products of outputs and inputs, [groups, outputs, inputs]
     * @param meanX of inputs, [groups, 1, inputs]
     * @param meanY of outputs, [groups, 1, outputs]
     */
    record Moments(Tensor xx, Tensor yx, Tensor meanX, Tensor meanY) {
        /** The same of each so many-th output. */
        Moments someOutputs(long step) {
            return new Moments(xx, every(yx, 1, step), meanX, meanY);
        }

        /** The squared error of weights, less a number that is the same for all. */
        double error(Tensor weight) {
            Tensor half = weight.matmul(xx).sub(yx).sub(yx);
            return half.mul(weight).sum().item_double();
        }
    }

    /** Each so many-th along a dimension. */
    static Tensor every(Tensor tensor, long dim, long step) {
        return step <= 1
                ? tensor
                : tensor.slice(dim, new LongOptional(0), new LongOptional(tensor.size(dim)), step);
    }

    boolean isEmpty() {
        return count == 0;
    }

    /** Adds examples: floats [groups, inputs, examples] and [groups, outputs, examples]. */
    void add(Tensor x, Tensor y) {
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            Tensor across = x.transpose(1, 2);
            products = plus(products, x.matmul(across));
            targets = plus(targets, y.matmul(across));
            inputs = plus(inputs, sum(x));
            outputs = plus(outputs, sum(y));
            count += x.size(2);
        }
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
    Both and(LayerSums other) {
        return new Both(this, other);
    }

    /** Two sums as one. */
    record Both(LayerSums a, LayerSums b) {
        Moments moments(boolean centred) {
            if (b.isEmpty()) {
                return a.moments(centred);
            }
            if (a.isEmpty()) {
                return b.moments(centred);
            }
            var sum = new LayerSums();
            sum.products = known(a.products).add(known(b.products));
            sum.targets = known(a.targets).add(known(b.targets));
            sum.inputs = known(a.inputs).add(known(b.inputs));
            sum.outputs = known(a.outputs).add(known(b.outputs));
            sum.count = a.count + b.count;
            return sum.moments(centred);
        }
    }

    private static Tensor known(@Nullable Tensor sum) {
        return Objects.requireNonNull(sum, "nothing was added");
    }

    /** Means of what was added. */
    Moments moments(boolean centred) {
        var share = new Scalar(1 / count);
        Tensor xx = known(products).mul(share);
        Tensor yx = known(targets).mul(share);
        Tensor meanX = known(inputs).mul(share);
        Tensor meanY = known(outputs).mul(share);
        return centred
                ? new Moments(
                        xx.sub(meanX.transpose(1, 2).matmul(meanX)),
                        yx.sub(meanY.transpose(1, 2).matmul(meanX)),
                        meanX,
                        meanY)
                : new Moments(xx, yx, meanX, meanY);
    }

    @Override
    public void close() {
        for (Tensor held : new @Nullable Tensor[] {products, targets, inputs, outputs}) {
            if (held != null) {
                held.releaseReference();
            }
        }
    }
}

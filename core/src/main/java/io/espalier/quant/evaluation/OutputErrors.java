package io.espalier.quant.evaluation;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.Arrays;
import java.util.List;

/** Sums over all pairs of outputs seen. */
final class OutputErrors {
    private double largest;
    private double absolute;
    private double noise;
    private double product;
    private double reference;
    private double candidate;
    private long values;
    private long answers;
    private long same;

    /** Adds what two models gave for one batch. */
    void add(List<Tensor> expected, List<Tensor> found) {
        if (expected.size() != found.size()) {
            throw new EspalierException(
                    "One model has "
                            + expected.size()
                            + " outputs, the other "
                            + found.size()
                            + "; compare models of one purpose.");
        }
        for (int i = 0; i < expected.size(); i++) {
            add(expected.get(i), found.get(i));
        }
    }

    private void add(Tensor expected, Tensor found) {
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
        Tensor a = expected.to(ScalarType.Double);
        Tensor b = found.to(ScalarType.Double);
        Tensor difference = b.sub(a);
        largest = Math.max(largest, difference.abs().max().item_double());
        absolute += difference.abs().sum().item_double();
        noise += dot(difference, difference);
        product += dot(a, b);
        reference += dot(a, a);
        candidate += dot(b, b);
        values += a.numel();
        if (shape.length == 2 && shape[1] > 1) {
            answers += shape[0];
            same += answers(a).eq(answers(b)).sum().item_long();
        }
    }

    private static Tensor answers(Tensor output) {
        return output.argmax(new LongOptional(1), false);
    }

    private static double dot(Tensor a, Tensor b) {
        return a.mul(b).sum().item_double();
    }

    OutputComparison comparison(long examples, double[] millis) {
        return new OutputComparison(
                examples,
                largest,
                values == 0 ? 0 : absolute / values,
                cosine(),
                noise == 0 ? Double.POSITIVE_INFINITY : 10 * Math.log10(reference / noise),
                answers == 0 ? Double.NaN : (double) same / answers,
                millis[0],
                millis[1]);
    }

    /** Two outputs without extent point the same way. */
    private double cosine() {
        double lengths = Math.sqrt(reference) * Math.sqrt(candidate);
        return lengths == 0 ? (reference == candidate ? 1 : 0) : product / lengths;
    }
}

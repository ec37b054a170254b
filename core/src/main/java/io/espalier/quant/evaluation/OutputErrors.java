package io.espalier.quant.evaluation;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.List;

/** Sums over all pairs of outputs seen. */
final class OutputErrors {
    private final TensorErrors errors = new TensorErrors();
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
        errors.add(expected, found);
        long[] shape = Tensors.shape(expected);
        if (shape.length == 2 && shape[1] > 1 && expected.numel() > 0) {
            answers += shape[0];
            same += answers(expected).eq(answers(found)).sum().item_long();
        }
    }

    private static Tensor answers(Tensor output) {
        return output.to(ScalarType.Double).argmax(new LongOptional(1), false);
    }

    OutputComparison comparison(long examples, double[] millis) {
        return new OutputComparison(
                examples,
                errors.largest(),
                errors.mean(),
                errors.cosine(),
                errors.sqnr(),
                answers == 0 ? Double.NaN : (double) same / answers,
                millis[0],
                millis[1]);
    }
}

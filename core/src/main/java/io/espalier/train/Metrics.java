package io.espalier.train;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;

import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Tensor;

import java.util.function.ToDoubleBiFunction;

/** The usual metrics. */
public final class Metrics {
    private Metrics() {}

    /**
     * The share of examples whose highest score is the right class's, 0 to 1: output [N, C] of
     * scores, target [N] of class numbers. Of equal scores the first counts as the highest.
     */
    public static Metric accuracy() {
        return mean(
                "accuracy",
                true,
                (output, target) -> {
                    requireClasses("accuracy", output, target);
                    return output.argmax(new LongOptional(1), false).eq(target).sum().item_long();
                });
    }

    /**
     * The share of examples whose right class is among the {@code k} highest scores, 0 to 1: output
     * [N, C] of scores, target [N] of class numbers.
     *
     * @throws EspalierException if {@code k} is below 1; when measuring, if it is above C
     */
    public static Metric topK(int k) {
        if (k < 1) {
            throw new EspalierException("Top-k needs a k of 1 or more; asked for " + k + ".");
        }
        String name = "top-" + k;
        return mean(
                name,
                true,
                (output, target) -> {
                    requireClasses(name, output, target);
                    if (k > output.size(1)) {
                        throw new EspalierException(
                                "The metric "
                                        + name
                                        + " needs at least "
                                        + k
                                        + " classes; the output has "
                                        + output.size(1)
                                        + ".");
                    }
                    return output.topk(k, 1, true, true)
                            .get1()
                            .eq(target.unsqueeze(1))
                            .sum()
                            .item_long();
                });
    }

    /** The mean of a loss over all examples; less is better. */
    public static Metric meanLoss(Loss loss) {
        return mean(
                "loss",
                false,
                (output, target) ->
                        Needed.given(loss.of(output, target), "the loss").item_double()
                                * output.size(0));
    }

    /** The mean absolute difference over all elements; less is better. */
    public static Metric meanAbsoluteError() {
        return mean(
                "mean absolute error",
                false,
                (output, target) -> Losses.l1().of(output, target).item_double() * output.size(0));
    }

    /**
     * A metric that is a mean over examples.
     *
     * @param name what it is called
     * @param higherIsBetter whether more is better
     * @param sum the sum of the examples' values in a batch, from output and target
     */
    public static Metric mean(
            String name, boolean higherIsBetter, ToDoubleBiFunction<Tensor, Tensor> sum) {
        return new Mean(name, higherIsBetter, sum);
    }

    private static void requireClasses(String name, Tensor output, Tensor target) {
        if (output.dim() != 2 || target.dim() != 1 || output.size(0) != target.size(0)) {
            throw new EspalierException(
                    "The metric "
                            + name
                            + " needs an output [N, C] of scores and a target [N] of class"
                            + " numbers; they have "
                            + Losses.shapes(output, target)
                            + ".");
        }
    }

    private record Mean(
            String name, boolean higherIsBetter, ToDoubleBiFunction<Tensor, Tensor> batchSum)
            implements Metric {
        @Override
        public Measurement start() {
            return new Measurement() {
                private double sum;
                private long count;

                @Override
                public void add(Tensor output, Tensor target) {
                    sum += batchSum.applyAsDouble(output, target);
                    count += output.size(0);
                }

                @Override
                public double value() {
                    return sum / count;
                }
            };
        }
    }
}

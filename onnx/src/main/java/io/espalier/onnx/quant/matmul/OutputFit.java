package io.espalier.onnx.quant.matmul;

import io.espalier.onnx.quant.matmul.OutputLayers.Rows;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * A matrix that gives of changed rows what another gave of the rows as they were, by least squares
 * with a ridge towards that other matrix. How strong the ridge is decides what examples kept aside
 * say (Hoerl and Kennard, <a href="https://doi.org/10.1080/00401706.1970.10488634">Ridge
 * Regression</a>, 1970).
 */
final class OutputFit {
    /** Shares of the mean variance of a channel; the last leaves the matrix as it is. */
    private static final double[] RIDGES = {0.01, 0.03, 0.1, 0.3, 1, Double.POSITIVE_INFINITY};

    private final Tensor weight;
    private final Tensor wanted;
    private final Tensor given;
    private final List<Long> examples;
    private final int folds;

    /**
     * @param weight [K, N]
     * @param wanted what it was multiplied by
     * @param given what it will be multiplied by, row for row
     * @param folds of so many examples one is kept aside
     */
    OutputFit(Tensor weight, Rows wanted, Rows given, int folds) {
        this.weight = weight.to(ScalarType.Double);
        this.wanted = wanted.x().to(ScalarType.Double);
        this.given = given.x().to(ScalarType.Double);
        this.examples = wanted.examples();
        this.folds = folds;
    }

    /**
     * A matrix, and what has to be added to the bias.
     *
     * @param weight floats [K, N]
     * @param added floats [N]
     */
    record Solution(Tensor weight, Tensor added) {}

    /**
     * The fit to all rows, with the ridge that serves the examples kept aside best; empty if none
     * does, or there are none.
     */
    Optional<Solution> best() {
        long[] aside = rows(true);
        long[] fitted = rows(false);
        if (aside.length == 0 || fitted.length == 0) {
            return Optional.empty();
        }
        // Of what is missing only its squares by all columns are asked, so that nothing has to be
        // multiplied by the matrix itself.
        Tensor columns = weight.matmul(weight.t());
        Tensor expected = of(wanted, aside);
        Tensor input = of(given, aside);
        double least = squares(expected.sub(input), columns);
        double best = Double.NaN;
        var part = new Sums(of(wanted, fitted), of(given, fitted));
        for (double ridge : RIDGES) {
            double error = squares(part.missing(expected, input, part.move(ridge)), columns);
            if (error < least) {
                least = error;
                best = ridge;
            }
        }
        if (Double.isNaN(best)) {
            return Optional.empty();
        }
        return Optional.of(new Sums(wanted, given).solution(best));
    }

    private long[] rows(boolean aside) {
        return IntStream.range(0, examples.size())
                .filter(row -> (examples.get(row) % folds == folds - 1) == aside)
                .asLongStream()
                .toArray();
    }

    private static Tensor of(Tensor rows, long[] chosen) {
        return rows.index_select(0, Tensors.of(chosen, chosen.length));
    }

    /** The sum of squares of rows times a matrix, of which all products of its rows are known. */
    private static double squares(Tensor rows, Tensor products) {
        return rows.t().matmul(rows).mul(products).sum().item_double();
    }

    /** What least squares needs to know of rows. */
    private final class Sums {
        private final Tensor meanWanted;
        private final Tensor meanGiven;
        private final Tensor variance;
        private final Tensor lacking;

        Sums(Tensor wanted, Tensor given) {
            meanWanted = mean(wanted);
            meanGiven = mean(given);
            Tensor centred = given.sub(meanGiven);
            var count = new Scalar((double) given.size(0));
            variance = centred.t().matmul(centred).div(count);
            Tensor covariance = centred.t().matmul(wanted.sub(meanWanted)).div(count);
            lacking = covariance.sub(variance);
        }

        private static Tensor mean(Tensor rows) {
            return rows.mean(new long[] {0}, true, new ScalarTypeOptional());
        }

        /** What the matrix has to be multiplied by, less 1; [K, K]. */
        Tensor move(double ridge) {
            if (Double.isInfinite(ridge)) {
                return lacking.mul(new Scalar(0));
            }
            long channels = variance.size(0);
            double mean = variance.trace().item_double() / channels;
            Tensor damped =
                    variance.add(
                            torch.eye(channels)
                                    .to(ScalarType.Double)
                                    .mul(new Scalar(Math.max(mean, 1e-12) * ridge)));
            return torch.linalg_solve(damped, lacking);
        }

        /** What rows lack of others after a move, each without its mean. */
        Tensor missing(Tensor expected, Tensor input, Tensor move) {
            Tensor centred = input.sub(meanGiven);
            return expected.sub(meanWanted).sub(centred).sub(centred.matmul(move));
        }

        Solution solution(double ridge) {
            Tensor matrix = weight.add(move(ridge).matmul(weight));
            // What brings the mean of each result back.
            Tensor added = meanWanted.matmul(weight).sub(meanGiven.matmul(matrix)).squeeze(0);
            return new Solution(
                    matrix.to(ScalarType.Float).contiguous(),
                    added.to(ScalarType.Float).contiguous());
        }
    }
}

package io.espalier.onnx.quant.matmul;

import io.espalier.onnx.fit.LeastSquares;
import io.espalier.onnx.quant.matmul.OutputLayers.Rows;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.LongOptional;
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
 * Regression</a>, 1970). Weights that are zero stay zero.
 */
final class OutputFit {
    /** Shares of the mean variance of a channel; the last leaves the matrix as it is. */
    private static final double[] RIDGES = {0.01, 0.03, 0.1, 0.3, 1, Double.POSITIVE_INFINITY};

    /** Of columns with zeros so many are tried, and so many solved for at once. */
    private static final long TRIED_COLUMNS = 64;

    private static final long COLUMNS_AT_ONCE = 1024;

    private static final int TRIAL_STEPS = 30;

    private static final int MOST_STEPS = 80;

    /** Products in a step; columns with zeros beyond these take longer than they are worth. */
    private static final long MOST_PRODUCTS = 1L << 33;

    private final Tensor weight;
    private final boolean pruned;
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
        this.pruned = weight.eq(new Scalar(0)).any().item_bool();
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
        if (aside.length == 0 || fitted.length == 0 || takesTooLong()) {
            return Optional.empty();
        }
        Tensor tried = pruned ? someColumns() : weight;
        // Of what is missing only its squares by all columns are asked, so that nothing has to be
        // multiplied by the matrix itself.
        Tensor columns = tried.matmul(tried.t());
        Tensor expected = of(wanted, aside);
        Tensor input = of(given, aside);
        double least = squares(expected.sub(input), columns);
        double best = Double.NaN;
        var part = new Sums(of(wanted, fitted), of(given, fitted));
        for (double ridge : RIDGES) {
            double error =
                    pruned
                            ? part.error(expected, input, tried, ridge)
                            : squares(part.missing(expected, input, part.move(ridge)), columns);
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

    private boolean takesTooLong() {
        return pruned && weight.size(0) * weight.size(0) * weight.size(1) > MOST_PRODUCTS;
    }

    private Tensor someColumns() {
        long count = weight.size(1);
        long step = Math.ceilDiv(count, TRIED_COLUMNS);
        return weight.slice(1, new LongOptional(0), new LongOptional(count), step);
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
        private final Tensor covariance;

        Sums(Tensor wanted, Tensor given) {
            meanWanted = mean(wanted);
            meanGiven = mean(given);
            Tensor centred = given.sub(meanGiven);
            var count = new Scalar((double) given.size(0));
            variance = centred.t().matmul(centred).div(count);
            covariance = centred.t().matmul(wanted.sub(meanWanted)).div(count);
        }

        private static Tensor mean(Tensor rows) {
            return rows.mean(new long[] {0}, true, new ScalarTypeOptional());
        }

        /** What the matrix has to be multiplied by, less 1; [K, K]. */
        Tensor move(double ridge) {
            Tensor lacking = covariance.sub(variance);
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

        /** The squares of what rows lack of others, each without its mean, in some columns. */
        double error(Tensor expected, Tensor input, Tensor columns, double ridge) {
            Tensor found = withZeros(columns, ridge, TRIAL_STEPS);
            Tensor lost =
                    expected.sub(meanWanted)
                            .matmul(columns)
                            .sub(input.sub(meanGiven).matmul(found));
            return lost.square().sum().item_double();
        }

        /** The fit of columns [K, some] of the matrix whose zeros stay zero. */
        private Tensor withZeros(Tensor columns, double ridge, int mostSteps) {
            if (Double.isInfinite(ridge)) {
                return columns;
            }
            Tensor start = columns.t().unsqueeze(0);
            Tensor products = start.matmul(covariance.t());
            Tensor free = start.ne(new Scalar(0)).to(ScalarType.Double);
            return new LeastSquares(variance.unsqueeze(0), products)
                    .solve(start, free, ridge, mostSteps)
                    .squeeze(0)
                    .t();
        }

        private Tensor matrix(double ridge) {
            if (!pruned) {
                return weight.add(move(ridge).matmul(weight));
            }
            Tensor matrix = weight.clone();
            for (long from = 0; from < weight.size(1); from += COLUMNS_AT_ONCE) {
                try (var scope = new PointerScope()) {
                    long count = Math.min(COLUMNS_AT_ONCE, weight.size(1) - from);
                    Tensor columns = matrix.narrow(1, from, count);
                    columns.copy_(withZeros(columns, ridge, MOST_STEPS));
                }
            }
            return matrix;
        }

        Solution solution(double ridge) {
            Tensor matrix = matrix(ridge);
            // What brings the mean of each result back.
            Tensor added = meanWanted.matmul(weight).sub(meanGiven.matmul(matrix)).squeeze(0);
            return new Solution(
                    matrix.to(ScalarType.Float).contiguous(),
                    added.to(ScalarType.Float).contiguous());
        }
    }
}

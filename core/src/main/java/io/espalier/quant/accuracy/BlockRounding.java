package io.espalier.quant.accuracy;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Internal;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.Arrays;

/**
 * Matrices in few bits, a scale and a zero point for each block of a column: each number to the
 * nearest, or row after row such that those to come make up for the error of those before, as the
 * inputs' second moments say.
 *
 * <p>Source: Frantar et al., <a href="https://arxiv.org/abs/2210.17323">GPTQ: Accurate
 * Post-Training Quantization for Generative Pre-trained Transformers</a>, 2022. A block's range is
 * the part of it that loses least, each number's error counting as it does there.
 */
@Internal
public final class BlockRounding {
    /** Of a block's range, so that its many small numbers lose less than its few large ones. */
    private static final float[] SHARES = {1, 0.95f, 0.9f, 0.85f, 0.8f, 0.75f, 0.7f};

    /** What is added to the moments' diagonal, as a part of its mean: data are never enough. */
    private static final double DAMPING = 0.03;

    private final int largest;
    private final int block;

    /**
     * @param bits of an integer, 2 to 8
     * @param block how many numbers of a column share a scale, 1 or more
     * @throws EspalierException if one of them is out of range
     */
    public BlockRounding(int bits, int block) {
        if (bits < 2 || bits > 8 || block < 1) {
            throw new EspalierException(
                    "Blocks are of 1 or more numbers of 2 to 8 bits, not of %d numbers of %d bits."
                            .formatted(block, bits));
        }
        this.largest = (1 << bits) - 1;
        this.block = block;
    }

    /**
     * Rounds each number to the nearest.
     *
     * @param weight [rows, columns], floats
     */
    public BlockedWeight nearest(Tensor weight) {
        int columns = Math.toIntExact(weight.size(1));
        var rounded = BlockedWeight.empty(Math.toIntExact(weight.size(0)), columns, block);
        var importance = new float[block];
        Arrays.fill(importance, 1);
        for (int from = 0; from < rounded.rows(); from += block) {
            try (var scope = new PointerScope()) {
                int count = Math.min(block, rounded.rows() - from);
                float[] numbers = floats(weight.narrow(0, from, count));
                fitBlocks(numbers, from, count, importance, rounded);
                for (int row = 0; row < count; row++) {
                    for (int column = 0; column < columns; column++) {
                        round(numbers[row * columns + column], from + row, column, rounded);
                    }
                }
            }
        }
        return rounded;
    }

    /**
     * Rounds row after row, each row's error made up for by those after it. Zeros stay zero, and
     * make up for nothing.
     *
     * @param weight [rows, columns], floats
     * @param moments the mean of {@code x xᵀ} over what the matrix is multiplied by, [rows, rows]
     */
    public BlockedWeight compensating(Tensor weight, Tensor moments) {
        try (var scope = new PointerScope()) {
            Tensor factor = factor(moments);
            int columns = Math.toIntExact(weight.size(1));
            var rounded = BlockedWeight.empty(Math.toIntExact(weight.size(0)), columns, block);
            Tensor rest = weight.clone();
            for (int from = 0; from < rounded.rows(); from += block) {
                try (var each = new PointerScope()) {
                    int count = Math.min(block, rounded.rows() - from);
                    Tensor rows = factor.narrow(0, from, count);
                    float[] errors =
                            roundBlock(
                                    floats(weight.narrow(0, from, count)),
                                    floats(rest.narrow(0, from, count)),
                                    floats(rows.narrow(1, from, count)),
                                    from,
                                    rounded);
                    int after = rounded.rows() - from - count;
                    Tensor error = Tensors.of(errors, count, columns);
                    rest.narrow(0, from + count, after)
                            .sub_(rows.narrow(1, from + count, after).t().matmul(error));
                }
            }
            return rounded;
        }
    }

    /** The upper triangular {@code U} of which {@code UᵀU} is the moments' inverse. */
    private static Tensor factor(Tensor moments) {
        Tensor damped = moments.to(ScalarType.Double).clone();
        Tensor diagonal = damped.diagonal();
        double mean = diagonal.mean().item_double();
        diagonal.add_(new Scalar(mean > 0 ? DAMPING * mean : 1));
        Tensor inverse = torch.cholesky_inverse(torch.linalg_cholesky(damped));
        return torch.linalg_cholesky(inverse, true).to(ScalarType.Float);
    }

    private static float[] floats(Tensor part) {
        return Tensors.floats(part.contiguous());
    }

    /**
     * Rounds the rows of a block, and gives each one's error by the factor's diagonal.
     *
     * @param weight [count, columns], of which zeros stay
     * @param numbers the same with the errors of rows before, changed
     * @param factor [count, count]
     */
    private float[] roundBlock(
            float[] weight, float[] numbers, float[] factor, int from, BlockedWeight rounded) {
        int columns = rounded.columns();
        int count = numbers.length / columns;
        var importance = new float[count];
        for (int row = 0; row < count; row++) {
            float own = factor[row * count + row];
            importance[row] = 1 / (own * own);
        }
        fitBlocks(withZeros(numbers, weight), from, count, importance, rounded);
        var errors = new float[numbers.length];
        for (int row = 0; row < count; row++) {
            int start = row * columns;
            float own = 1 / factor[row * count + row];
            for (int column = 0; column < columns; column++) {
                float number = numbers[start + column];
                float kept = weight[start + column] == 0 ? 0 : number;
                errors[start + column] = (number - round(kept, from + row, column, rounded)) * own;
            }
            for (int later = row + 1; later < count; later++) {
                float share = factor[row * count + later];
                int place = later * columns;
                for (int column = 0; column < columns; column++) {
                    numbers[place + column] -= share * errors[start + column];
                }
            }
        }
        return errors;
    }

    /** Numbers that are zero where a weight is. */
    private static float[] withZeros(float[] numbers, float[] weight) {
        float[] kept = numbers.clone();
        for (int i = 0; i < kept.length; i++) {
            if (weight[i] == 0) {
                kept[i] = 0;
            }
        }
        return kept;
    }

    /** Finds the scale and the zero point of a block of each column. */
    private void fitBlocks(
            float[] numbers, int from, int count, float[] importance, BlockedWeight rounded) {
        int columns = rounded.columns();
        var column = new float[count];
        for (int c = 0; c < columns; c++) {
            float low = 0;
            float high = 0;
            for (int row = 0; row < count; row++) {
                column[row] = numbers[row * columns + c];
                low = Math.min(low, column[row]);
                high = Math.max(high, column[row]);
            }
            Grid best = Grid.of(low, high, largest);
            double least = Double.POSITIVE_INFINITY;
            for (float share : SHARES) {
                Grid grid = Grid.of(low * share, high * share, largest);
                double error = grid.error(column, importance);
                if (error < least) {
                    least = error;
                    best = grid;
                }
            }
            rounded.scales()[rounded.blockOf(from, c)] = best.scale();
            rounded.zeroPoints()[rounded.blockOf(from, c)] = (byte) best.zeroPoint();
        }
    }

    /** Puts a number's integer in its place, and gives what that stands for. */
    private float round(float number, int row, int column, BlockedWeight rounded) {
        int at = rounded.blockOf(row, column);
        var grid =
                new Grid(
                        rounded.scales()[at],
                        Byte.toUnsignedInt(rounded.zeroPoints()[at]),
                        largest);
        int integer = grid.integer(number);
        rounded.integers()[column * rounded.rows() + row] = (byte) integer;
        return (integer - grid.zeroPoint()) * grid.scale();
    }

    /** The numbers that a block's are rounded to. */
    private record Grid(float scale, int zeroPoint, int largest) {
        static Grid of(float low, float high, int largest) {
            float scale = (high - low) / largest;
            if (!(scale >= Float.MIN_NORMAL)) {
                return new Grid(1, 0, largest);
            }
            return new Grid(scale, Math.clamp(Math.round(-low / scale), 0, largest), largest);
        }

        int integer(float number) {
            // A sum with 1.5 · 2^23 rounds to the nearest whole number, faster than any call.
            float whole = (number / scale + ROUNDS) - ROUNDS;
            return (int) Math.clamp(whole + zeroPoint, 0f, (float) largest);
        }

        double error(float[] numbers, float[] importance) {
            double squares = 0;
            for (int i = 0; i < numbers.length; i++) {
                float error = (integer(numbers[i]) - zeroPoint) * scale - numbers[i];
                squares += error * error * importance[i];
            }
            return squares;
        }

        private static final float ROUNDS = 12582912f;
    }
}

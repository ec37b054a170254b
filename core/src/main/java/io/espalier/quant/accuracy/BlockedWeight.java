package io.espalier.quant.accuracy;

import io.espalier.tensor.Internal;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

/**
 * A matrix [rows, columns] in unsigned integers, of which each block of a column has a scale and a
 * zero point: {@code (integer − zeroPoint) · scale}.
 *
 * @param rows how many numbers a column has
 * @param columns how many columns there are
 * @param block how many numbers of a column share a scale; the last block may be shorter
 * @param integers column after column
 * @param scales column after column, a number for each block
 * @param zeroPoints as the scales
 */
@SuppressWarnings("ArrayRecordComponent") // made fresh, and never compared
@Internal
public record BlockedWeight(
        int rows, int columns, int block, byte[] integers, float[] scales, byte[] zeroPoints) {
    /** One of zeros, to be filled. */
    static BlockedWeight empty(int rows, int columns, int block) {
        int blocks = Math.ceilDiv(rows, block) * columns;
        return new BlockedWeight(
                rows,
                columns,
                block,
                new byte[Math.multiplyExact(rows, columns)],
                new float[blocks],
                new byte[blocks]);
    }

    /** How many blocks a column has. */
    public int blocksPerColumn() {
        return Math.ceilDiv(rows, block);
    }

    /** The place of a number's scale and zero point. */
    int blockOf(int row, int column) {
        return column * blocksPerColumn() + row / block;
    }

    /** The matrix that the integers stand for, in a new tensor [rows, columns]. */
    public Tensor values() {
        var values = new float[integers.length];
        for (int column = 0; column < columns; column++) {
            for (int row = 0; row < rows; row++) {
                int at = blockOf(row, column);
                int steps =
                        Byte.toUnsignedInt(integers[column * rows + row])
                                - Byte.toUnsignedInt(zeroPoints[at]);
                values[row * columns + column] = steps * scales[at];
            }
        }
        return Tensors.of(values, rows, columns);
    }
}

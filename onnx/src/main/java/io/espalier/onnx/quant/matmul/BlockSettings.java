package io.espalier.onnx.quant.matmul;

import io.espalier.tensor.EspalierException;

import java.util.List;

/**
 * How matrices become 4-bit integers.
 *
 * @param block how many numbers of a column share a scale: 16, 32, 64, 128 or 256
 * @param rounding how numbers are rounded
 * @param keepFloat names of nodes that stay as they are, {@code *} standing for any text
 */
public record BlockSettings(int block, RoundingMethod rounding, List<String> keepFloat) {
    /** Blocks of 32, rounded by GPTQ. */
    public static final BlockSettings DEFAULT =
            new BlockSettings(32, RoundingMethod.GPTQ, List.of());

    /**
     * Copies the list.
     *
     * @throws EspalierException if ONNX Runtime has no kernel for such blocks
     */
    public BlockSettings {
        keepFloat = List.copyOf(keepFloat);
        if (block < 16 || block > 256 || Integer.bitCount(block) != 1) {
            throw new EspalierException(
                    "A block has 16, 32, 64, 128 or 256 numbers, not " + block + ".");
        }
    }

    MatMulSettings sites() {
        return MatMulSettings.DEFAULT.keepingFloat(keepFloat.toArray(String[]::new));
    }
}

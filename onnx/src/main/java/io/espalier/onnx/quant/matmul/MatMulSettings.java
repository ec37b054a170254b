package io.espalier.onnx.quant.matmul;

import io.espalier.nn.NamePattern;

import java.util.ArrayList;
import java.util.List;

/**
 * How products with constant matrices are quantized; each setting gives a changed copy.
 *
 * @param perTensor one scale for a whole matrix, instead of one per column
 * @param portable operators of the standard only, none of ONNX Runtime's own
 * @param reduceRange weights of 7 bits, for processors whose 16-bit sums could overflow: those
 *     without VNNI
 * @param shifted whether channels are shifted to their centres where that is free
 * @param smoothed whether outlying channels are divided where that lowers the error
 * @param keepFloat names of nodes that stay float, {@code *} standing for any text
 */
public record MatMulSettings(
        boolean perTensor,
        boolean portable,
        boolean reduceRange,
        boolean shifted,
        boolean smoothed,
        List<String> keepFloat) {
    /** A scale per column, the fastest operators, 8 bits, all methods, nothing kept. */
    static final MatMulSettings DEFAULT =
            new MatMulSettings(false, false, false, true, true, List.of());

    /** Copies the list. */
    public MatMulSettings {
        keepFloat = List.copyOf(keepFloat);
    }

    /** Whether one scale serves a whole matrix. */
    public MatMulSettings perTensor(boolean perTensor) {
        return new MatMulSettings(perTensor, portable, reduceRange, shifted, smoothed, keepFloat);
    }

    /** Whether operators of the standard alone are used. */
    public MatMulSettings portable(boolean portable) {
        return new MatMulSettings(perTensor, portable, reduceRange, shifted, smoothed, keepFloat);
    }

    /** Whether weights have 7 bits. */
    public MatMulSettings reduceRange(boolean reduceRange) {
        return new MatMulSettings(perTensor, portable, reduceRange, shifted, smoothed, keepFloat);
    }

    /** Whether channels are shifted to their centres. */
    public MatMulSettings shifted(boolean shifted) {
        return new MatMulSettings(perTensor, portable, reduceRange, shifted, smoothed, keepFloat);
    }

    /** Whether outlying channels are divided. */
    public MatMulSettings smoothed(boolean smoothed) {
        return new MatMulSettings(perTensor, portable, reduceRange, shifted, smoothed, keepFloat);
    }

    /** Keeps nodes of these names float, too; {@code *} stands for any text. */
    public MatMulSettings keepingFloat(String... patterns) {
        var all = new ArrayList<>(keepFloat);
        all.addAll(List.of(patterns));
        return new MatMulSettings(perTensor, portable, reduceRange, shifted, smoothed, all);
    }

    boolean keepsFloat(String name) {
        return keepFloat.stream().anyMatch(pattern -> NamePattern.of(pattern).matches(name));
    }
}

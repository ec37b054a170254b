package io.espalier.onnx.quant;

import io.espalier.onnx.quant.matmul.BlockSettings;
import io.espalier.onnx.quant.matmul.RoundingMethod;
import io.espalier.tensor.EspalierException;

import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.Consumer;

/**
 * What a quantizer was told of how weights are written; what is empty is as the mode has it.
 *
 * @param bits of the integers of weight-only quantization, 8 or 4
 * @param block how many numbers share a scale in 4 bits
 * @param rounding how 4-bit numbers are rounded
 * @param embeddings what tables are kept in
 * @param portable whether operators of the standard alone are written
 * @param perTensor whether all channels of a weight of 8 bits share one scale
 */
record WeightFormat(
        int bits,
        OptionalInt block,
        Optional<RoundingMethod> rounding,
        Optional<EmbeddingPrecision> embeddings,
        boolean portable,
        boolean perTensor) {
    static final WeightFormat DEFAULT =
            new WeightFormat(
                    8, OptionalInt.empty(), Optional.empty(), Optional.empty(), false, false);

    WeightFormat {
        if (bits != 8 && bits != 4) {
            throw new EspalierException("Weights have 8 bits or 4, not " + bits + ".");
        }
        block.ifPresent(size -> new BlockSettings(size, RoundingMethod.GPTQ, List.of()));
    }

    /** The same with a change, while this stays. */
    WeightFormat with(Consumer<Change> change) {
        var changed = new Change(this);
        change.accept(changed);
        return changed.made();
    }

    /** A format that can still be changed. */
    static final class Change {
        int bits;
        OptionalInt block;
        Optional<RoundingMethod> rounding;
        Optional<EmbeddingPrecision> embeddings;
        boolean portable;
        boolean perTensor;

        private Change(WeightFormat start) {
            bits = start.bits;
            block = start.block;
            rounding = start.rounding;
            embeddings = start.embeddings;
            portable = start.portable;
            perTensor = start.perTensor;
        }

        private WeightFormat made() {
            return new WeightFormat(bits, block, rounding, embeddings, portable, perTensor);
        }
    }

    /** How matrices become 4-bit integers. */
    BlockSettings blocks(List<String> keptFloat) {
        BlockSettings start = BlockSettings.DEFAULT;
        return new BlockSettings(
                block.orElse(start.block()), rounding.orElse(start.rounding()), keptFloat);
    }

    /**
     * The same for layers whose precisions are known: of blocks all is said, and tables are among
     * the layers.
     */
    WeightFormat spelledOut() {
        BlockSettings blocks = blocks(List.of());
        return with(format -> {
            format.embeddings = Optional.empty();
            if (bits == 4) {
                format.block = OptionalInt.of(blocks.block());
                format.rounding = Optional.of(blocks.rounding());
            }
        });
    }

    /** What tables are kept in, in a mode. */
    EmbeddingPrecision embeddingsIn(QuantizationMode mode) {
        return embeddings.orElse(
                mode == QuantizationMode.FLOAT16
                        ? EmbeddingPrecision.FLOAT
                        : bits == 4 ? EmbeddingPrecision.INT4 : EmbeddingPrecision.INT8);
    }

    /**
     * Whether all this makes sense together.
     *
     * @throws EspalierException if it does not; the message says what is wrong
     */
    void requireMeaningIn(QuantizationMode mode) {
        require(
                bits == 8 || mode == QuantizationMode.WEIGHT_ONLY,
                "Weights of 4 bits are for the mode WEIGHT_ONLY, not " + mode + ".");
        require(
                bits == 4 || block.isEmpty(),
                "The size of blocks is for weights of 4 bits; those of 8 have a scale a channel.");
        require(
                bits == 4 || rounding.isEmpty(),
                "The rounding is chosen for weights of 4 bits; those of 8 go to the nearest.");
        require(
                !portable
                        || (bits == 8 && !embeddings.equals(Optional.of(EmbeddingPrecision.INT4))),
                "The standard's operators have no 4-bit integers that runtimes share; a portable"
                        + " model has 8.");
        require(
                !perTensor || (bits == 8 && mode != QuantizationMode.FLOAT16),
                "One scale for a tensor is for weights of 8 bits.");
    }

    private static void require(boolean holds, String otherwise) {
        if (!holds) {
            throw new EspalierException(otherwise);
        }
    }
}

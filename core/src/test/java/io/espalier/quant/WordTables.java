package io.espalier.quant;

import io.espalier.nn.EmbeddingBag;
import io.espalier.nn.EmbeddingBag.Mode;
import io.espalier.nn.Linear;
import io.espalier.nn.Mask;
import io.espalier.nn.Module;
import io.espalier.nn.Sequential;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** Tables of vectors for tests, of {@code COUNT} words. */
final class WordTables {
    static final int COUNT = 50;

    private WordTables() {}

    /** The configuration of tables of 8 or 4 bits. */
    static QConfig bits(int bits) {
        return bits == 8 ? QConfig.weightOnly() : QConfig.weightOnly4Bit();
    }

    static Tensor longs(long... values) {
        return Tensors.of(values, values.length);
    }

    /** Every index, once. */
    static Tensor all() {
        return torch.arange(new Scalar(COUNT)).to(ScalarType.Long);
    }

    /** A bag of words and a linear layer. */
    static Sequential classifier() {
        return new Sequential(
                new EmbeddingBag(COUNT, 16, o -> o.mode(Mode.SUM)), new Linear(16, 3));
    }

    /** Masks a table's weight. */
    static void prune(Module table, Tensor kept) {
        Mask mask = new Mask("weight");
        table.storeAs("weight", mask.storedName());
        table.addBuffer(mask.bufferName(), kept);
        table.parametrize("weight", mask);
    }
}

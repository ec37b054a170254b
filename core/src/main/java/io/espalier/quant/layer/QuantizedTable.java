package io.espalier.quant.layer;

import io.espalier.nn.Embedding;
import io.espalier.nn.EmbeddingBag;
import io.espalier.nn.IntegerWeighted;
import io.espalier.nn.Module;
import io.espalier.quant.observer.ObserverFactory;
import io.espalier.quant.observer.Qscheme;
import io.espalier.quant.observer.QuantizedType;
import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.Tensor;

import java.util.Map;
import java.util.TreeMap;

/**
 * A table of vectors in 8 or 4 bits, each row with a scale of its own, or in 16-bit floats. It
 * gives floats: only its weight is small, so it needs no calibration.
 */
public abstract sealed class QuantizedTable extends Module implements IntegerWeighted, SavedForm
        permits QuantizedEmbedding, QuantizedEmbeddingBag {
    private static final String WEIGHT = "weight";

    private final long size;
    private final QuantizedType dtype;

    QuantizedTable(TableRows rows) {
        this.size = rows.size();
        this.dtype = rows.dtype();
        addBuffer(WEIGHT, rows.rows());
    }

    /**
     * The table's layer with quantized rows.
     *
     * @param path where it stands, for errors
     * @param table an Embedding or EmbeddingBag
     * @param weight makes the observer of the rows
     * @throws EspalierException if it is no table of vectors, or the rows have no such form
     */
    public static QuantizedTable of(String path, Module table, ObserverFactory weight) {
        QuantizedTable quantized =
                switch (table) {
                    case EmbeddingBag bag ->
                            new QuantizedEmbeddingBag(rowsOf(path, bag, weight), bag.options());
                    case Embedding embedding ->
                            new QuantizedEmbedding(rowsOf(path, embedding, weight));
                    default ->
                            throw new EspalierException(
                                    "'" + path + "' is a " + table + " and no table of vectors.");
                };
        quantized.training(table.isTraining());
        return quantized;
    }

    private static TableRows rowsOf(String path, Module table, ObserverFactory weight) {
        return TableRows.of(path + "." + WEIGHT, table.value(WEIGHT), weight);
    }

    final TableRows rows() {
        return new TableRows(buffer(WEIGHT), size, dtype);
    }

    @Override
    public Map<String, Tensor> floatWeights() {
        return Map.of(WEIGHT, rows().dequantized());
    }

    @Override
    public boolean takesIntegers() {
        return false;
    }

    @Override
    public Map<String, String> attributes() {
        Map<String, String> attributes = new TreeMap<>();
        attributes.put("dtype", dtype.name());
        attributes.put("embedding_dim", Long.toString(size));
        return attributes;
    }

    /** The rows that a file describes. */
    static TableRows rows(Map<String, Tensor> tensors, Map<String, String> attributes) {
        return TableRows.read(
                QuantizedLayer.required(tensors, WEIGHT),
                Attributes.number(attributes, "embedding_dim", 1, Integer.MAX_VALUE),
                Attributes.choice(attributes, "dtype", QuantizedType.class));
    }

    @Override
    protected String extraRepr() {
        return "num_embeddings="
                + rows().count()
                + ", embedding_dim="
                + size
                + ", dtype="
                + dtype
                + (dtype.isInteger()
                        ? ", qscheme=" + Qscheme.PER_CHANNEL_AFFINE_FLOAT_QPARAMS
                        : "");
    }

    @Override
    public boolean isAtomic() {
        return true;
    }
}

package io.espalier.onnx.quant;

/** What tables of vectors are kept in: those that rows are taken from by numbers. */
public enum EmbeddingPrecision {
    /** As all that stays float. */
    FLOAT,
    /** 8-bit integers, a scale for each row. */
    INT8,
    /**
     * 4-bit integers, a scale for each 128 values, by ONNX Runtime's own operator; tables that are
     * small, or whose rows are no whole number of such blocks, in 8 bits.
     */
    INT4
}

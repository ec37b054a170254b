package io.espalier.onnx.quant;

/** What tables of vectors are kept in: those that rows are taken from by numbers. */
public enum EmbeddingPrecision {
    /** As all that stays float. */
    FLOAT,
    /** 8-bit integers, a scale for each row. */
    INT8,
    /**
     * 4-bit integers, a scale for each block of 128 to 16 values, by ONNX Runtime's own operator;
     * tables whose rows are sliced, or no whole number of blocks, in 8 bits, and their layer says
     * so. Where weights of 4 bits ask for it by themselves, tables below 2^20 values have 8 bits,
     * too.
     */
    INT4
}

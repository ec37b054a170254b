package io.espalier.onnx.quant;

/** What becomes integers, and when their ranges are found. */
public enum QuantizationMode {
    /** What pays on this machine and stays within the budget. */
    AUTO,
    /** Layers in integers, with ranges found on the calibration data. */
    STATIC,
    /** Matrix products in integers, with ranges found at each call. */
    DYNAMIC,
    /** Weights kept in 8 bits; all is computed in floats. */
    WEIGHT_ONLY,
    /** Weights kept in 16-bit floats; all is computed in floats. */
    FLOAT16
}

package io.espalier.onnx.quant.matmul;

/** How weights of few bits are rounded. */
public enum RoundingMethod {
    /**
     * Row after row, those to come making up for the error of those before on the calibration data.
     */
    GPTQ,
    /** Each number to the nearest. */
    NEAREST
}

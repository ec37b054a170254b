package io.espalier.onnx.lower;

/** How calls of one operator of ONNX's become nodes of a graph. */
interface OperatorLowering {
    /**
     * Adds nodes for a call, and says which values are its results.
     *
     * @throws io.espalier.tensor.EspalierException if libtorch has nothing that computes this call
     */
    void lower(Call call);
}

package io.espalier.onnx.zoo;

/** Which of PyTorch's exporters a model looks as if it came from. */
enum Exporter {
    /** By tracing: constants are nodes, operators of newer versions are spelled out. */
    TRACING(13, 7),
    /** By tracing into a later version. */
    TRACING_LATER(17, 8),
    /** The newer one: values are numbered, BatchNormalization stays, axes are inputs. */
    DYNAMO(20, 10);

    final long opset;
    final long irVersion;

    Exporter(long opset, long irVersion) {
        this.opset = opset;
        this.irVersion = irVersion;
    }

    boolean traces() {
        return this != DYNAMO;
    }
}

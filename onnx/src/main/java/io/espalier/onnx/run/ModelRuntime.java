package io.espalier.onnx.run;

/** What runs a model. */
public enum ModelRuntime {
    /** ONNX Runtime, which runs ONNX files. */
    ONNX_RUNTIME("onnxruntime"),
    /** libtorch, which runs saved graphs, and ONNX files whose operators it has. */
    LIBTORCH("libtorch");

    private final String word;

    ModelRuntime(String word) {
        this.word = word;
    }

    /** As it is written on a command line. */
    @Override
    public String toString() {
        return word;
    }
}

package io.espalier.onnx.shape;

/** What an operator's results are, by its operands and attributes. */
interface Rule {
    /**
     * Gives what is known of a call's results.
     *
     * @throws Undecided where it depends on what is not known
     */
    void infer(Call call);
}

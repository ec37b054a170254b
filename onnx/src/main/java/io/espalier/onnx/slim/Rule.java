package io.espalier.onnx.slim;

import io.espalier.slim.NotUnderstood;

/** What an operator does to the channels of its operands. */
@FunctionalInterface
interface Rule {
    /**
     * Unites, moves, ends or pins the channels along each dimension of each operand, and says what
     * its results' are.
     *
     * @throws NotUnderstood if it can't say
     */
    void apply(Call call);
}

package io.espalier.onnx.tune;

import io.espalier.nn.Module;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;

/**
 * What training makes small, as a module: given a batch's number, how far the model's results are
 * from what is right. How far training is goes with the module's state, so that one that was
 * stopped goes on in all: after how many batches, and after how much of its time.
 */
abstract class Objective extends Module {
    private static final String DRAWN = "drawn";
    private static final String MILLISECONDS = "milliseconds";

    /** In a millisecond. */
    private static final long NANOSECONDS = 1_000_000;

    private long began = System.nanoTime();

    Objective() {
        addBuffer(DRAWN, Tensors.of(new long[] {0}, 1));
        addBuffer(MILLISECONDS, Tensors.of(new long[] {0}, 1));
    }

    @Override
    protected final Tensor forward(Tensor number) {
        long drawn = buffer(DRAWN).item_long();
        note(DRAWN, drawn + 1);
        return loss(Math.toIntExact(number.item_long()), drawn).reshape(1);
    }

    /**
     * The loss on a batch.
     *
     * @param drawn how many batches there were before
     */
    abstract Tensor loss(int batch, long drawn);

    /** How long it has been trained, those before it was stopped counted. */
    final long milliseconds() {
        long passed = (System.nanoTime() - began) / NANOSECONDS;
        long all = buffer(MILLISECONDS).item_long() + passed;
        note(MILLISECONDS, all);
        // What is left of the last millisecond counts the next time.
        began += passed * NANOSECONDS;
        return all;
    }

    private void note(String name, long count) {
        try (var noGrad = new NoGradGuard()) {
            buffer(name).fill_(new Scalar(count));
        }
    }
}

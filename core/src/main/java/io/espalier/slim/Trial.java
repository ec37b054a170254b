package io.espalier.slim;

import io.espalier.nn.Module;
import io.espalier.train.EvalMode;

/**
 * A model in inference mode that is called to see what it does. When closed, it is in the modes
 * that it was in, and nothing in it remembers the calls.
 */
final class Trial implements AutoCloseable {
    private final EvalMode mode;
    private final KeptState state;

    Trial(Module model) {
        mode = new EvalMode(model);
        state = new KeptState(model);
    }

    @Override
    public void close() {
        state.close();
        mode.close();
    }
}

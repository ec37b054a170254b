package io.espalier.nn;

import org.bytedeco.pytorch.Tensor;

import java.util.List;

/**
 * Sees a module's inputs before {@code forward}, or its outputs after, and may answer with others.
 */
@FunctionalInterface
public interface Hook {
    /** What goes on instead of {@code tensors}; most hooks return {@code tensors} itself. */
    List<Tensor> apply(Module module, List<Tensor> tensors);

    /** Takes the hook off its module again. */
    @FunctionalInterface
    interface Registration extends AutoCloseable {
        @Override
        void close();
    }
}

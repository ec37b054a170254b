package io.espalier.graph;

import io.espalier.nn.Module;
import io.espalier.tensor.Internal;

import org.bytedeco.pytorch.Tensor;

import java.util.List;

/**
 * A trace of all layers that a model calls. {@link GraphModule#trace} leaves out those whose
 * results nobody uses; yet the model's code calls them, and they have to fit what they are given.
 */
@Internal
public final class WholeTrace {
    private WholeTrace() {}

    /**
     * The program of a model in inference mode.
     *
     * @throws io.espalier.tensor.EspalierException if it can't be traced
     */
    public static GraphModule of(Module model, List<Tensor> example) {
        return new Tracing(model, example, true).trace();
    }
}

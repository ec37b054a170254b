package io.espalier.nn;

import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.T_TensorTensor_T;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;

/**
 * Gated recurrent units: gates r, z of each step from its input and the state h, {@code n = tanh(W
 * x + r · U h)}, {@code h = (1 − z) · n + z · h}. Inputs: the sequence, and as an option h;
 * outputs: the sequence of h, the last h.
 *
 * <p>Source: Cho et al., <a href="https://arxiv.org/abs/1406.1078">Learning Phrase Representations
 * using RNN Encoder–Decoder</a>, 2014.
 */
public class GRU extends Recurrent {
    /** A network with PyTorch's defaults: one layer, one direction, the sequence first. */
    public GRU(long inputSize, long hiddenSize) {
        this(inputSize, hiddenSize, options -> options);
    }

    /**
     * A network with other options, such as {@code o -> o.layers(2).batchFirst(true)}.
     *
     * @throws EspalierException if a number is out of range
     */
    public GRU(long inputSize, long hiddenSize, UnaryOperator<Options> with) {
        super(RecurrentShape.Kind.GRU, inputSize, hiddenSize, with);
    }

    private GRU(Map<String, Tensor> weights, UnaryOperator<Options> with) {
        super(RecurrentShape.Kind.GRU, weights, with);
    }

    /**
     * A network of these tensors by PyTorch's names ({@code weight_ih_l0}, …), which it holds as
     * they are. They decide how many layers and directions there are, and whether there are biases.
     *
     * @throws EspalierException if a tensor is missing, too many or of another shape
     */
    public static GRU of(Map<String, Tensor> weights, UnaryOperator<Options> with) {
        return new GRU(weights, with);
    }

    /**
     * A network like this one that takes some elements of each input only, in this order; masks go
     * with their weights.
     *
     * @throws EspalierException if an index is out of range or there twice
     */
    public GRU withInputs(long... kept) {
        return narrowed(kept);
    }

    /**
     * A network like this one with some units of the state only, in this order; masks go with their
     * weights.
     *
     * @param kept one choice for all layers and directions, or one for each: the first layer's
     *     forward, its reverse, the second layer's forward and so on, all of one length
     * @throws EspalierException if an index is out of range or there twice, or the lengths differ
     */
    public GRU withHidden(long[]... kept) {
        return withUnits(kept);
    }

    @Override
    final List<Tensor> run(Tensor x, List<Tensor> state, TensorVector weights, Options options) {
        T_TensorTensor_T result =
                torch.gru(
                        x,
                        state.getFirst(),
                        weights,
                        options.bias(),
                        options.layers(),
                        options.dropout(),
                        isTraining(),
                        options.bidirectional(),
                        options.batchFirst());
        return RecordedFunctions.owned(result, result.get0(), result.get1());
    }
}

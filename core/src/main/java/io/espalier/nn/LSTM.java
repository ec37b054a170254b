package io.espalier.nn;

import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.T_TensorTensorTensor_T;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

import java.util.List;
import java.util.function.UnaryOperator;

/**
 * Long short-term memory: gates i, f, g, o of each step from its input and the state h, and {@code
 * c = f · c + i · g}, {@code h = o · tanh(c)}. Inputs: the sequence, and as an option h and c;
 * outputs: the sequence of h, the last h, the last c.
 *
 * <p>Source: Hochreiter and Schmidhuber, <a href="https://doi.org/10.1162/neco.1997.9.8.1735">Long
 * Short-Term Memory</a>, 1997.
 */
public class LSTM extends Recurrent {
    /** A network with PyTorch's defaults: one layer, one direction, the sequence first. */
    public LSTM(long inputSize, long hiddenSize) {
        this(inputSize, hiddenSize, options -> options);
    }

    /**
     * A network with other options, such as {@code o -> o.layers(2).batchFirst(true)}.
     *
     * @throws EspalierException if a number is out of range
     */
    public LSTM(long inputSize, long hiddenSize, UnaryOperator<Options> with) {
        super(RecurrentShape.Kind.LSTM, inputSize, hiddenSize, with);
    }

    @Override
    final List<Tensor> run(Tensor x, List<Tensor> state, TensorVector weights, Options options) {
        T_TensorTensorTensor_T result =
                torch.lstm(
                        x,
                        new TensorVector(state.getFirst(), state.getLast()),
                        weights,
                        options.bias(),
                        options.layers(),
                        options.dropout(),
                        isTraining(),
                        options.bidirectional(),
                        options.batchFirst());
        return RecordedFunctions.owned(result, result.get0(), result.get1(), result.get2());
    }
}

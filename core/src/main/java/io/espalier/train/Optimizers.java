package io.espalier.train;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.TensorException;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Adam;
import org.bytedeco.pytorch.AdamW;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.SGD;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;

import java.util.List;
import java.util.function.Function;

/**
 * libtorch's own optimizers over a model's parameters. They work the same in a {@link Trainer} and
 * in a loop written by hand, and outlive the scope they were made in.
 */
public final class Optimizers {
    private Optimizers() {}

    /** Stochastic gradient descent without momentum. */
    public static SGD sgd(List<Tensor> parameters, double learningRate) {
        return sgd(parameters, SgdSettings.of(learningRate));
    }

    /** Stochastic gradient descent with momentum. */
    public static SGD sgd(List<Tensor> parameters, double learningRate, double momentum) {
        return sgd(parameters, SgdSettings.of(learningRate).withMomentum(momentum));
    }

    /**
     * Stochastic gradient descent.
     *
     * @throws EspalierException if there are no parameters
     */
    public static SGD sgd(List<Tensor> parameters, SgdSettings settings) {
        return make(parameters, vector -> new SGD(vector, settings.options()));
    }

    /** Adam with PyTorch's defaults. */
    public static Adam adam(List<Tensor> parameters, double learningRate) {
        return adam(parameters, AdamSettings.of(learningRate));
    }

    /**
     * Adam.
     *
     * @throws EspalierException if there are no parameters
     */
    public static Adam adam(List<Tensor> parameters, AdamSettings settings) {
        return make(parameters, vector -> new Adam(vector, settings.adamOptions()));
    }

    /** AdamW with PyTorch's defaults, weight decay 0.01 among them. */
    public static AdamW adamW(List<Tensor> parameters, double learningRate) {
        return adamW(parameters, AdamSettings.of(learningRate).withWeightDecay(0.01));
    }

    /**
     * Adam with weight decay apart from the gradient (Loshchilov and Hutter, <a
     * href="https://arxiv.org/abs/1711.05101">Decoupled Weight Decay Regularization</a>, 2019).
     *
     * @throws EspalierException if there are no parameters
     */
    public static AdamW adamW(List<Tensor> parameters, AdamSettings settings) {
        return make(parameters, vector -> new AdamW(vector, settings.adamWOptions()));
    }

    private static <O extends Optimizer> O make(
            List<Tensor> parameters, Function<TensorVector, O> constructor) {
        if (parameters.isEmpty()) {
            throw new EspalierException(
                    "An optimizer needs at least one parameter; it got none. A converted model has"
                            + " none left: train it before it is converted.");
        }
        try (var scope = new PointerScope()) {
            O optimizer = constructor.apply(new TensorVector(parameters.toArray(new Tensor[0])));
            optimizer.retainReference();
            return optimizer;
        } catch (RuntimeException e) {
            throw TensorException.in("Making an optimizer", e);
        }
    }
}

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
import java.util.function.UnaryOperator;

/**
 * libtorch's own optimizers over a model's parameters. They work the same in a {@link Trainer} and
 * in a loop written by hand, and outlive the scope they were made in.
 */
public final class Optimizers {
    private Optimizers() {}

    /** Stochastic gradient descent without momentum. */
    public static SGD sgd(List<Tensor> parameters, double learningRate) {
        return sgd(parameters, learningRate, settings -> settings);
    }

    /** Stochastic gradient descent with momentum. */
    public static SGD sgd(List<Tensor> parameters, double learningRate, double momentum) {
        return sgd(parameters, learningRate, settings -> settings.momentum(momentum));
    }

    /**
     * Stochastic gradient descent with other settings, such as {@code s ->
     * s.momentum(0.9).nesterov(true)}.
     *
     * @throws EspalierException if there are no parameters, a number is out of its range, or the
     *     settings don't go together
     */
    public static SGD sgd(
            List<Tensor> parameters, double learningRate, UnaryOperator<SgdSettings> with) {
        SgdSettings settings = with.apply(SgdSettings.of(learningRate));
        return make(parameters, vector -> new SGD(vector, settings.options()));
    }

    /** Adam with PyTorch's defaults. */
    public static Adam adam(List<Tensor> parameters, double learningRate) {
        return adam(parameters, learningRate, settings -> settings);
    }

    /**
     * Adam with other settings, such as {@code s -> s.betas(0.9, 0.99)}.
     *
     * @throws EspalierException if there are no parameters, or a number is out of its range
     */
    public static Adam adam(
            List<Tensor> parameters, double learningRate, UnaryOperator<AdamSettings> with) {
        AdamSettings settings = with.apply(AdamSettings.of(learningRate));
        return make(parameters, vector -> new Adam(vector, settings.adamOptions()));
    }

    /** AdamW with PyTorch's defaults, weight decay 0.01 among them. */
    public static AdamW adamW(List<Tensor> parameters, double learningRate) {
        return adamW(parameters, learningRate, settings -> settings);
    }

    /**
     * Adam with weight decay apart from the gradient (Loshchilov and Hutter, <a
     * href="https://arxiv.org/abs/1711.05101">Decoupled Weight Decay Regularization</a>, 2019).
     *
     * @param with changes the settings, whose weight decay is 0.01, such as {@code s ->
     *     s.weightDecay(0.1)}
     * @throws EspalierException if there are no parameters, or a number is out of its range
     */
    public static AdamW adamW(
            List<Tensor> parameters, double learningRate, UnaryOperator<AdamSettings> with) {
        AdamSettings settings = with.apply(AdamSettings.of(learningRate).weightDecay(0.01));
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

package io.espalier.nn;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;
import io.espalier.tensor.TensorException;

import org.bytedeco.pytorch.Tensor;

import java.util.List;

/**
 * Arithmetic between tensors as a module, so that its results can be observed and quantized: a
 * residual connection adds with one of these.
 *
 * <p>The child {@code activation_post_process} sees every result but those of {@link #addScalar}
 * and {@link #mulScalar}, whose range follows from their input's. Each place in a model needs its
 * own. As PyTorch's {@code FloatFunctional}.
 */
public class FloatFunctional extends Module implements AllAtOnce {
    private final Module postProcess = add("activation_post_process", new Identity());

    /** What a call computes; a quantized variant computes the same on quantized tensors. */
    public sealed interface Operation {
        /** {@code a + b}. */
        record Add(Tensor a, Tensor b) implements Operation {}

        /** {@code a + number}. */
        record AddScalar(Tensor a, double number) implements Operation {}

        /** {@code a · b}, by elements. */
        record Mul(Tensor a, Tensor b) implements Operation {}

        /** {@code a · number}. */
        record MulScalar(Tensor a, double number) implements Operation {}

        /** The tensors one after another along a dimension. */
        record Cat(List<Tensor> tensors, long dim) implements Operation {}

        /** {@code max(a + b, 0)}. */
        record AddRelu(Tensor a, Tensor b) implements Operation {}

        /** The matrix product. */
        record Matmul(Tensor a, Tensor b) implements Operation {}
    }

    /** {@code a + b}, with broadcasting. */
    public final Tensor add(Tensor a, Tensor b) {
        return run(new Operation.Add(a, b));
    }

    /** {@code a + number}. */
    public final Tensor addScalar(Tensor a, double number) {
        return run(new Operation.AddScalar(a, number));
    }

    /** {@code a · b} by elements, with broadcasting. */
    public final Tensor mul(Tensor a, Tensor b) {
        return run(new Operation.Mul(a, b));
    }

    /** {@code a · number}. */
    public final Tensor mulScalar(Tensor a, double number) {
        return run(new Operation.MulScalar(a, number));
    }

    /** The tensors one after another along a dimension. */
    public final Tensor cat(List<Tensor> tensors, long dim) {
        return run(new Operation.Cat(List.copyOf(Needed.all(tensors, "the tensors to join")), dim));
    }

    /** {@code max(a + b, 0)}. */
    public final Tensor addRelu(Tensor a, Tensor b) {
        return run(new Operation.AddRelu(a, b));
    }

    /** The matrix product. */
    public final Tensor matmul(Tensor a, Tensor b) {
        return run(new Operation.Matmul(a, b));
    }

    private Tensor run(Operation operation) {
        if (!(current() instanceof FloatFunctional now)) {
            throw new EspalierException(
                    "A FloatFunctional was replaced by "
                            + current().typeName()
                            + ", which computes no "
                            + operation.getClass().getSimpleName()
                            + ".");
        }
        try {
            return now.compute(operation);
        } catch (RuntimeException e) {
            throw TensorException.in(
                    now.typeName() + "'s " + operation.getClass().getSimpleName(), e);
        }
    }

    /** Computes an operation; what takes this module's place overrides it. */
    protected Tensor compute(Operation operation) {
        return switch (operation) {
            case Operation.Add(Tensor a, Tensor b) -> observed(Functional.add(a, b));
            case Operation.AddScalar(Tensor a, double number) -> Functional.add(a, number);
            case Operation.Mul(Tensor a, Tensor b) -> observed(Functional.mul(a, b));
            case Operation.MulScalar(Tensor a, double number) -> Functional.mul(a, number);
            case Operation.Cat(List<Tensor> tensors, long dim) ->
                    observed(Functional.cat(tensors, dim));
            case Operation.AddRelu(Tensor a, Tensor b) ->
                    observed(Functional.relu(Functional.add(a, b)));
            case Operation.Matmul(Tensor a, Tensor b) -> observed(Functional.matmul(a, b));
        };
    }

    private Tensor observed(Tensor result) {
        return postProcess.call(result);
    }

    @Override
    protected List<Tensor> forwardAll(List<Tensor> inputs) {
        throw new EspalierException(
                typeName() + " has no forward; call add, mul, cat or another of its operations.");
    }
}

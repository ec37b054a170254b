package io.espalier.tensor;

import org.bytedeco.pytorch.IValueVector;
import org.bytedeco.pytorch.Tensor;

import java.util.List;

/**
 * An operator of libtorch with its constant arguments made ready. Boxing lists of numbers takes
 * longer than a small kernel; here it is done once. Any number of threads may call it.
 */
@Internal
public final class BoundOperator {
    /** The stack of a thread's calls, which is empty between them. */
    private static final ThreadLocal<IValueVector> STACK =
            ThreadLocal.withInitial(() -> {
                var stack = new IValueVector();
                stack.retainReference();
                return stack;
            });

    private final Operator operator;
    private final IValueVector template;
    private final int[] open;

    BoundOperator(Operator operator, IValueVector template, List<Integer> open) {
        this.operator = operator;
        this.template = template;
        this.template.retainReference();
        this.open = open.stream().mapToInt(Integer::intValue).toArray();
    }

    /**
     * Calls the operator and returns its first result, a tensor.
     *
     * @param tensors one for each place that was left open, in order
     * @throws EspalierException if there are more or fewer tensors, one is undefined, or the
     *     operator fails
     */
    public Tensor call(Tensor... tensors) {
        if (tensors.length != open.length) {
            throw new EspalierException(
                    operator.name()
                            + " was bound for "
                            + open.length
                            + " tensors; it was given "
                            + tensors.length
                            + ".");
        }
        return operator.looksAtEngine()
                ? EngineLock.PROCESS.whileSettled(() -> callNow(tensors))
                : callNow(tensors);
    }

    private Tensor callNow(Tensor... tensors) {
        IValueVector stack = STACK.get();
        try {
            stack.put(template);
            for (int i = 0; i < open.length; i++) {
                if (!Tensors.requireLive(tensors[i]).defined()) {
                    throw new EspalierException(
                            operator.name() + " was given an undefined tensor.");
                }
                // Boxing it anew would allocate, which JavaCPP watches over at some cost.
                stack.get(open[i]).toTensor().put(tensors[i]);
            }
            operator.run(stack);
            if (stack.empty() || !stack.get(0).isTensor()) {
                throw new EspalierException(
                        operator.name()
                                + " does not return a tensor; its signature is "
                                + operator.schema()
                                + ".");
            }
            return new Tensor(stack.get(0).toTensor());
        } finally {
            stack.clear();
        }
    }
}

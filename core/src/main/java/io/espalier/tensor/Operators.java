package io.espalier.tensor;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.concurrent.ConcurrentHashMap;

/**
 * libtorch's operators by name, for those that its binding has no method for: {@code
 * quantized::linear}, {@code aten::quantized_lstm}.
 */
@Internal
public final class Operators {
    private static final ConcurrentHashMap<String, Operator> FOUND = new ConcurrentHashMap<>();

    static {
        Libtorch.start();
    }

    private Operators() {}

    /**
     * The operator of this name and overload; looked up once.
     *
     * @param name the name with its namespace, such as {@code "quantized::conv2d"}
     * @param overload the overload's name, such as {@code "new"}; often empty
     * @throws EspalierException if this build of libtorch has no such operator
     */
    public static Operator find(String name, String overload) {
        return FOUND.computeIfAbsent(
                overload.isEmpty() ? name : name + "." + overload,
                full -> Operator.lookUp(full, name, overload));
    }

    /**
     * The operator of this full name; looked up once.
     *
     * @param full the name with its namespace and, after a dot, the overload, such as {@code
     *     "aten::add.Tensor"}
     * @throws EspalierException if this build of libtorch has no such operator
     */
    public static Operator find(String full) {
        Operator known = FOUND.get(full);
        if (known != null) {
            return known;
        }
        int dot = full.indexOf('.');
        return dot < 0 ? find(full, "") : find(full.substring(0, dot), full.substring(dot + 1));
    }

    /**
     * Calls an operator that returns one tensor.
     *
     * @throws EspalierException if there is no such operator, or the arguments are not what its
     *     schema asks for, or it fails
     * @see Operator#call
     */
    public static Tensor call(String name, String overload, @Nullable Object... arguments) {
        return find(name, overload).tensor(arguments);
    }
}

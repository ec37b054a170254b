package io.espalier.graph;

import io.espalier.tensor.Internal;

import org.jspecify.annotations.Nullable;

/** One argument of a {@link GraphOperator}, in the order of libtorch's schema. */
@Internal
public sealed interface Argument {
    /**
     * A tensor.
     *
     * @param name the name that is printed where the position does not say it
     * @param arity how many tensors stand there
     */
    record Operand(String name, Arity arity) implements Argument {}

    /** How many tensors an operand is. */
    enum Arity {
        /** One. */
        ONE,
        /** One or none. */
        OPTIONAL,
        /** One or more, which are then all the operands that the operator has. */
        LIST
    }

    /**
     * A constant.
     *
     * @param name its name, which is PyTorch's
     * @param required whether each call must give it
     * @param standard what holds where a call does not give it; {@code null} for nothing
     */
    record Attribute(String name, AttributeType type, boolean required, @Nullable Object standard)
            implements Argument {}

    /** What libtorch asks for and a graph does not choose: it is the same in every call. */
    record Fixed(Object value) implements Argument {}
}

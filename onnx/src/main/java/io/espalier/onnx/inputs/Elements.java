package io.espalier.onnx.inputs;

import io.espalier.onnx.model.ElementType;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.Locale;
import java.util.Optional;

/** Elements of a tensor as a model wants them. */
final class Elements {
    private Elements() {}

    /** How the standard calls the type of the tensor's elements. */
    static String describe(Tensor tensor) {
        ScalarType type = Tensors.type(tensor);
        for (ElementType known : ElementType.values()) {
            if (scalarType(known).filter(type::equals).isPresent()) {
                return known.name().toLowerCase(Locale.ROOT);
            }
        }
        return type.toString().toLowerCase(Locale.ROOT);
    }

    /** The type of libtorch's tensors that stands for this; empty if there is none. */
    static Optional<ScalarType> scalarType(ElementType type) {
        return Optional.ofNullable(
                switch (type) {
                    case FLOAT -> ScalarType.Float;
                    case DOUBLE -> ScalarType.Double;
                    case FLOAT16 -> ScalarType.Half;
                    case BFLOAT16 -> ScalarType.BFloat16;
                    case INT64 -> ScalarType.Long;
                    case INT32 -> ScalarType.Int;
                    case INT16 -> ScalarType.Short;
                    case INT8 -> ScalarType.Char;
                    case UINT8 -> ScalarType.Byte;
                    case BOOL -> ScalarType.Bool;
                    default -> null;
                });
    }

    /** Whether the tensor's elements are of this type itself. */
    static boolean isOf(ElementType type, Tensor tensor) {
        return scalarType(type).filter(Tensors.type(tensor)::equals).isPresent();
    }

    /**
     * The tensor with elements of this type, if its own are that or can stand for it: real numbers
     * of another precision, and integers, where all fit.
     */
    static Optional<Tensor> as(ElementType type, Tensor tensor) {
        ScalarType from = Tensors.type(tensor);
        Optional<ScalarType> to = scalarType(type);
        if (to.isEmpty() || to.get() == from) {
            return to.map(same -> tensor);
        }
        if (!areAlike(from, to.get())) {
            return Optional.empty();
        }
        Tensor cast = tensor.to(to.get());
        boolean fits =
                isReal(from)
                        ? infinities(cast) == infinities(tensor)
                        : Tensors.equal(cast.to(from), tensor);
        return fits ? Optional.of(cast) : Optional.empty();
    }

    /**
     * Numbers of Java's, which are floats or longs, as a type that stands for fewer of them: 0 and
     * 1 as booleans, integers as real numbers; the tensor itself where they are not that.
     */
    static Tensor ofNumbers(ElementType type, Tensor tensor) {
        ScalarType from = Tensors.type(tensor);
        Optional<ScalarType> to = scalarType(type);
        boolean becomesReal = from == ScalarType.Long && to.filter(Elements::isReal).isPresent();
        if (type != ElementType.BOOL && !becomesReal) {
            return tensor;
        }
        Tensor cast = tensor.to(to.orElseThrow());
        return Tensors.equal(cast.to(from), tensor) ? cast : tensor;
    }

    /** Why a tensor can't stand for one of this type, where that is not plain to see. */
    static String reason(ElementType type, Tensor tensor) {
        Optional<ScalarType> to = scalarType(type);
        if (type == ElementType.BOOL) {
            return " What is bool is given as 0 and 1.";
        }
        if (to.isEmpty() || !areAlike(Tensors.type(tensor), to.get())) {
            return "";
        }
        return " Its numbers go up to %g in size, which %s can't hold."
                .formatted(
                        tensor.to(ScalarType.Double).abs().max().item_double(),
                        type.name().toLowerCase(Locale.ROOT));
    }

    private static boolean areAlike(ScalarType one, ScalarType other) {
        return (isReal(one) && isReal(other)) || (isInteger(one) && isInteger(other));
    }

    private static long infinities(Tensor tensor) {
        return tensor.isinf().sum().item_long();
    }

    private static boolean isReal(ScalarType type) {
        return switch (type) {
            case Float, Double, Half, BFloat16 -> true;
            default -> false;
        };
    }

    private static boolean isInteger(ScalarType type) {
        return switch (type) {
            case Long, Int, Short, Char, Byte -> true;
            default -> false;
        };
    }
}

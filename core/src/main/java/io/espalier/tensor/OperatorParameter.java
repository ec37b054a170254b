package io.espalier.tensor;

import org.bytedeco.pytorch.Argument;
import org.bytedeco.pytorch.GenericList;
import org.bytedeco.pytorch.IValue;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.Type.TypePtr;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.bytedeco.pytorch.global.torch.TypeKind;
import org.jspecify.annotations.Nullable;

import java.util.Arrays;
import java.util.List;
import java.util.Objects;

/** One parameter of an operator: turns a Java value into libtorch's, or says why it can't. */
final class OperatorParameter {
    private final String name;
    private final ValueType type;
    private final @Nullable IValue defaultValue;

    private OperatorParameter(String name, ValueType type, @Nullable IValue defaultValue) {
        this.name = name;
        this.type = type;
        this.defaultValue = defaultValue;
    }

    /**
     * What may stand at a place: a kind, its name in schemas, whether None may stand there, and for
     * lists libtorch's own type of the elements (a list made from any other corrupts memory).
     */
    private record ValueType(
            TypeKind kind,
            String text,
            boolean optional,
            @Nullable TypePtr nativeElement,
            @Nullable ValueType element) {
        static ValueType of(TypePtr type) {
            TypeKind kind = type.access().kind().intern();
            String text = type.access().str().getString();
            return switch (kind) {
                case OptionalType -> {
                    ValueType inner = of(type.access().containedType(0));
                    yield new ValueType(inner.kind, text, true, inner.nativeElement, inner.element);
                }
                case ListType -> {
                    TypePtr element = type.access().containedType(0);
                    element.retainReference();
                    yield new ValueType(kind, text, false, element, of(element));
                }
                default -> new ValueType(kind, text, false, null, null);
            };
        }
    }

    static OperatorParameter of(Argument argument) {
        IValue value = null;
        var standard = argument.default_value();
        if (standard.has_value()) {
            value = new IValue(standard.get());
            value.retainReference();
        }
        return new OperatorParameter(
                argument.name().getString(), ValueType.of(argument.type()), value);
    }

    boolean hasDefault() {
        return defaultValue != null;
    }

    IValue defaultValue() {
        return Objects.requireNonNull(defaultValue);
    }

    /** Refuses to be left open for a tensor where something else is asked for. */
    void requireTensor(Operator operator) {
        if (type.kind != TypeKind.TensorType) {
            throw unfit(operator, "a tensor");
        }
    }

    /** Refuses null where the schema asks for a value. */
    void requireOptional(Operator operator) {
        if (!type.optional) {
            throw unfit(operator, describe(null));
        }
    }

    private EspalierException unfit(Operator operator, String given) {
        return new EspalierException(
                operator.name()
                        + " takes "
                        + type.text
                        + " as its argument '"
                        + name
                        + "'; it was given "
                        + given
                        + ".");
    }

    /** The value for the stack. */
    IValue box(Operator operator, @Nullable Object value) {
        IValue boxed = box(type, value);
        if (boxed == null) {
            throw unfit(operator, describe(value));
        }
        return boxed;
    }

    private static @Nullable IValue box(ValueType type, @Nullable Object value) {
        if (value == null) {
            return type.optional ? new IValue() : null;
        }
        return switch (type.kind) {
            case TensorType ->
                    value instanceof Tensor tensor && !tensor.isNull() && tensor.defined()
                            ? new IValue(tensor)
                            : null;
            case IntType -> boxInt(value);
            case FloatType ->
                    value instanceof Number number ? new IValue(number.doubleValue()) : null;
            case NumberType -> boxNumber(value);
            case BoolType -> value instanceof Boolean flag ? new IValue(flag.booleanValue()) : null;
            case StringType -> value instanceof String text ? new IValue(text) : null;
            case ClassType ->
                    value instanceof PackedObject packed && packed.type().equals(type.text)
                            ? packed.value()
                            : null;
            case ListType -> boxList(type, value);
            default -> null;
        };
    }

    private static @Nullable IValue boxInt(Object value) {
        return switch (value) {
            case Long number -> new IValue(number.longValue());
            case Integer number -> new IValue(number.longValue());
            case ScalarType scalarType -> new IValue((long) scalarType.intern().value);
            default -> null;
        };
    }

    private static @Nullable IValue boxNumber(Object value) {
        return switch (value) {
            case Long number -> new IValue(number.longValue());
            case Integer number -> new IValue(number.longValue());
            case Double number -> new IValue(number.doubleValue());
            case Float number -> new IValue(number.doubleValue());
            case Scalar scalar when !scalar.isNull() -> new IValue(scalar);
            default -> null;
        };
    }

    private static @Nullable IValue boxList(ValueType type, Object value) {
        List<?> elements = elements(value);
        if (elements == null) {
            return null;
        }
        GenericList list = new GenericList(Objects.requireNonNull(type.nativeElement));
        for (Object element : elements) {
            IValue boxed = box(Objects.requireNonNull(type.element), element);
            if (boxed == null) {
                return null;
            }
            list.push_back(boxed);
        }
        return new IValue(list);
    }

    private static @Nullable List<?> elements(Object value) {
        return switch (value) {
            case List<?> list -> list;
            case long[] numbers -> Arrays.stream(numbers).boxed().toList();
            case int[] numbers -> Arrays.stream(numbers).boxed().toList();
            case double[] numbers -> Arrays.stream(numbers).boxed().toList();
            case Object[] array -> Arrays.asList(array);
            default -> null;
        };
    }

    private static String describe(@Nullable Object value) {
        return switch (value) {
            case null -> "null";
            case Tensor tensor when tensor.isNull() -> "a tensor that was freed";
            case Tensor tensor when !tensor.defined() -> "an undefined tensor";
            case PackedObject packed -> packed.type();
            case List<?> list -> "a list of " + list.size();
            default -> value.getClass().getSimpleName();
        };
    }
}

package io.espalier.graph;

import io.espalier.tensor.Internal;

import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

import java.util.Arrays;
import java.util.List;
import java.util.Objects;

/** What the value of an operator's attribute may be. */
@Internal
public enum AttributeType {
    /** A {@code Long}, or a {@link Size} that depends on those of the graph's inputs. */
    LONG,
    /** A {@code Double}, also infinite or NaN. */
    DOUBLE,
    /** A {@code Boolean}. */
    BOOLEAN,
    /** A {@code String}. */
    TEXT,
    /** The {@code ScalarType} of a tensor's elements. */
    DTYPE,
    /** A {@code List} of what LONG may be. */
    LONGS,
    /** A {@code List<Double>}. */
    DOUBLES;

    /** The value in the one form that a graph holds, or {@code null} if it is of another type. */
    @Nullable Object convert(Object value) {
        return switch (this) {
            case LONG -> integer(value);
            case DOUBLE -> number(value);
            case BOOLEAN -> value instanceof Boolean flag ? flag : null;
            case TEXT -> value instanceof String text ? text : null;
            case DTYPE -> type(value);
            case LONGS -> list(value, LONG);
            case DOUBLES -> list(value, DOUBLE);
        };
    }

    private static @Nullable ScalarType type(Object value) {
        for (ScalarType type : ScalarType.values()) {
            if (value.equals(type.name()) || value.equals((long) type.value) || value == type) {
                return type;
            }
        }
        return null;
    }

    private static @Nullable Object integer(Object value) {
        return switch (value) {
            case Long number -> number;
            case Integer number -> number.longValue();
            case Size.Fixed(long number) -> number;
            case Size size -> size;
            case String text -> Size.parse(text);
            default -> null;
        };
    }

    private static @Nullable Double number(Object value) {
        return switch (value) {
            case Number number -> number.doubleValue();
            case String text ->
                    switch (text) {
                        case "Infinity" -> Double.POSITIVE_INFINITY;
                        case "-Infinity" -> Double.NEGATIVE_INFINITY;
                        case "NaN" -> Double.NaN;
                        default -> null;
                    };
            default -> null;
        };
    }

    private static @Nullable List<?> list(Object value, AttributeType element) {
        List<?> elements =
                switch (value) {
                    case long[] numbers -> Arrays.stream(numbers).boxed().toList();
                    case double[] numbers -> Arrays.stream(numbers).boxed().toList();
                    case List<?> list -> list;
                    default -> null;
                };
        if (elements == null || elements.stream().anyMatch(Objects::isNull)) {
            return null;
        }
        List<Object> converted = elements.stream().map(element::orNull).toList();
        return converted.contains(WRONG) ? null : converted;
    }

    private static final Object WRONG = new Object();

    private Object orNull(Object value) {
        Object converted = convert(value);
        return converted == null ? WRONG : converted;
    }
}

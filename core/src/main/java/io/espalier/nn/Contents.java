package io.espalier.nn;

import io.espalier.tensor.EspalierException;

import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.lang.ref.Reference;
import java.lang.reflect.Field;
import java.lang.reflect.InaccessibleObjectException;
import java.lang.reflect.Modifier;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.stream.IntStream;

/**
 * What an object of a model holds that may be a module or a tensor, as far as Java lets one look:
 * elements of collections, maps and arrays, fields of records, of objects and of lambdas.
 */
final class Contents {
    /** The fields of a class that may hold something; an empty place for a class that is closed. */
    private static final ClassValue<Optional<List<Field>>> FIELDS =
            new ClassValue<>() {
                @Override
                protected Optional<List<Field>> computeValue(Class<?> type) {
                    return open(type);
                }
            };

    private Contents() {}

    /** The objects that one holds directly; none of one that can't hold any, or can't be read. */
    static List<Object> of(Object holder) {
        return switch (holder) {
            case Collection<?> collection -> present(collection);
            case Map<?, ?> map -> {
                List<Object> both = present(map.keySet());
                both.addAll(present(map.values()));
                yield both;
            }
            case Object[] array -> present(Arrays.asList(array));
            case Optional<?> optional -> present(optional.stream().toList());
            case AtomicReference<?> reference -> present(Arrays.asList(reference.get()));
            case AtomicReferenceArray<?> array ->
                    present(
                            IntStream.range(0, array.length())
                                    .<@Nullable Object>mapToObj(array::get)
                                    .toList());
            case Reference<?> reference -> present(Arrays.asList(reference.get()));
            case Map.Entry<?, ?> entry -> present(Arrays.asList(entry.getKey(), entry.getValue()));
            default ->
                    FIELDS.get(holder.getClass())
                            .map(fields ->
                                    present(fields.stream().map(f -> read(f, holder)).toList()))
                            .orElse(List.of());
        };
    }

    private static List<Object> present(Collection<? extends @Nullable Object> values) {
        List<Object> all = new ArrayList<>();
        values.stream().filter(Objects::nonNull).forEach(all::add);
        return all;
    }

    /**
     * The fields of a class and those above it that may hold a module or tensor.
     *
     * @return nothing if one of them is closed to reflection
     */
    static Optional<List<Field>> fields(Class<?> type) {
        return FIELDS.get(type);
    }

    /** Whether an object is a lambda or a reference to a method. */
    static boolean isLambda(Object value) {
        return value.getClass().isHidden();
    }

    /** Whether a class is Java's own, whose fields nobody may read. */
    static boolean isOfJava(Class<?> type) {
        String name = type.getName();
        return name.startsWith("java.") || name.startsWith("javax.") || name.startsWith("jdk.");
    }

    private static Optional<List<Field>> open(Class<?> type) {
        List<Field> fields = new ArrayList<>();
        for (@Nullable Class<?> part = type;
                part != null && part != Module.class && !isWithoutFields(part);
                part = part.getSuperclass()) {
            for (Field field : part.getDeclaredFields()) {
                if (!Modifier.isStatic(field.getModifiers()) && !isPlain(field.getType())) {
                    try {
                        field.setAccessible(true);
                    } catch (InaccessibleObjectException e) {
                        return Optional.empty();
                    }
                    fields.add(field);
                }
            }
        }
        return Optional.of(List.copyOf(fields));
    }

    /** Java's own classes but its lambdas, and native objects, are not looked into. */
    private static boolean isWithoutFields(Class<?> type) {
        return (isOfJava(type) && !type.isHidden())
                || Pointer.class.isAssignableFrom(type)
                || type.isEnum();
    }

    /** Types that can hold nothing of a model. */
    private static boolean isPlain(Class<?> type) {
        return type.isPrimitive()
                || type == String.class
                || type == Class.class
                || type.isEnum()
                || Number.class.isAssignableFrom(type)
                || (Pointer.class.isAssignableFrom(type) && !Tensor.class.isAssignableFrom(type))
                || (type.isArray() && isPlain(type.getComponentType()));
    }

    static @Nullable Object read(Field field, Object holder) {
        try {
            return field.get(holder);
        } catch (IllegalAccessException e) {
            throw new EspalierException(
                    "Can't read the field '" + field.getName() + "' of " + holder.getClass(), e);
        }
    }
}

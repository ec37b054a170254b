package io.espalier.nn;

import org.jspecify.annotations.Nullable;

import java.lang.ref.SoftReference;
import java.lang.ref.WeakReference;
import java.lang.reflect.Array;
import java.lang.reflect.Constructor;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.RecordComponent;
import java.util.AbstractMap;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Optional;
import java.util.PriorityQueue;
import java.util.Set;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.function.BiConsumer;
import java.util.function.UnaryOperator;

/**
 * Copies of the objects between modules, each of its original's class where there is a way: those
 * that may be changed at once, then filled, so that they may hold each other.
 */
final class ObjectCopier {
    private final UnaryOperator<@Nullable Object> map;
    private final BiConsumer<Object, Object> announce;

    /**
     * A way to copy.
     *
     * @param map what stands for an object in the copy
     * @param announce takes an original and its copy before this is filled
     */
    ObjectCopier(UnaryOperator<@Nullable Object> map, BiConsumer<Object, Object> announce) {
        this.map = map;
        this.announce = announce;
    }

    /** A copy of its own where the copied model may change it, whatever it holds. */
    static boolean isChangeable(Object value) {
        return (value instanceof Collection || value instanceof Map) && value instanceof Cloneable;
    }

    /**
     * A copy that holds what {@code map} gives.
     *
     * @throws UncopyableException if there is no way to make one
     */
    Object copy(Object value) throws ReflectiveOperationException {
        return switch (value) {
            case Collection<?> collection -> collection(collection);
            case Map<?, ?> held -> map(held);
            case Object[] array -> array(array);
            case Optional<?> optional -> Optional.ofNullable(map.apply(optional.orElse(null)));
            case AtomicReference<?> reference -> {
                var copy = new AtomicReference<@Nullable Object>();
                announce.accept(value, copy);
                copy.set(map.apply(reference.get()));
                yield copy;
            }
            case AtomicReferenceArray<?> array -> {
                var copy = new AtomicReferenceArray<@Nullable Object>(array.length());
                announce.accept(value, copy);
                for (int i = 0; i < array.length(); i++) {
                    copy.set(i, map.apply(array.get(i)));
                }
                yield copy;
            }
            case WeakReference<?> reference -> new WeakReference<>(map.apply(reference.get()));
            case SoftReference<?> reference -> new SoftReference<>(map.apply(reference.get()));
            case Map.Entry<?, ?> entry ->
                    new AbstractMap.SimpleEntry<>(
                            map.apply(entry.getKey()), map.apply(entry.getValue()));
            case Record group -> group(group);
            default -> object(value);
        };
    }

    private Object collection(Collection<?> original) throws ReflectiveOperationException {
        Collection<@Nullable Object> copy = emptyCollection(original);
        announce.accept(original, copy);
        for (Object element : original) {
            copy.add(map.apply(element));
        }
        return copy;
    }

    @SuppressWarnings("unchecked") // an empty one takes any element
    private static Collection<@Nullable Object> emptyCollection(Collection<?> original)
            throws ReflectiveOperationException {
        if (isChangeable(original)) {
            var clone = (Collection<@Nullable Object>) clone(original);
            clone.clear();
            return clone;
        }
        return switch (original) {
            case PriorityQueue<?> queue ->
                    new PriorityQueue<>((Comparator<Object>) queue.comparator());
            case SortedSet<?> set -> new TreeSet<>((Comparator<Object>) set.comparator());
            default -> {
                Object made = byConstructor(original);
                yield made != null
                        ? (Collection<@Nullable Object>) made
                        : original instanceof Set ? new LinkedHashSet<>() : new ArrayList<>();
            }
        };
    }

    private Object map(Map<?, ?> original) throws ReflectiveOperationException {
        Map<@Nullable Object, @Nullable Object> copy = emptyMap(original);
        announce.accept(original, copy);
        for (Map.Entry<?, ?> entry : original.entrySet()) {
            copy.put(map.apply(entry.getKey()), map.apply(entry.getValue()));
        }
        return copy;
    }

    @SuppressWarnings("unchecked") // an empty one takes any element
    private static Map<@Nullable Object, @Nullable Object> emptyMap(Map<?, ?> original)
            throws ReflectiveOperationException {
        if (isChangeable(original)) {
            var clone = (Map<@Nullable Object, @Nullable Object>) clone(original);
            clone.clear();
            return clone;
        }
        if (original instanceof SortedMap<?, ?> sorted) {
            return new TreeMap<>((Comparator<Object>) sorted.comparator());
        }
        Object made = byConstructor(original);
        return made != null
                ? (Map<@Nullable Object, @Nullable Object>) made
                : new LinkedHashMap<>();
    }

    /** Java's own collections have a public clone, whose class may be theirs or a user's. */
    private static Object clone(Object original) throws ReflectiveOperationException {
        return original.getClass().getMethod("clone").invoke(original);
    }

    /** An empty one of a public class with such a constructor; {@code null} for others. */
    private static @Nullable Object byConstructor(Object original)
            throws ReflectiveOperationException {
        Class<?> type = original.getClass();
        if (!Contents.isOfJava(type)) {
            throw new UncopyableException(
                    "holds a collection of a class of its own, "
                            + type.getName()
                            + "; let that be Cloneable.");
        }
        if (!Modifier.isPublic(type.getModifiers())) {
            return null;
        }
        for (Constructor<?> constructor : type.getConstructors()) {
            if (constructor.getParameterCount() == 0) {
                return constructor.newInstance();
            }
        }
        return null;
    }

    private Object array(@Nullable Object[] array) {
        @Nullable Object[] copy =
                (@Nullable Object[])
                        Array.newInstance(array.getClass().getComponentType(), array.length);
        announce.accept(array, copy);
        for (int i = 0; i < array.length; i++) {
            copy[i] = map.apply(array[i]);
        }
        return copy;
    }

    private Object group(Record group) throws ReflectiveOperationException {
        RecordComponent[] components = group.getClass().getRecordComponents();
        Class<?>[] types = new Class<?>[components.length];
        @Nullable Object[] values = new @Nullable Object[components.length];
        for (int i = 0; i < components.length; i++) {
            Method accessor = components[i].getAccessor();
            accessor.setAccessible(true);
            types[i] = components[i].getType();
            values[i] = map.apply(accessor.invoke(group));
        }
        Constructor<?> constructor = group.getClass().getDeclaredConstructor(types);
        constructor.setAccessible(true);
        return constructor.newInstance(values);
    }

    /** An object of a class of the user's own, made without its constructor. */
    private Object object(Object original) throws ReflectiveOperationException {
        Class<?> type = original.getClass();
        Object copy = allocate(type);
        announce.accept(original, copy);
        for (@Nullable Class<?> part = type; part != null; part = part.getSuperclass()) {
            if (part != Object.class && Contents.isOfJava(part)) {
                throw new UncopyableException(
                        "holds a "
                                + type.getName()
                                + ", which extends Java's "
                                + part.getName()
                                + "; make it a record or a Module.");
            }
            for (Field field : part.getDeclaredFields()) {
                if (!Modifier.isStatic(field.getModifiers())) {
                    field.setAccessible(true);
                    Object value = field.get(original);
                    field.set(copy, field.getType().isPrimitive() ? value : map.apply(value));
                }
            }
        }
        return copy;
    }

    /**
     * As reading a serialized object does, which is the one way to an object whose constructor is
     * unknown; the class is part of every JDK, but compilers warn of its name.
     */
    private static Object allocate(Class<?> type) throws ReflectiveOperationException {
        Class<?> factory = Class.forName("sun.reflect.ReflectionFactory");
        Object constructor =
                factory.getMethod("newConstructorForSerialization", Class.class, Constructor.class)
                        .invoke(
                                factory.getMethod("getReflectionFactory").invoke(null),
                                type,
                                Object.class.getDeclaredConstructor());
        return ((Constructor<?>) constructor).newInstance();
    }
}

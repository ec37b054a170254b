package io.espalier.nn;

import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.lang.reflect.Array;
import java.lang.reflect.Constructor;
import java.lang.reflect.Field;
import java.lang.reflect.InaccessibleObjectException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.RecordComponent;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.UnaryOperator;

/**
 * Copies a module tree of any classes: each module is cloned, and whatever its fields hold of the
 * tree (a child, a registered tensor, a list, map, array, record or optional of these) is mapped to
 * the copy's, so the copy's code runs the copy.
 */
@SuppressWarnings("ReferenceEquality") // whether an object was mapped is a question of identity
final class ModuleCopier {
    private final UnaryOperator<Tensor> copyTensor;
    private final IdentityHashMap<Module, Module> modules = new IdentityHashMap<>();
    private final IdentityHashMap<Tensor, Tensor> tensors = new IdentityHashMap<>();

    ModuleCopier(UnaryOperator<Tensor> copyTensor) {
        this.copyTensor = copyTensor;
    }

    Module copy(Module original) {
        Module known = modules.get(original);
        if (known != null) {
            return known;
        }
        Module clone = original.shallow();
        modules.put(original, clone);
        clone.remap(this::copy, this::copy);
        for (Class<?> type = clone.getClass(); type != Module.class; type = type.getSuperclass()) {
            for (Field field : type.getDeclaredFields()) {
                if (!Modifier.isStatic(field.getModifiers()) && !field.getType().isPrimitive()) {
                    remap(clone, field);
                }
            }
        }
        return clone;
    }

    private Tensor copy(Tensor original) {
        return tensors.computeIfAbsent(original, copyTensor);
    }

    private void remap(Module clone, Field field) {
        try {
            if (!Module.class.isAssignableFrom(field.getType()) && isPlain(field.getType())) {
                return;
            }
            field.setAccessible(true);
            Object value = field.get(clone);
            Object mapped = map(value);
            if (mapped != value) {
                requireFits(clone, field, mapped);
                field.set(clone, mapped);
            }
        } catch (IllegalAccessException | InaccessibleObjectException e) {
            throw new EspalierException(
                    "Can't copy "
                            + clone.getClass().getName()
                            + ": its field '"
                            + field.getName()
                            + "' is closed to reflection; open its package to io.espalier.nn.",
                    e);
        }
    }

    private static void requireFits(Module clone, Field field, @Nullable Object mapped) {
        if (!field.getType().isInstance(mapped)) {
            throw new EspalierException(
                    "Can't copy "
                            + clone.getClass().getName()
                            + ": its field '"
                            + field.getName()
                            + "' is a "
                            + field.getType().getSimpleName()
                            + "; declare it as List or Map.");
        }
    }

    /** Types that can hold nothing of the tree. */
    private static boolean isPlain(Class<?> type) {
        return type == String.class
                || type.isEnum()
                || Number.class.isAssignableFrom(type)
                || (type.isArray() && type.getComponentType().isPrimitive());
    }

    private @Nullable Object map(@Nullable Object value) {
        return switch (value) {
            case Module module -> copy(module);
            case Tensor tensor -> tensors.getOrDefault(tensor, tensor);
            case List<?> list -> mapList(list);
            case Map<?, ?> map -> mapMap(map);
            case Object[] array -> mapArray(array);
            case Optional<?> optional -> mapOptional(optional);
            case Record group -> mapRecord(group);
            case null, default -> value;
        };
    }

    /** A list of its own where the copy may change it or where an element was mapped. */
    private Object mapList(List<?> list) {
        List<@Nullable Object> mapped = new ArrayList<>();
        boolean changed = list instanceof ArrayList;
        for (Object element : list) {
            Object copy = map(element);
            changed |= copy != element;
            mapped.add(copy);
        }
        return changed ? mapped : list;
    }

    private Object mapMap(Map<?, ?> map) {
        Map<Object, @Nullable Object> mapped = new LinkedHashMap<>();
        boolean changed = map instanceof HashMap;
        for (Map.Entry<?, ?> entry : map.entrySet()) {
            Object copy = map(entry.getValue());
            changed |= copy != entry.getValue();
            mapped.put(entry.getKey(), copy);
        }
        return changed ? mapped : map;
    }

    private Object mapArray(@Nullable Object[] array) {
        @Nullable Object[] mapped =
                (@Nullable Object[])
                        Array.newInstance(array.getClass().getComponentType(), array.length);
        boolean changed = false;
        for (int i = 0; i < array.length; i++) {
            mapped[i] = map(array[i]);
            changed |= mapped[i] != array[i];
        }
        return changed ? mapped : array;
    }

    private Object mapOptional(Optional<?> optional) {
        Object element = optional.orElse(null);
        Object mapped = map(element);
        return mapped == element ? optional : Optional.ofNullable(mapped);
    }

    private Object mapRecord(Record group) {
        RecordComponent[] components = group.getClass().getRecordComponents();
        Class<?>[] types = new Class<?>[components.length];
        @Nullable Object[] mapped = new @Nullable Object[components.length];
        boolean changed = false;
        try {
            for (int i = 0; i < components.length; i++) {
                Method accessor = components[i].getAccessor();
                accessor.setAccessible(true);
                Object element = accessor.invoke(group);
                types[i] = components[i].getType();
                mapped[i] = map(element);
                changed |= mapped[i] != element;
            }
            if (!changed) {
                return group;
            }
            Constructor<?> constructor = group.getClass().getDeclaredConstructor(types);
            constructor.setAccessible(true);
            return constructor.newInstance(mapped);
        } catch (ReflectiveOperationException | InaccessibleObjectException e) {
            throw new EspalierException(
                    "Can't copy a module that holds a "
                            + group.getClass().getName()
                            + "; open its package to io.espalier.nn.",
                    e);
        }
    }
}

package io.espalier.nn;

import org.bytedeco.pytorch.Tensor;

import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** Whether a subclass of a layer changes what the layer does. */
final class Overrides {
    /** What a subclass may say otherwise and still be the layer. */
    private static final Set<String> PRINTING = Set.of("typeName", "extraRepr");

    private static final ClassValue<Map<Class<?>, Boolean>> KNOWN = answers();
    private static final ClassValue<Map<Class<?>, Boolean>> FORWARD = answers();

    private Overrides() {}

    private static ClassValue<Map<Class<?>, Boolean>> answers() {
        return new ClassValue<>() {
            @Override
            protected Map<Class<?>, Boolean> computeValue(Class<?> type) {
                return new ConcurrentHashMap<>();
            }
        };
    }

    /** Whether a class is a layer's, or a subclass that overrides nothing but its printing. */
    static boolean computesAs(Class<?> type, Class<?> layer) {
        return KNOWN.get(type)
                .computeIfAbsent(layer, of -> of.isAssignableFrom(type) && !changes(type, of));
    }

    /** Whether a subclass of a layer overrides {@code forward}, and leaves {@code forwardAll}. */
    static boolean forwardAlone(Class<?> type, Class<?> layer) {
        return type != layer
                && FORWARD.get(type).computeIfAbsent(layer, of -> ownForward(type, of));
    }

    private static boolean ownForward(Class<?> type, Class<?> layer) {
        boolean forward = false;
        for (Class<?> below = type; below != layer; below = below.getSuperclass()) {
            if (declares(below, "forwardAll", List.class)) {
                return false;
            }
            forward |= declares(below, "forward", Tensor.class);
        }
        return forward;
    }

    private static boolean declares(Class<?> type, String name, Class<?> parameter) {
        return Arrays.stream(type.getDeclaredMethods())
                .anyMatch(method ->
                        method.getName().equals(name)
                                && Arrays.equals(
                                        method.getParameterTypes(), new Class<?>[] {parameter}));
    }

    private static boolean changes(Class<?> type, Class<?> layer) {
        for (Class<?> below = type; below != layer; below = below.getSuperclass()) {
            for (Method method : below.getDeclaredMethods()) {
                if (!Modifier.isStatic(method.getModifiers())
                        && !method.isSynthetic()
                        && !PRINTING.contains(method.getName())
                        && isInherited(method, layer)) {
                    return true;
                }
            }
        }
        return false;
    }

    private static boolean isInherited(Method method, Class<?> layer) {
        for (Class<?> above = layer; above != null; above = above.getSuperclass()) {
            for (Method inherited : above.getDeclaredMethods()) {
                if (inherited.getName().equals(method.getName())
                        && !Modifier.isPrivate(inherited.getModifiers())
                        && Arrays.equals(
                                inherited.getParameterTypes(), method.getParameterTypes())) {
                    return true;
                }
            }
        }
        return false;
    }
}

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

    private static final ClassValue<Map<Class<?>, Boolean>> KNOWN =
            new ClassValue<>() {
                @Override
                protected Map<Class<?>, Boolean> computeValue(Class<?> type) {
                    return new ConcurrentHashMap<>();
                }
            };

    private static final ClassValue<Boolean> FORWARD_ALONE =
            new ClassValue<>() {
                @Override
                protected Boolean computeValue(Class<?> type) {
                    Class<?> all = declaring(type, "forwardAll", List.class);
                    Class<?> one = declaring(type, "forward", Tensor.class);
                    return Arrays.asList(all.getInterfaces()).contains(AllAtOnce.class)
                            && all != one
                            && all.isAssignableFrom(one);
                }
            };

    private Overrides() {}

    /** Whether a class is a layer's, or a subclass that overrides nothing but its printing. */
    static boolean computesAs(Class<?> type, Class<?> layer) {
        return KNOWN.get(type)
                .computeIfAbsent(layer, of -> of.isAssignableFrom(type) && !changes(type, of));
    }

    /**
     * Whether a class overrides {@code forward} below one of {@link AllAtOnce}, and not {@code
     * forwardAll}.
     */
    static boolean forwardAlone(Class<?> type) {
        return FORWARD_ALONE.get(type);
    }

    /** The class that a class has a method from. */
    private static Class<?> declaring(Class<?> type, String name, Class<?> parameter) {
        try {
            return type.getDeclaredMethod(name, parameter).getDeclaringClass();
        } catch (NoSuchMethodException e) {
            return declaring(type.getSuperclass(), name, parameter);
        }
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

package io.espalier.quant.layer;

import io.espalier.nn.Module;
import io.espalier.nn.MultiheadAttention;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** The kinds of layers that quantization knows. */
public final class LayerKinds {
    /** A module of which nothing is known: it stays in float. */
    private static final LayerKind OTHER = () -> Module.class;

    /** It computes by itself, in floats, beside the last layer that it holds. */
    private static final LayerKind ATTENTION = () -> MultiheadAttention.class;

    private static final Map<Class<?>, LayerKind> BY_CLASS = byClass();

    private LayerKinds() {}

    /** All kinds, layers with weights first. */
    private static Stream<LayerKind> catalogue() {
        return Stream.of(
                        WeightedKind.ALL,
                        RecurrentKind.ALL,
                        TableKind.ALL,
                        OperationKind.ALL,
                        PassingKind.ALL,
                        FusedKind.ALL,
                        StubKind.ALL,
                        List.of(ATTENTION))
                .flatMap(List::stream);
    }

    private static Map<Class<?>, LayerKind> byClass() {
        return catalogue()
                .filter(kind -> kind.type() != Stub.class)
                .collect(Collectors.toUnmodifiableMap(LayerKind::type, kind -> kind));
    }

    /** The kind of a module. */
    public static LayerKind of(Module module) {
        return module instanceof Stub stub ? StubKind.of(stub) : of(module.getClass());
    }

    /** The kind of the modules of a class, not of its subclasses. */
    public static LayerKind of(Class<?> type) {
        return BY_CLASS.getOrDefault(type, OTHER);
    }

    /** All kinds in the order of the catalogue. */
    public static List<LayerKind> all() {
        return catalogue().toList();
    }

    /** The known layer that a module's class is or extends, if it does. */
    public static Optional<Class<?>> extended(Module module) {
        for (Class<?> type = module.getClass(); type != Module.class; type = type.getSuperclass()) {
            if (BY_CLASS.containsKey(type)) {
                return Optional.of(type);
            }
        }
        return Optional.empty();
    }

    /** How all saved forms are read again, by name. */
    static Map<String, LayerKind.Reader> forms() {
        var forms = new LinkedHashMap<String, LayerKind.Reader>();
        catalogue().forEach(kind -> forms.putAll(kind.forms()));
        return forms;
    }
}

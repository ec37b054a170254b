package io.espalier.slim;

import io.espalier.nn.Module;
import io.espalier.nn.Parametrization;
import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * The parameters and buffers of a model by name: the dotted path of the first module that holds
 * one, and its name there before any mask. One that several modules hold is there once.
 */
final class ModelTensors {
    private static final int LISTED = 12;

    private final Module model;
    private final SequencedMap<String, Held> byName = new LinkedHashMap<>();
    private final Map<Long, String> names = new HashMap<>();
    private final Map<String, Integer> held = new HashMap<>();

    /**
     * A parameter or buffer.
     *
     * @param owner the first module that holds it
     * @param name its public name there
     * @param tensor it, as it is stored
     * @param alike what the owner keeps for each of its elements, such as a mask
     */
    record Held(Module owner, String name, Tensor tensor, List<Tensor> alike) {}

    ModelTensors(Module model) {
        this.model = model;
        model.namedModules().forEach(this::note);
    }

    private void note(String path, Module module) {
        Map<String, String> publicNames = new HashMap<>();
        for (String name : module.parametrizedNames()) {
            publicNames.put(module.storedName(name), name);
        }
        Set<Tensor> kept = Collections.newSetFromMap(new IdentityHashMap<>());
        module.ownParameters()
                .forEach((stored, tensor) -> {
                    String name = publicNames.getOrDefault(stored, stored);
                    List<Tensor> alike = new ArrayList<>();
                    for (Parametrization passed : module.parametrizations(name)) {
                        passed.buffers().forEach(buffer -> alike.add(module.buffer(buffer)));
                    }
                    kept.addAll(alike);
                    note(path, new Held(module, name, tensor, alike));
                });
        module.ownBuffers()
                .forEach((name, tensor) -> {
                    if (!kept.contains(tensor)) {
                        note(path, new Held(module, name, tensor, List.of()));
                    }
                });
    }

    private void note(String path, Held held) {
        String name = path.isEmpty() ? held.name() : path + "." + held.name();
        String first = names.putIfAbsent(address(held.tensor()), name);
        if (first == null) {
            byName.put(name, held);
        }
        this.held.merge(first == null ? name : first, 1, Integer::sum);
    }

    private static long address(Tensor tensor) {
        return tensor.unsafeGetTensorImpl().address();
    }

    /**
     * The name of what a module holds under a name, be it public or that of a stored parameter;
     * null if the module holds nothing of the kind.
     */
    @Nullable String name(String path, String name) {
        Module module = model.module(path);
        Tensor tensor =
                module.hasParameter(name)
                        ? module.parameter(
                                module.ownParameters().containsKey(name)
                                        ? name
                                        : module.storedName(name))
                        : module.hasBuffer(name) ? module.buffer(name) : null;
        return tensor == null ? null : names.get(address(tensor));
    }

    /** At how many places modules hold a tensor. */
    int holders(String name) {
        return held.getOrDefault(name, 0);
    }

    /**
     * What has a name.
     *
     * @throws EspalierException if nothing has
     */
    Held held(String name) {
        Held held = byName.get(name);
        if (held == null) {
            throw new EspalierException(
                    "The model has no parameter or buffer '%s'; it has: %s."
                            .formatted(name, names()));
        }
        return held;
    }

    private String names() {
        int more = byName.size() - LISTED;
        return byName.keySet().stream().limit(LISTED).collect(Collectors.joining(", "))
                + (more > 0 ? " and " + more + " more" : "");
    }

    /** All. */
    SequencedMap<String, Held> all() {
        return byName;
    }

    /** The names of all that a module and those below it hold. */
    List<String> below(String path) {
        List<String> all = new ArrayList<>();
        model.module(path)
                .namedModules()
                .forEach((inner, module) -> {
                    String full =
                            path.isEmpty() || inner.isEmpty() ? path + inner : path + "." + inner;
                    for (Map<String, Tensor> own :
                            List.of(module.ownParameters(), module.ownBuffers())) {
                        own.keySet()
                                .forEach(name -> {
                                    String known = name(full, name);
                                    if (known != null) {
                                        all.add(known);
                                    }
                                });
                    }
                });
        return all;
    }
}

package io.espalier.graph;

import io.espalier.nn.Module;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** The tensors that a model holds, where each stands, and whether they are as they were. */
final class ModelState {
    private final Map<Long, Place> places = new HashMap<>();
    private final Map<Long, Long> versions = new HashMap<>();
    private final Map<String, Tensor> constants = new LinkedHashMap<>();
    private final Map<Long, Tensor> offered = new HashMap<>();
    private final Module root;

    /**
     * Where a tensor stands.
     *
     * @param owner the path of its module
     * @param name its name there
     */
    record Place(String owner, String name) {}

    /**
     * @param constants what the model holds besides its parameters and buffers
     */
    ModelState(Module root, List<Tensor> constants) {
        this.root = root;
        root.namedModules()
                .forEach((path, module) -> {
                    module.ownParameters().forEach((name, t) -> note(t, new Place(path, name)));
                    module.ownBuffers().forEach((name, t) -> note(t, new Place(path, name)));
                });
        constants.forEach(tensor -> offered.put(address(tensor), tensor));
    }

    private void note(Tensor tensor, Place place) {
        places.putIfAbsent(address(tensor), place);
        versions.put(address(tensor), KnownTensors.version(tensor));
    }

    private static long address(Tensor tensor) {
        return tensor.unsafeGetTensorImpl().address();
    }

    /** Where a tensor stands, if the model holds it; a constant is the program's own. */
    @Nullable Place place(Tensor tensor) {
        Place place = places.get(address(tensor));
        if (place == null && offered.containsKey(address(tensor))) {
            String name = free("constant");
            constants.put(name, tensor);
            place = new Place("", name);
            note(tensor, place);
        }
        return place;
    }

    private String free(String wanted) {
        String name = wanted;
        for (int i = 1;
                constants.containsKey(name)
                        || root.namedChildren().containsKey(name)
                        || root.hasParameter(name)
                        || root.hasBuffer(name);
                i++) {
            name = wanted + "_" + i;
        }
        return name;
    }

    Map<String, Tensor> constants() {
        return constants;
    }

    /** The name of a tensor in or below a module that its run has changed. */
    Optional<String> changed(Module module) {
        for (Map.Entry<String, Module> part : module.namedModules().entrySet()) {
            for (Map<String, Tensor> own :
                    List.of(part.getValue().ownParameters(), part.getValue().ownBuffers())) {
                for (Map.Entry<String, Tensor> tensor : own.entrySet()) {
                    Long before = versions.get(address(tensor.getValue()));
                    if (before == null || before != KnownTensors.version(tensor.getValue())) {
                        return Optional.of(
                                part.getKey().isEmpty()
                                        ? tensor.getKey()
                                        : part.getKey() + "." + tensor.getKey());
                    }
                }
            }
        }
        return Optional.empty();
    }

    /** Takes the tensors of a module as they are now: it is a node, and may change them. */
    void accept(Module module) {
        module.namedModules()
                .forEach((path, part) -> {
                    part.ownParameters().values().forEach(this::accept);
                    part.ownBuffers().values().forEach(this::accept);
                });
    }

    private void accept(Tensor tensor) {
        versions.put(address(tensor), KnownTensors.version(tensor));
    }
}

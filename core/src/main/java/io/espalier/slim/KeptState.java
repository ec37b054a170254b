package io.espalier.slim;

import io.espalier.nn.Module;
import io.espalier.nn.StateBeside;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * What calls change in a model: the buffers of observers, roundings and normalizations, and all
 * others, and observers that a first call adds. When closed, it is as it was.
 */
final class KeptState implements AutoCloseable {
    private final List<Kept> buffers = new ArrayList<>();
    private final Map<Module, Set<String>> children = new LinkedHashMap<>();
    private final List<Runnable> beside = new ArrayList<>();

    /** A buffer and what it held. */
    private record Kept(Module owner, String name, Tensor buffer, Tensor held) {
        void putBack() {
            if (!owner.buffer(name).is_same(buffer)) {
                owner.setBuffer(name, buffer);
            }
            if (!Arrays.equals(Tensors.shape(buffer), Tensors.shape(held))) {
                buffer.set_data(held);
            } else if (!buffer.equal(held)) {
                buffer.copy_(held);
            }
        }
    }

    KeptState(Module model) {
        try (var noGrad = new NoGradGuard()) {
            for (Module module : new LinkedHashSet<>(model.namedModules().values())) {
                children.put(module, Set.copyOf(module.namedChildren().keySet()));
                module.ownBuffers()
                        .forEach((name, buffer) -> {
                            Tensor held = Tensors.keep(buffer.detach().clone());
                            buffers.add(new Kept(module, name, buffer, held));
                        });
                if (module instanceof StateBeside more) {
                    beside.add(more.keepState());
                }
            }
        }
    }

    @Override
    public void close() {
        try (var noGrad = new NoGradGuard()) {
            buffers.forEach(Kept::putBack);
        }
        buffers.forEach(kept -> kept.held().releaseReference());
        beside.forEach(Runnable::run);
        children.forEach((module, before) ->
                module.namedChildren().keySet().stream()
                        .filter(name -> !before.contains(name))
                        .toList()
                        .forEach(module::removeChild));
    }
}

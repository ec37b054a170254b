package io.espalier.slim;

import io.espalier.nn.Hook;
import io.espalier.nn.Module;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * Batches on their way through a model and the one that it came from, no further than the last of
 * some layers that are looked at.
 */
final class LayerPass {
    private final Module model;
    private final Module reference;
    private final Iterable<Tensor> batches;

    /** Ends a call where nothing after it is needed. */
    private static final class Enough extends RuntimeException {
        private static final long serialVersionUID = 1L;

        Enough() {
            super(null, null, false, false);
        }
    }

    /**
     * Prepares.
     *
     * @param reference the model as it came in
     */
    LayerPass(Module model, Module reference, Iterable<Tensor> batches) {
        this.model = model;
        this.reference = reference;
        this.batches = batches;
    }

    /** Lets layers take in what they are given now and what they gave. */
    void take(List<WeighedLayer> layers) {
        Map<WeighedLayer, Tensor> given = new HashMap<>();
        Map<WeighedLayer, Tensor> wanted = new HashMap<>();
        List<Hook.Registration> hooks = new ArrayList<>();
        try {
            for (WeighedLayer layer : layers) {
                hooks.add(layer.layer().onInput(watching(layer, given, layers.size())));
                Module before = reference.module(layer.path());
                hooks.add(before.onOutput(watching(layer, wanted, layers.size())));
            }
            for (Tensor batch : batches) {
                try (var scope = new PointerScope();
                        var noGrad = new NoGradGuard()) {
                    call(model, batch);
                    call(reference, batch);
                    layers.forEach(layer -> layer.add(of(layer, given), of(layer, wanted)));
                    given.clear();
                    wanted.clear();
                }
            }
        } finally {
            hooks.forEach(Hook.Registration::close);
        }
    }

    private static Hook watching(WeighedLayer layer, Map<WeighedLayer, Tensor> seen, int all) {
        return (module, tensors) -> {
            seen.put(layer, tensors.getFirst().detach());
            if (seen.size() == all) {
                throw new Enough();
            }
            return tensors;
        };
    }

    private static Tensor of(WeighedLayer layer, Map<WeighedLayer, Tensor> seen) {
        return Objects.requireNonNull(seen.get(layer), layer.path());
    }

    private static void call(Module model, Tensor batch) {
        try {
            model.call(batch);
        } catch (Enough e) {
            // What comes after it is not needed.
            return;
        }
    }
}

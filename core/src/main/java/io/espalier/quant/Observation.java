package io.espalier.quant;

import io.espalier.nn.Module;
import io.espalier.nn.WatchingHook;
import io.espalier.quant.observer.Observer;
import io.espalier.quant.observer.ObserverFactory;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.lang.ref.ReferenceQueue;
import java.lang.ref.WeakReference;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.WeakHashMap;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The hooks of a prepared model. A layer's output goes through its observer; its input through one
 * of its own only where it comes as floats that nobody observed, as at the entry of a model without
 * stubs: there the converted layer will have to quantize by itself.
 *
 * <p>Whether a tensor was observed is known of the tensor object itself, for as long as somebody
 * holds it: a model may keep as many as it likes, hand them from thread to thread, and be called in
 * parts. (A graph would say the same of models that can be traced; calibration is of all.)
 */
final class Observation {
    private final Set<Observed> observed = ConcurrentHashMap.newKeySet();
    private final ReferenceQueue<Tensor> gone = new ReferenceQueue<>();
    private final ThreadLocal<Map<Module, Boolean>> passing =
            ThreadLocal.withInitial(WeakHashMap::new);
    private final ThreadLocal<Map<Module, Observer>> unsettled =
            ThreadLocal.withInitial(WeakHashMap::new);

    /** A tensor object, equal to itself and to no other, that is not kept from being collected. */
    private static final class Observed extends WeakReference<Tensor> {
        private final int hash;

        Observed(Tensor tensor, @Nullable ReferenceQueue<Tensor> queue) {
            super(tensor, queue);
            hash = System.identityHashCode(tensor);
        }

        @Override
        public int hashCode() {
            return hash;
        }

        @Override
        public boolean equals(@Nullable Object other) {
            @Nullable Tensor own = get();
            return this == other
                    || (own != null && other instanceof Observed that && that.refersTo(own));
        }
    }

    /** What {@link Module#removeHooks} finds them by. */
    interface ObservingHook extends QuantizationHook, WatchingHook {}

    /**
     * Shows a module's first output to the observer below it.
     *
     * @param counts whether it is observed from then on, since the converted module gives integers
     */
    ObservingHook output(boolean counts) {
        return (module, tensors) -> {
            Tensor seen = module.module(Observer.OUTPUT).call(tensors.getFirst());
            if (counts) {
                remember(seen);
            }
            return withFirst(seen, tensors);
        };
    }

    /** Remembers the result of a module that observes by itself. */
    ObservingHook alreadyObserved() {
        return (module, tensors) -> {
            remember(tensors.getFirst());
            return tensors;
        };
    }

    /** Lets an observer of its own see a layer's input if no other saw it. */
    void observeInput(Module layer, ObserverFactory factory) {
        layer.onInput(input(factory));
        layer.onOutput(settling());
    }

    /** Makes the observer where a layer has none; a call that fails must not leave it there. */
    private ObservingHook input(ObserverFactory factory) {
        return (module, tensors) -> {
            unsettled.get().remove(module);
            Tensor first = tensors.getFirst();
            if (isObserved(first)) {
                return tensors;
            }
            Module known = module.namedChildren().get(Observer.INPUT);
            if (known != null) {
                return withFirst(known.call(first), tensors);
            }
            Observer made = factory.made();
            Tensor seen = made.call(first);
            unsettled.get().put(module, made);
            return withFirst(seen, tensors);
        };
    }

    /** Gives a layer that computed the observer that was made for the call's input. */
    private ObservingHook settling() {
        return (module, tensors) -> {
            Observer made = unsettled.get().remove(module);
            if (made != null) {
                settle(module, made);
            }
            return tensors;
        };
    }

    private static void settle(Module module, Observer made) {
        synchronized (module) {
            if (module.namedChildren().get(Observer.INPUT) instanceof Observer other) {
                other.merge(made); // another thread was here first
            } else {
                module.add(Observer.INPUT, made);
            }
        }
    }

    /** Hands floats to a module that computes in floats, of which nothing is known inside. */
    ObservingHook intoFloats() {
        return (module, tensors) -> tensors.stream().map(Tensor::new).toList();
    }

    /** Notes whether the input of a layer that keeps the scale was observed. */
    ObservingHook entering() {
        return (module, tensors) -> {
            passing.get().put(module, isObserved(tensors.getFirst()));
            return tensors;
        };
    }

    /** Counts the output of such a layer as observed if its input was. */
    ObservingHook leaving() {
        return (module, tensors) -> {
            if (passing.get().getOrDefault(module, false)) {
                remember(tensors.getFirst());
            }
            return tensors;
        };
    }

    private static List<Tensor> withFirst(Tensor first, List<Tensor> tensors) {
        List<Tensor> all = new ArrayList<>(tensors);
        all.set(0, first);
        return all;
    }

    private void remember(Tensor tensor) {
        for (var old = gone.poll(); old != null; old = gone.poll()) {
            observed.remove(old);
        }
        observed.add(new Observed(tensor, gone));
    }

    private boolean isObserved(Tensor tensor) {
        return observed.contains(new Observed(tensor, null));
    }
}

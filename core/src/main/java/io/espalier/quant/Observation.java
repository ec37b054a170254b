package io.espalier.quant;

import io.espalier.nn.Module;
import io.espalier.quant.observer.Observer;
import io.espalier.quant.observer.ObserverFactory;

import org.bytedeco.pytorch.Tensor;

import java.lang.ref.WeakReference;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.WeakHashMap;

/**
 * The hooks of a prepared model. A layer's output goes through its observer; its input through one
 * of its own only where it comes as floats that nobody observed, as at the entry of a model without
 * stubs: there the converted layer will have to quantize by itself.
 */
final class Observation {
    /**
     * So many of a thread's latest observed tensors are remembered: more than a model keeps open.
     */
    private static final int REMEMBERED = 256;

    private final ThreadLocal<Deque<WeakReference<Tensor>>> observed =
            ThreadLocal.withInitial(ArrayDeque::new);
    private final ThreadLocal<Map<Module, Boolean>> passing =
            ThreadLocal.withInitial(WeakHashMap::new);

    /** What {@link Module#removeHooks} finds them by. */
    interface ObservingHook extends QuantizationHook {}

    /** Shows a module's first output to the observer below it. */
    ObservingHook output() {
        return (module, tensors) -> {
            Tensor seen = module.module(Observer.OUTPUT).call(tensors.getFirst());
            remember(seen);
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

    /** Shows a layer's input to an observer of its own if no other saw it. */
    ObservingHook input(ObserverFactory factory) {
        return (module, tensors) -> {
            Tensor first = tensors.getFirst();
            if (isObserved(first)) {
                return tensors;
            }
            return withFirst(inputObserver(module, factory).call(first), tensors);
        };
    }

    private static Module inputObserver(Module module, ObserverFactory factory) {
        synchronized (module) {
            Module known = module.namedChildren().get(Observer.INPUT);
            return known == null ? module.add(Observer.INPUT, factory.make()) : known;
        }
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
        Deque<WeakReference<Tensor>> latest = observed.get();
        latest.addFirst(new WeakReference<>(tensor));
        if (latest.size() > REMEMBERED) {
            latest.removeLast();
        }
    }

    private boolean isObserved(Tensor tensor) {
        for (WeakReference<Tensor> one : observed.get()) {
            if (one.refersTo(tensor)) {
                return true;
            }
        }
        return false;
    }
}

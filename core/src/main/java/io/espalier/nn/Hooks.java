package io.espalier.nn;

import io.espalier.tensor.Needed;

import org.bytedeco.pytorch.Tensor;

import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.UnaryOperator;

/** The hooks on one side of a module, in the order in which they run. */
final class Hooks {
    private final List<Attached> all = new CopyOnWriteArrayList<>();

    /**
     * One hook.
     *
     * @param registered what a user registered, by which it is found
     * @param running what runs: the hook itself, or another around it
     */
    private record Attached(Hook registered, Hook running) {}

    List<Tensor> apply(Module module, List<Tensor> tensors) {
        List<Tensor> seen = tensors;
        for (Attached hook : all) {
            seen = Needed.all(hook.running.apply(module, seen), "the tensors that a hook gives");
        }
        return seen;
    }

    void add(Hook hook) {
        all.add(attached(hook));
    }

    void addFirst(Hook hook) {
        all.addFirst(attached(hook));
    }

    private static Attached attached(Hook hook) {
        return new Attached(Needed.of(hook, "a hook"), hook);
    }

    void addAll(Hooks other) {
        all.addAll(other.all);
    }

    /** Takes a hook off once, if it is there. */
    void remove(Hook hook) {
        for (Attached attached : all) {
            if (attached.registered.equals(hook)) {
                all.remove(attached);
                return;
            }
        }
    }

    void removeAll(Class<? extends Hook> type) {
        all.removeIf(hook -> type.isInstance(hook.registered));
    }

    boolean has(Class<? extends Hook> type) {
        return all.stream().anyMatch(hook -> type.isInstance(hook.registered));
    }

    boolean hasBeside(Class<? extends Hook> type) {
        return all.stream().anyMatch(hook -> !type.isInstance(hook.registered));
    }

    boolean isEmpty() {
        return all.isEmpty();
    }

    void wrap(UnaryOperator<Hook> wrap) {
        all.replaceAll(hook -> new Attached(hook.registered, wrap.apply(hook.running)));
    }
}

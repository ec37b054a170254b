package io.espalier.graph;

import io.espalier.nn.Module;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/**
 * The tensors of a run of a {@link Program} by slot, and which handles of them are its own, to be
 * closed when they are not needed any more. A closed handle gives up one reference: memory that
 * somebody else holds by another handle stays.
 */
final class Values {
    private final @Nullable Tensor[] handles;
    private final boolean[] own;
    private final RunScope scope;

    Values(int slots, RunScope scope) {
        this.handles = new @Nullable Tensor[slots];
        this.own = new boolean[slots];
        this.scope = scope;
    }

    /** The tensor of a slot, as long as that is not freed. */
    Tensor get(int slot) {
        return Objects.requireNonNull(handles[slot]);
    }

    Tensor[] of(int[] slots) {
        Tensor[] tensors = new Tensor[slots.length];
        for (int i = 0; i < tensors.length; i++) {
            tensors[i] = get(slots[i]);
        }
        return tensors;
    }

    /** Whether a slot's handle is nobody else's. */
    boolean owns(int slot) {
        return own[slot];
    }

    /** Puts in a tensor whose handle somebody else has too. */
    void lend(int slot, Tensor tensor) {
        handles[slot] = tensor;
    }

    /**
     * Puts in what library code gave, whose handles are nobody else's. Only what it was given may
     * come back as it is, or twice; then another handle is made.
     */
    @SuppressWarnings("ReferenceEquality") // the very same handle
    void own(int[] slots, List<Tensor> results, Tensor... given) {
        for (int i = 0; i < slots.length; i++) {
            Tensor result = results.get(i);
            boolean shared = false;
            for (Tensor input : given) {
                shared |= input == result;
            }
            for (int before = 0; before < i; before++) {
                shared |= results.get(before) == result;
            }
            handles[slots[i]] = shared ? new Tensor(result) : result;
            own[slots[i]] = true;
        }
    }

    /**
     * Runs a module that may keep what it is handed and what it gives: it gets handles that are not
     * closed, and those that it makes are left to it.
     */
    List<Tensor> lendTo(Module module, int[] slots) {
        return scope.aside(() -> {
            List<Tensor> tensors = new ArrayList<>();
            for (int slot : slots) {
                tensors.add(own[slot] ? new Tensor(get(slot)) : get(slot));
            }
            return module.callAll(tensors);
        });
    }

    void free(int[] slots) {
        for (int slot : slots) {
            Tensor handle = handles[slot];
            handles[slot] = null;
            if (handle != null && own[slot]) {
                handle.close();
            }
        }
    }

    /** The tensor of a slot for the caller; it outlives the run. */
    Tensor handOver(int slot) {
        return own[slot] ? Tensors.handOver(get(slot), scope.outer()) : get(slot);
    }
}

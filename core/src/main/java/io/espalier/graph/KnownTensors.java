package io.espalier.graph;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Which value of a program each tensor of a running model is, by the identity of libtorch's own
 * object, and whether the tensor is still as it was: libtorch counts the changes of each tensor's
 * memory.
 */
final class KnownTensors {
    private final Map<Long, Entry> entries = new HashMap<>();
    private final List<Change> log = new ArrayList<>();
    private final List<Tensor> strangers = new ArrayList<>();

    /**
     * A tensor.
     *
     * @param handle holds it, so that no later tensor gets its address
     * @param version how often it had been changed
     * @param order its place in the log
     */
    private record Entry(Value value, Tensor handle, long version, int order) {}

    /** What was known of an address before. */
    private record Change(long address, @Nullable Entry before) {}

    private static long address(Tensor tensor) {
        return tensor.unsafeGetTensorImpl().address();
    }

    static long version(Tensor tensor) {
        return tensor.is_inference() ? 0 : tensor._version();
    }

    void define(Tensor tensor, Value value) {
        if (!tensor.defined()) {
            return;
        }
        long address = address(tensor);
        log.add(new Change(address, entries.get(address)));
        entries.put(address, new Entry(value, new Tensor(tensor), version(tensor), log.size()));
    }

    /** A tensor that came from nowhere; it goes under a value for the rest of the run. */
    void stranger(Tensor tensor, Value value) {
        define(tensor, value);
        strangers.add(new Tensor(tensor));
    }

    List<Tensor> strangers() {
        return List.copyOf(strangers);
    }

    @Nullable Value value(Tensor tensor) {
        Entry entry = entries.get(address(tensor));
        return entry == null ? null : entry.value;
    }

    /** Whether a known tensor's elements were written to since it was defined. */
    boolean isChanged(Tensor tensor) {
        Entry entry = entries.get(address(tensor));
        return entry != null && entry.version != version(tensor);
    }

    /** A moment, for {@link #isSince} and {@link #forgetSince}. */
    int mark() {
        return log.size();
    }

    /** Whether a tensor was defined after a moment. */
    boolean isSince(Tensor tensor, int mark) {
        Entry entry = entries.get(address(tensor));
        return entry != null && entry.order > mark;
    }

    /** Takes back all definitions since a moment. */
    void forgetSince(int mark) {
        while (log.size() > mark) {
            Change change = log.removeLast();
            if (change.before == null) {
                entries.remove(change.address);
            } else {
                entries.put(change.address, change.before);
            }
        }
    }
}

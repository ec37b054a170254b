package io.espalier.tensor;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

import java.lang.management.GarbageCollectorMXBean;
import java.lang.management.ManagementFactory;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongSupplier;

/**
 * Bounds the memory of tensors that nobody frees. A tensor made outside a {@code PointerScope}
 * waits for the collector, which sees a few bytes of Java and none of the tensor's own, and so may
 * not come before the machine's memory is full. Whoever makes such tensors says how many bytes they
 * have; when they add up and the collector has not been there meanwhile, it is asked to come. What
 * somebody still holds is never touched.
 */
@Internal
public final class Leftovers {
    /** Half a gigabyte takes longer to compute than a collection of a small heap. */
    private static final long BUDGET = 1L << 29;

    /** Most elements are floats of 32 bits; an estimate will do. */
    private static final long BYTES_PER_ELEMENT = 4;

    private static final Leftovers OF_PROCESS =
            new Leftovers(BUDGET, Leftovers::collections, System::gc);

    private final long budget;
    private final LongSupplier collections;
    private final Runnable collect;
    private final AtomicLong made = new AtomicLong();
    private final AtomicLong seen;

    Leftovers(long budget, LongSupplier collections, Runnable collect) {
        this.budget = budget;
        this.collections = collections;
        this.collect = collect;
        seen = new AtomicLong(collections.getAsLong());
    }

    /** Takes note of tensors that were just made, unless a scope will free them. */
    public static void add(List<Tensor> fresh) {
        if (PointerScope.getInnerScope() == null) {
            long bytes = 0;
            for (Tensor tensor : fresh) {
                bytes += tensor.isNull() ? 0 : tensor.numel() * BYTES_PER_ELEMENT;
            }
            OF_PROCESS.add(bytes);
        }
    }

    /** Asks the collector to come now, where a whole model was let go of. */
    public static void collect() {
        OF_PROCESS.collect.run();
    }

    void add(long bytes) {
        long sum = made.addAndGet(bytes);
        if (sum < budget || !made.compareAndSet(sum, 0)) {
            return;
        }
        long now = collections.getAsLong();
        if (seen.getAndSet(now) == now) {
            collect.run();
            seen.set(collections.getAsLong());
        }
    }

    private static long collections() {
        return ManagementFactory.getGarbageCollectorMXBeans().stream()
                .mapToLong(GarbageCollectorMXBean::getCollectionCount)
                .sum();
    }
}

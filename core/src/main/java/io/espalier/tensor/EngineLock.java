package io.espalier.tensor;

import org.jspecify.annotations.Nullable;

import java.util.concurrent.locks.StampedLock;
import java.util.function.Supplier;

/**
 * Keeps apart those who change libtorch's current engine, one for the whole process, and the
 * kernels that look at it when they are called.
 *
 * <p>A kernel runs without taking anything; if the engine was changed meanwhile, it runs once more
 * while nobody may change it. So it costs two reads of a number where nobody packs.
 */
final class EngineLock {
    /** The one for libtorch's one engine. */
    static final EngineLock PROCESS = new EngineLock();

    private final StampedLock lock = new StampedLock();

    /** Who holds the lock alone, and may pack and call kernels without asking again. */
    private volatile @Nullable Thread changing;

    private EngineLock() {}

    /** Does what changes the engine; threads that do so take turns. */
    <T> T whileChanging(Supplier<T> work) {
        if (isMine()) {
            return work.get();
        }
        long stamp = lock.writeLock();
        changing = Thread.currentThread();
        try {
            return work.get();
        } finally {
            changing = null;
            lock.unlockWrite(stamp);
        }
    }

    /**
     * Does what looks at the engine, which stays the same meanwhile.
     *
     * @param kernel may be done twice, and must not come here again
     */
    <T> T whileSettled(Supplier<T> kernel) {
        long seen = lock.tryOptimisticRead();
        if (seen != 0) {
            try {
                T result = kernel.get();
                if (lock.validate(seen)) {
                    return result;
                }
            } catch (RuntimeException e) {
                if (lock.validate(seen)) {
                    throw e;
                }
            }
        }
        if (isMine()) {
            return kernel.get();
        }
        long stamp = lock.readLock();
        try {
            return kernel.get();
        } finally {
            lock.unlockRead(stamp);
        }
    }

    @SuppressWarnings("ReferenceEquality") // the very thread
    private boolean isMine() {
        return changing == Thread.currentThread();
    }
}

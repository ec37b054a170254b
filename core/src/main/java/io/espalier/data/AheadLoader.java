package io.espalier.data;

import io.espalier.tensor.EspalierException;

import java.lang.ref.Cleaner;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;

/**
 * Makes batches ahead on a thread of its own, as many as the queue holds. What goes wrong there
 * comes out where the batch is asked for.
 */
final class AheadLoader implements BatchSource {
    private static final Cleaner CLEANER = Cleaner.create();

    /** More batches at once would only fill the memory. */
    private static final int MOST_AHEAD = 1024;

    private final BlockingQueue<Loaded> queue;
    private final Cleaner.Cleanable stop;

    private sealed interface Loaded {
        record Made(Batch batch) implements Loaded {}

        record Failed(Throwable error) implements Loaded {}
    }

    AheadLoader(BatchSource source, int first, int end, int capacity) {
        queue = new ArrayBlockingQueue<>(Math.min(capacity, MOST_AHEAD));
        var worker = new Worker(source, first, end, queue);
        Thread thread = Thread.ofPlatform().daemon().name("espalier-loader").start(worker);
        // A loop left early, without closing, stops the thread too: it does not refer to us.
        stop = CLEANER.register(this, () -> worker.stop(thread));
    }

    @Override
    public Batch batch(int number) {
        try {
            return switch (queue.take()) {
                case Loaded.Made(Batch batch) -> batch;
                case Loaded.Failed(Throwable error) ->
                        throw error instanceof EspalierException ours
                                ? new EspalierException(String.valueOf(ours.getMessage()), ours)
                                : new EspalierException(
                                        "Loading batch " + number + ": " + error, error);
            };
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new EspalierException("Interrupted while waiting for batch " + number + ".", e);
        }
    }

    @Override
    public void close() {
        stop.clean();
    }

    /** The thread's work; it ends when all is made, at the first error, or when it is stopped. */
    private static final class Worker implements Runnable {
        private final BatchSource source;
        private final int first;
        private final int end;
        private final BlockingQueue<Loaded> queue;
        private volatile boolean stopped;

        Worker(BatchSource source, int first, int end, BlockingQueue<Loaded> queue) {
            this.source = source;
            this.first = first;
            this.end = end;
            this.queue = queue;
        }

        @Override
        public void run() {
            try {
                for (int number = first; number < end && !stopped; number++) {
                    Loaded loaded = load(number);
                    try {
                        queue.put(loaded);
                    } catch (InterruptedException e) {
                        free(loaded);
                        return;
                    }
                    if (loaded instanceof Loaded.Failed) {
                        return;
                    }
                }
            } finally {
                if (stopped) {
                    freeQueue();
                }
            }
        }

        private Loaded load(int number) {
            try {
                return new Loaded.Made(source.batch(number));
            } catch (Throwable e) { // the consumer throws it on, whatever it is
                return new Loaded.Failed(e);
            }
        }

        void stop(Thread thread) {
            stopped = true;
            thread.interrupt();
            freeQueue();
        }

        private void freeQueue() {
            for (Loaded loaded = queue.poll(); loaded != null; loaded = queue.poll()) {
                free(loaded);
            }
        }

        private static void free(Loaded loaded) {
            if (loaded instanceof Loaded.Made(Batch batch)) {
                batch.free();
            }
        }
    }
}

package io.espalier.data;

import org.jspecify.annotations.Nullable;

import java.util.Iterator;
import java.util.NoSuchElementException;

/**
 * The batches of one epoch, in order. Asking for the next one frees the one before; after an error
 * there is none.
 *
 * <p>Whoever leaves before the end closes it, so that the loading stops at once.
 */
public final class Batches implements Iterator<Batch>, AutoCloseable {
    private final BatchSource source;
    private final int end;
    private int next;
    private @Nullable Batch current;

    Batches(BatchSource source, int first, int end, int ahead) {
        this.source =
                ahead == 0 || first == end ? source : new AheadLoader(source, first, end, ahead);
        this.next = first;
        this.end = end;
    }

    @Override
    public boolean hasNext() {
        if (next >= end) {
            close();
            return false;
        }
        return true;
    }

    @Override
    public Batch next() {
        if (next >= end) {
            throw new NoSuchElementException("The epoch has no further batch.");
        }
        freeCurrent();
        try {
            Batch batch = source.batch(next++);
            current = batch;
            return batch;
        } catch (RuntimeException e) {
            close();
            throw e;
        }
    }

    /** Stops the loading and frees what was loaded; there is no next batch then. */
    @Override
    public void close() {
        next = end;
        source.close();
        freeCurrent();
    }

    private void freeCurrent() {
        Batch batch = current;
        current = null;
        if (batch != null) {
            batch.free();
        }
    }
}

package io.espalier.tensor;

import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.ArchiveWriter;
import org.bytedeco.pytorch.InputArchive;
import org.bytedeco.pytorch.OutputArchive;

/**
 * Turns an archive to write into one to read, in native memory.
 *
 * <p>There is one for all, used in turn: the binding has room for ten such callbacks at a time, and
 * with an eleventh it would jump to nowhere.
 */
final class ArchiveMemory extends ArchiveWriter {
    private static final long FIRST = 1L << 16;
    private static final ArchiveMemory ONLY = new ArchiveMemory();

    static {
        ONLY.retainReference();
    }

    private BytePointer bytes = new BytePointer();
    private long size;

    private ArchiveMemory() {}

    /** What was written, as libtorch reads it. */
    static InputArchive parsed(OutputArchive written) {
        synchronized (ONLY) {
            return ONLY.passedOn(written);
        }
    }

    private InputArchive passedOn(OutputArchive written) {
        var parsed = new InputArchive();
        try (var scope = new PointerScope()) {
            bytes = new BytePointer(FIRST);
            size = 0;
            written.save_to(this);
            parsed.load_from(bytes, size);
            return parsed;
        } finally {
            bytes = new BytePointer();
        }
    }

    @Override
    public long call(Pointer data, long count) {
        if (size + count > bytes.capacity()) {
            BytePointer smaller = bytes;
            bytes = new BytePointer(Math.max(2 * smaller.capacity(), size + count));
            Pointer.memcpy(bytes, smaller, size);
            smaller.close();
        }
        Pointer.memcpy(bytes.getPointer(size), data, count);
        size += count;
        return count;
    }
}

package io.espalier.train;

import io.espalier.tensor.EspalierException;

import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.ArchiveWriter;
import org.bytedeco.pytorch.InputArchive;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.OutputArchive;

import java.io.ByteArrayOutputStream;

/** What an optimizer remembers between steps, as libtorch's own archive. */
final class OptimizerState {
    private OptimizerState() {}

    static byte[] save(Optimizer optimizer) {
        try (var scope = new PointerScope()) {
            var archive = new OutputArchive();
            optimizer.save(archive);
            var bytes = new Bytes();
            archive.save_to(bytes);
            return bytes.written.toByteArray();
        }
    }

    /**
     * Puts a saved state into an optimizer of the same {@link OptimizerKind}.
     *
     * @throws EspalierException if libtorch can't read it
     */
    static void load(Optimizer optimizer, byte[] state) {
        try (var scope = new PointerScope()) {
            var archive = new InputArchive();
            archive.load_from(new BytePointer(state), state.length);
            optimizer.load(archive);
        } catch (RuntimeException e) {
            throw new EspalierException(
                    "The optimizer's state is damaged or of another libtorch; use an older"
                            + " checkpoint.",
                    e);
        }
    }

    /** Collects what an archive writes. */
    private static final class Bytes extends ArchiveWriter {
        private final ByteArrayOutputStream written = new ByteArrayOutputStream();

        @Override
        public long call(Pointer data, long count) {
            byte[] chunk = new byte[Math.toIntExact(count)];
            new BytePointer(data).capacity(count).get(chunk);
            written.write(chunk, 0, chunk.length);
            return count;
        }
    }
}

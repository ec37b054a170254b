package io.espalier.train;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.TensorException;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.ArchiveWriter;
import org.bytedeco.pytorch.InputArchive;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.OptimizerParamGroupVector;
import org.bytedeco.pytorch.OutputArchive;
import org.bytedeco.pytorch.TensorVector;

import java.io.ByteArrayOutputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** What an optimizer remembers between steps, as libtorch's own archive. */
final class OptimizerState {
    private OptimizerState() {}

    /**
     * What an optimizer must be to take up another's state.
     *
     * @param type its class, such as {@code "SGD"}
     * @param groups the shapes of the parameters of each group
     */
    record Kind(String type, List<List<List<Long>>> groups) {
        static Kind of(Optimizer optimizer) {
            var groups = new ArrayList<List<List<Long>>>();
            try (var scope = new PointerScope()) {
                OptimizerParamGroupVector all = optimizer.param_groups();
                for (long g = 0; g < all.size(); g++) {
                    TensorVector parameters = all.get(g).params();
                    var shapes = new ArrayList<List<Long>>();
                    for (long p = 0; p < parameters.size(); p++) {
                        shapes.add(
                                Arrays.stream(Tensors.shape(parameters.get(p))).boxed().toList());
                    }
                    groups.add(List.copyOf(shapes));
                }
            }
            return new Kind(optimizer.getClass().getSimpleName(), List.copyOf(groups));
        }

        @Override
        public String toString() {
            long count = groups.stream().mapToLong(List::size).sum();
            return type + " over " + count + " parameters in " + groups.size() + " group(s)";
        }
    }

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
     * Puts a saved state into an optimizer of the same {@link Kind}.
     *
     * @throws EspalierException if libtorch can't read it
     */
    static void load(Optimizer optimizer, byte[] state) {
        try (var scope = new PointerScope()) {
            var archive = new InputArchive();
            archive.load_from(new BytePointer(state), state.length);
            optimizer.load(archive);
        } catch (RuntimeException e) {
            throw TensorException.in("Restoring the optimizer", e);
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

package io.espalier.onnx.inputs;

import io.espalier.data.Npy;
import io.espalier.data.Npz;
import io.espalier.onnx.inputs.BatchSource.Made;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.state.AtomicFile;
import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.Tensor;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalInt;
import java.util.stream.Stream;

/** NumPy's arrays in files. */
final class ArrayInputs extends Inputs {
    /** How NumPy calls the first array that is given no name. */
    private static final String UNNAMED = "arr_0";

    private final Path path;

    ArrayInputs(Path path, Selection selection) {
        super(selection);
        this.path = path;
    }

    @Override
    ArrayInputs with(Selection other) {
        return new ArrayInputs(path, other);
    }

    @Override
    BatchSource open(OnnxModel model, Signature signature) {
        return new ArrayFiles(path.toString(), selection.ordered(files()), selection, signature);
    }

    private List<Path> files() {
        if (!Files.isDirectory(path)) {
            if (!Files.exists(path)) {
                throw new EspalierException("No file or folder " + path + ".");
            }
            return List.of(path);
        }
        try (Stream<Path> all = Files.list(path)) {
            List<Path> files =
                    all.filter(file -> hasSuffix(file, ".npz") || hasSuffix(file, ".npy"))
                            .sorted()
                            .toList();
            if (files.isEmpty()) {
                throw new EspalierException("No .npz or .npy files in " + path + ".");
            }
            return files;
        } catch (IOException e) {
            throw new EspalierException(
                    "Can't read the folder " + path + ": " + AtomicFile.reason(e) + ".", e);
        }
    }

    private static boolean hasSuffix(Path file, String suffix) {
        return file.getFileName().toString().toLowerCase(Locale.ROOT).endsWith(suffix);
    }

    private record ArrayFiles(
            String name, List<Path> files, Selection selection, Signature signature)
            implements BatchSource {
        @Override
        public Iterator<Made> batches() {
            Iterator<Path> each = files.iterator();
            return Pieces.of(
                    new Iterator<>() {
                        @Override
                        public boolean hasNext() {
                            return each.hasNext();
                        }

                        @Override
                        public Made next() {
                            return read(each.next());
                        }
                    },
                    selection,
                    signature);
        }

        private Made read(Path file) {
            return new Made(
                    file.toString(),
                    hasSuffix(file, ".npy")
                            ? Map.of(signature.only(".npy files").name(), Npy.read(file))
                            : named(Npz.read(file)));
        }

        /** A single array without a name of its own stands for a single input. */
        private Map<String, Tensor> named(Map<String, Tensor> arrays) {
            Tensor unnamed = arrays.get(UNNAMED);
            return unnamed != null && arrays.size() == 1 && signature.inputs().size() == 1
                    ? Map.of(signature.inputs().getFirst().name(), unnamed)
                    : arrays;
        }

        @Override
        public OptionalInt count() {
            return selection.batch().isEmpty() && selection.limit().isEmpty()
                    ? OptionalInt.of(files.size())
                    : OptionalInt.empty();
        }
    }
}

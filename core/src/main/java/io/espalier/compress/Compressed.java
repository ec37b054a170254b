package io.espalier.compress;

import io.espalier.nn.Mask;
import io.espalier.nn.Module;
import io.espalier.state.CompressedFile;
import io.espalier.state.CompressedWriter;
import io.espalier.state.CompressedWriter.Integers;
import io.espalier.state.SafeTensors;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.SequencedMap;
import java.util.Set;
import java.util.function.UnaryOperator;

/**
 * Files that are as small as what is in them: of a pruned weight the places and values of what is
 * left, of a weight that shares few values those and which of them each element is, all coded by
 * Zstandard, and of each tensor whatever is smallest.
 *
 * <pre>{@code
 * Compressed.save(model, file);                    // read back to what forward computed with
 * Compressed.save(model, file, o -> o.bits(8));    // weights as integers with scales
 * model.load(file);                                // as any other file
 * }</pre>
 */
public final class Compressed {
    private static final String MASK = "_mask";
    private static final String ORIGINAL = "_orig";

    private Compressed() {}

    /**
     * Saves a model's state so that loading it gives the same outputs: what a mask leaves out is 0
     * in the file, −0 is 0, and all other elements are bit for bit what they were.
     *
     * @throws EspalierException if the file can't be written
     */
    public static void save(Module model, Path file) {
        save(model, file, options -> options);
    }

    /**
     * Saves a model's state with its weights in fewer bits, such as {@code o -> o.bits(8)}.
     *
     * @throws EspalierException if the file can't be written, or a weight that is to be rounded
     *     holds NaN or an infinity
     */
    public static void save(Module model, Path file, UnaryOperator<Compression> with) {
        Module standing = Needed.of(model, "the model").current();
        Set<String> weights = new LinkedHashSet<>();
        standing.namedModules()
                .forEach((path, module) ->
                        module.ownParameters()
                                .keySet()
                                .forEach(name ->
                                        weights.add(path.isEmpty() ? name : path + "." + name)));
        try (var scope = new PointerScope()) {
            write(
                    file,
                    Weights.state(standing),
                    weights,
                    Map.of("format", "pt", "espalier.tree", standing.toString()),
                    Needed.from(with, Compression.LOSSLESS, "the options"),
                    () -> {});
        }
    }

    /**
     * Writes any tensors, such as those of a safetensors file. Of a pair {@code NAME_orig} and
     * {@code NAME_mask}, what the mask leaves out is 0 in the file.
     *
     * @param tensors by name; the file keeps the map's order
     * @param metadata free text by name
     * @param with how tensors of floats of two and more dimensions are stored, of 32 bits, or if
     *     they share values of 16 bits too; others are stored as they are
     * @param afterTensor runs after each tensor, to show progress
     * @throws EspalierException if a tensor's type can't be stored, the file can't be written, a
     *     mask holds something else than 0 and 1, or a tensor that is to be rounded holds NaN or an
     *     infinity
     */
    public static void write(
            Path file,
            Map<String, Tensor> tensors,
            Map<String, String> metadata,
            UnaryOperator<Compression> with,
            Runnable afterTensor) {
        Set<String> weights = new LinkedHashSet<>(Needed.of(tensors, "the tensors").keySet());
        weights.removeIf(name -> name.endsWith(MASK));
        try (var scope = new PointerScope()) {
            write(
                    file,
                    masked(tensors),
                    weights,
                    metadata,
                    Needed.from(with, Compression.LOSSLESS, "the options"),
                    afterTensor);
        }
    }

    private static Map<String, Tensor> masked(Map<String, Tensor> tensors) {
        Map<String, Tensor> masked = new LinkedHashMap<>(tensors);
        masked.replaceAll((name, tensor) -> {
            Tensor mask = name.endsWith(ORIGINAL) ? tensors.get(mask(name)) : null;
            if (mask == null
                    || Tensors.type(mask) != Tensors.type(tensor)
                    || !Arrays.equals(Tensors.shape(mask), Tensors.shape(tensor))) {
                return tensor;
            }
            if (!Mask.isMask(mask)) {
                throw new EspalierException(
                        "The mask '"
                                + mask(name)
                                + "' holds something else than 0 and 1, which is no mask; nothing"
                                + " was written.");
            }
            return tensor.detach().mul(mask);
        });
        return masked;
    }

    /**
     * Loads a state into its model, as {@link Module#load(Path)} does, which takes such files too.
     *
     * @throws EspalierException if the file can't be read, is damaged, or does not fit; the model
     *     is as it was
     */
    public static void load(Module model, Path file) {
        Needed.of(model, "the model").load(file);
    }

    /**
     * Reads all tensors of a file.
     *
     * @throws EspalierException if it can't be read, is no compressed file, or is damaged
     */
    public static SafeTensors.Contents read(Path file) {
        try (var open = CompressedFile.open(file)) {
            open.verify(Set.of());
            SequencedMap<String, Tensor> tensors = new LinkedHashMap<>();
            open.kinds().keySet().forEach(name -> tensors.put(name, open.tensor(name)));
            return new SafeTensors.Contents(tensors, open.metadata());
        }
    }

    private static void write(
            Path file,
            Map<String, Tensor> tensors,
            Set<String> weights,
            Map<String, String> metadata,
            Compression compression,
            Runnable afterTensor) {
        Map<String, Integers> integers = new LinkedHashMap<>();
        Map<String, Tensor> stored = new LinkedHashMap<>(tensors);
        if (!compression.equals(Compression.LOSSLESS)) {
            for (String name : weights) {
                Tensor tensor = stored.get(name);
                if (tensor != null
                        && compression.changes(Tensors.type(tensor))
                        && tensor.dim() >= 2) {
                    float[] rounded = rounded(name, tensor, compression, integers);
                    Tensor changed =
                            Tensors.of(rounded, Tensors.shape(tensor)).to(Tensors.type(tensor));
                    stored.put(name, changed);
                    stored.computeIfPresent(mask(name), (_, mask) -> mask(mask, changed));
                }
            }
        }
        CompressedWriter.write(file, stored, integers, metadata, afterTensor);
    }

    private static float[] rounded(
            String name, Tensor tensor, Compression compression, Map<String, Integers> integers) {
        float[] values = Tensors.floats(tensor.detach().to(ScalarType.Float));
        if (compression.bits() == 0) {
            return WeightSharing.shared(values, 1 << compression.shared(), name);
        }
        int rows = (int) tensor.size(0);
        Integers codes = new Rounding(values, rows, compression.bits()).integers(name);
        integers.put(name, codes);
        return Rounding.floats(codes);
    }

    private static String mask(String name) {
        return name.endsWith(ORIGINAL)
                ? name.substring(0, name.length() - ORIGINAL.length()) + MASK
                : name + MASK;
    }

    /** What was rounded to 0 is left out from now on. */
    private static Tensor mask(Tensor mask, Tensor rounded) {
        return Tensors.shape(mask).length == rounded.dim()
                ? rounded.ne(new Scalar(0)).to(Tensors.type(mask))
                : mask;
    }
}

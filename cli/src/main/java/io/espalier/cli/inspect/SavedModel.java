package io.espalier.cli.inspect;

import io.espalier.cli.inspect.StoredTensor.Kind;
import io.espalier.state.SafeTensors;
import io.espalier.state.SafeTensors.Entry;
import io.espalier.tensor.EspalierException;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * A saved model as its file describes it.
 *
 * @param file where it is
 * @param fileBytes the file's size
 * @param tree the model as it prints itself, where the file holds that
 * @param tensors parameters and buffers in the file's order
 */
public record SavedModel(
        Path file, long fileBytes, Optional<String> tree, List<StoredTensor> tensors) {
    /** The metadata under which a model's tree is saved. */
    private static final String TREE = "espalier.tree";

    private static final String ORIGINAL = "_orig";
    private static final String MASK = "_mask";

    /** Names that layers, observers and quantized layers give to what is not trained. */
    private static final Set<String> BUFFERS =
            Set.of(
                    "running_mean",
                    "running_var",
                    "num_batches_tracked",
                    "scale",
                    "zero_point",
                    "weight_scale",
                    "weight_zero_point",
                    "input_scale",
                    "input_zero_point",
                    "min_val",
                    "max_val",
                    "eps",
                    "histogram",
                    "observer_enabled",
                    "fake_quant_enabled");

    /** The tensors in a list of their own. */
    public SavedModel {
        tensors = List.copyOf(tensors);
    }

    /**
     * Reads a safetensors file. The tensors' bytes are only counted through, a window at a time.
     *
     * @throws EspalierException if the file can't be read or is no valid safetensors file
     */
    public static SavedModel read(Path file) {
        if (Files.isDirectory(file)) {
            throw new EspalierException(
                    file + " is a directory; name a saved model, such as model.safetensors.");
        }
        if (Files.exists(file) && !Files.isRegularFile(file)) {
            throw new EspalierException(
                    file
                            + " is a pipe or a device, which can't be read from any place; name a"
                            + " file.");
        }
        SafeTensors.Header header = SafeTensors.header(file);
        try (FileChannel channel = FileChannel.open(file)) {
            var zeros = new ZeroCount(channel);
            List<StoredTensor> tensors = new ArrayList<>();
            for (Map.Entry<String, Entry> each : header.entries().entrySet()) {
                if (!isMask(each.getKey(), each.getValue(), header.entries())) {
                    tensors.add(describe(each.getKey(), each.getValue(), header.entries(), zeros));
                }
            }
            return new SavedModel(
                    file,
                    channel.size(),
                    Optional.ofNullable(header.metadata().get(TREE)),
                    tensors);
        } catch (IOException e) {
            throw new EspalierException(file + " can't be read: " + e.getMessage() + ".", e);
        }
    }

    private static boolean isMask(String name, Entry entry, Map<String, Entry> entries) {
        return name.endsWith(MASK) && partner(name, MASK, ORIGINAL, entry, entries).isPresent();
    }

    /** {@code X_mask} for {@code X_orig}, or the other way round, where it has the same shape. */
    private static Optional<Entry> partner(
            String name, String from, String to, Entry entry, Map<String, Entry> entries) {
        return Optional.ofNullable(entries.get(publicName(name, from) + to))
                .filter(found -> found.shape().equals(entry.shape()));
    }

    private static String publicName(String name, String suffix) {
        return name.substring(0, name.length() - suffix.length());
    }

    private static StoredTensor describe(
            String name, Entry entry, Map<String, Entry> entries, ZeroCount zeros)
            throws IOException {
        Optional<Entry> mask =
                name.endsWith(ORIGINAL)
                        ? partner(name, ORIGINAL, MASK, entry, entries)
                        : Optional.empty();
        if (mask.isPresent()) {
            return new StoredTensor(
                    publicName(name, ORIGINAL),
                    Kind.MASKED,
                    entry.dtype(),
                    entry.shape(),
                    elements(entry),
                    bytes(entry) + bytes(mask.get()),
                    zeros.ofEither(entry, mask.get()));
        }
        boolean buffer = BUFFERS.contains(name.substring(name.lastIndexOf('.') + 1));
        return new StoredTensor(
                name,
                buffer ? Kind.BUFFER : Kind.PARAMETER,
                entry.dtype(),
                entry.shape(),
                elements(entry),
                bytes(entry),
                zeros.of(entry));
    }

    private static long elements(Entry entry) {
        return entry.shape().stream().reduce(1L, Math::multiplyExact);
    }

    private static long bytes(Entry entry) {
        return entry.end() - entry.begin();
    }

    /** The number of trainable elements. */
    public long parameters() {
        return tensors.stream()
                .filter(tensor -> tensor.kind() != Kind.BUFFER)
                .mapToLong(StoredTensor::elements)
                .sum();
    }

    /** The share of the trainable elements that are zero, 0…1. */
    public double sparsity() {
        long zeros =
                tensors.stream()
                        .filter(tensor -> tensor.kind() != Kind.BUFFER)
                        .mapToLong(StoredTensor::zeros)
                        .sum();
        return parameters() == 0 ? 0 : (double) zeros / parameters();
    }
}

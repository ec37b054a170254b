package io.espalier.state;

import io.espalier.state.SafeTensors.Entry;
import io.espalier.state.StoredTensor.Kind;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A saved model as its file describes it: what is in it, not what it computes.
 *
 * @param file where it is
 * @param fileBytes the file's size
 * @param metadata what the file says of itself, by name
 * @param tensors parameters and what stands beside them, in the file's order
 */
public record SavedModel(
        Path file, long fileBytes, Map<String, String> metadata, List<StoredTensor> tensors) {
    /** Map and list of their own. */
    public SavedModel {
        metadata = Map.copyOf(metadata);
        tensors = List.copyOf(tensors);
    }

    /**
     * Reads a safetensors file. The tensors' bytes are only counted through, a window at a time.
     *
     * @throws EspalierException if the file can't be read, is no valid safetensors file, or its
     *     data are not those that were saved
     */
    public static SavedModel read(Path file) {
        return read(file, () -> {});
    }

    /**
     * Reads a safetensors file, as {@link #read(Path)} does.
     *
     * @param afterTensor runs after each entry of {@link SafeTensors#header}, to show progress
     * @throws EspalierException if the file can't be read or is no valid safetensors file
     */
    public static SavedModel read(Path file, Runnable afterTensor) {
        Needed.of(afterTensor, "what follows a tensor");
        SafeTensors.Header header = verified(file);
        var kinds = new TensorKinds(header);
        try (FileChannel channel = FileChannel.open(file)) {
            var zeros = new ZeroCount(channel);
            List<StoredTensor> tensors = new ArrayList<>();
            for (Map.Entry<String, Entry> each : header.entries().entrySet()) {
                if (!kinds.isMask(each.getKey())) {
                    tensors.add(describe(each.getKey(), each.getValue(), kinds, zeros));
                }
                afterTensor.run();
            }
            return new SavedModel(file, channel.size(), header.metadata(), tensors);
        } catch (IOException e) {
            throw new EspalierException(file + " can't be read: " + e.getMessage() + ".", e);
        }
    }

    private static SafeTensors.Header verified(Path file) {
        try (var open = StateFile.open(file)) {
            if (open.hasChecksums()) {
                open.verify(open.header().entries().keySet());
            }
            return open.header();
        }
    }

    private static StoredTensor describe(
            String name, Entry entry, TensorKinds kinds, ZeroCount zeros) throws IOException {
        Optional<Entry> mask = kinds.mask(name);
        return new StoredTensor(
                kinds.publicName(name),
                kinds.of(name),
                entry.dtype(),
                entry.shape(),
                entry.shape().stream().reduce(1L, Math::multiplyExact),
                bytes(entry) + mask.map(SavedModel::bytes).orElse(0L),
                zeros.ofEither(entry, mask.orElse(entry)));
    }

    private static long bytes(Entry entry) {
        return entry.end() - entry.begin();
    }

    /** The model as it prints itself, where the file holds that. */
    public Optional<String> tree() {
        return Optional.ofNullable(metadata.get("espalier.tree"));
    }

    /** The number of trainable elements; those of a checkpoint's best model are not counted. */
    public long parameters() {
        return tensors.stream()
                .filter(tensor -> tensor.kind().isParameter())
                .mapToLong(StoredTensor::elements)
                .sum();
    }

    /** The share of the trainable elements that are zero, 0…1. */
    public double sparsity() {
        long zeros =
                tensors.stream()
                        .filter(tensor -> tensor.kind().isParameter())
                        .mapToLong(StoredTensor::zeros)
                        .sum();
        return parameters() == 0 ? 0 : (double) zeros / parameters();
    }

    /** The bytes of all tensors of one kind, masks included. */
    public long bytes(Kind kind) {
        return tensors.stream()
                .filter(tensor -> tensor.kind() == kind)
                .mapToLong(StoredTensor::bytes)
                .sum();
    }
}

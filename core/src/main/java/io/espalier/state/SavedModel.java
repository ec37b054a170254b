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
import java.util.function.ToLongFunction;

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
     * Reads a safetensors file, whose bytes are only counted through, a window at a time, or a
     * compressed one, a tensor at a time.
     *
     * @throws EspalierException if the file can't be read, is no valid file of tensors, or its data
     *     are not those that were saved
     */
    public static SavedModel read(Path file) {
        return read(file, () -> {});
    }

    /**
     * Reads a file, as {@link #read(Path)} does.
     *
     * @param afterTensor runs after each entry of {@link SafeTensors#header}, to show progress
     * @throws EspalierException if the file can't be read or is no valid file of tensors
     */
    public static SavedModel read(Path file, Runnable afterTensor) {
        Needed.of(file, "the file to read");
        Needed.of(afterTensor, "what follows a tensor");
        return CompressedStart.isThere(file)
                ? compressed(file, afterTensor)
                : plain(file, afterTensor);
    }

    /** Counts the places where a tensor, or its mask, is zero. */
    @FunctionalInterface
    private interface Zeros {
        long of(String name, Optional<String> mask) throws IOException;
    }

    private static SavedModel plain(Path file, Runnable afterTensor) {
        SafeTensors.Header header = verified(file);
        try (FileChannel channel = FileChannel.open(file)) {
            var zeros = new ZeroCount(channel, header);
            return new SavedModel(
                    file,
                    channel.size(),
                    header.metadata(),
                    describe(
                            header,
                            name -> bytes(entry(header, name)),
                            zeros::ofEither,
                            afterTensor));
        } catch (IOException e) {
            throw new EspalierException(file + " can't be read: " + e.getMessage() + ".", e);
        }
    }

    private static SavedModel compressed(Path file, Runnable afterTensor) {
        try (var open = CompressedFile.open(file)) {
            open.verify(List.of());
            SafeTensors.Header header = open.header();
            return new SavedModel(
                    file,
                    open.fileBytes(),
                    header.metadata(),
                    describe(header, open::storedBytes, open::zeros, afterTensor));
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

    private static List<StoredTensor> describe(
            SafeTensors.Header header,
            ToLongFunction<String> bytes,
            Zeros zeros,
            Runnable afterTensor)
            throws IOException {
        var kinds = new TensorKinds(header);
        List<StoredTensor> tensors = new ArrayList<>();
        for (Map.Entry<String, Entry> each : header.entries().entrySet()) {
            String name = each.getKey();
            Entry entry = each.getValue();
            if (!kinds.isMask(name)) {
                Optional<String> mask = kinds.maskName(name);
                tensors.add(
                        new StoredTensor(
                                kinds.publicName(name),
                                kinds.of(name),
                                entry.dtype(),
                                entry.shape(),
                                entry.shape().stream().reduce(1L, Math::multiplyExact),
                                bytes.applyAsLong(name) + mask.map(bytes::applyAsLong).orElse(0L),
                                bytes(entry) + mask.map(it -> bytes(entry(header, it))).orElse(0L),
                                zeros.of(name, mask)));
            }
            afterTensor.run();
        }
        return tensors;
    }

    private static Entry entry(SafeTensors.Header header, String name) {
        Entry entry = header.entries().get(name);
        if (entry == null) {
            throw new IllegalArgumentException(name);
        }
        return entry;
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

    /** The bytes that all tensors take in memory. */
    public long denseBytes() {
        return tensors.stream().mapToLong(StoredTensor::denseBytes).sum();
    }

    /** The bytes of all tensors of one kind, masks included. */
    public long bytes(Kind kind) {
        return tensors.stream()
                .filter(tensor -> tensor.kind() == kind)
                .mapToLong(StoredTensor::bytes)
                .sum();
    }
}

package io.espalier.onnx.model;

import io.espalier.onnx.proto.StringStringEntryProto;
import io.espalier.onnx.proto.TensorProto;
import io.espalier.state.AtomicFile;
import io.espalier.tensor.EspalierException;

import org.jspecify.annotations.Nullable;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;

/** The files beside a model that hold its larger tensors, each mapped once. */
final class ExternalData {
    /** Of a model that has no place: it may have no such files. */
    static final ExternalData NONE = new ExternalData(null);

    private final @Nullable Path folder;
    private final Map<Path, MemorySegment> mapped = new HashMap<>();

    private ExternalData(@Nullable Path folder) {
        this.folder = folder;
    }

    /** The files beside this model's. */
    static ExternalData beside(Path model) {
        Path parent = model.toAbsolutePath().normalize().getParent();
        return new ExternalData(parent);
    }

    /** All files that tensors lie in, and how many bytes they have. */
    Map<Path, Long> files() {
        var files = new HashMap<Path, Long>();
        mapped.forEach((file, bytes) -> files.put(file, bytes.byteSize()));
        return Map.copyOf(files);
    }

    /** One line of what a message says about its data's place. */
    static StringStringEntryProto entry(String key, Object value) {
        return StringStringEntryProto.newBuilder()
                .setKey(key)
                .setValue(String.valueOf(value))
                .build();
    }

    /** The bytes of a tensor that lies in one of the files. */
    MemorySegment bytes(TensorProto proto, long size) {
        String location = "";
        long offset = 0;
        long length = size;
        for (StringStringEntryProto entry : proto.getExternalDataList()) {
            switch (entry.getKey()) {
                case "location" -> location = entry.getValue();
                case "offset" -> offset = number(proto, entry);
                case "length" -> length = number(proto, entry);
                // Others, a checksum for one, are no part of where the bytes are.
                default -> {}
            }
        }
        MemorySegment file = file(proto, location);
        if (length != size) {
            throw new EspalierException(
                    "The constant '%s' of shape %s needs %d bytes, and its entry in %s says %d."
                            .formatted(
                                    proto.getName(), proto.getDimsList(), size, location, length));
        }
        if (offset > file.byteSize() - size) {
            throw new EspalierException(
                    "The constant '%s' should have %d bytes at %d of %s, which ends at %d."
                            .formatted(proto.getName(), size, offset, location, file.byteSize()));
        }
        return file.asSlice(offset, size);
    }

    private static long number(TensorProto proto, StringStringEntryProto entry) {
        try {
            long number = Long.parseLong(entry.getValue());
            if (number >= 0) {
                return number;
            }
        } catch (NumberFormatException e) {
            // Told below, with the negative ones.
        }
        throw new EspalierException(
                "The constant '%s' has %s '%s' for its data in another file; a number of 0 or more is needed."
                        .formatted(proto.getName(), entry.getKey(), entry.getValue()));
    }

    private MemorySegment file(TensorProto proto, String location) {
        Path path = resolve(proto, location);
        MemorySegment known = mapped.get(path);
        if (known == null) {
            known = map(proto, path, location);
            mapped.put(path, known);
        }
        return known;
    }

    /** The file of this name in the model's folder, and nowhere else, not even by a link. */
    private Path resolve(TensorProto proto, String location) {
        if (folder == null) {
            throw new EspalierException(
                    "The constant '"
                            + proto.getName()
                            + "' lies in another file, "
                            + location
                            + ", and this model has no folder.");
        }
        try {
            Path path = folder.resolve(location).normalize();
            if (!location.isEmpty() && !Path.of(location).isAbsolute() && path.startsWith(folder)) {
                if (!Files.exists(path)) {
                    throw new EspalierException(
                            "The constant '%s' lies in %s, which is not in the model's folder %s."
                                    .formatted(proto.getName(), location, folder));
                }
                Path real = path.toRealPath();
                if (real.startsWith(folder.toRealPath())) {
                    if (Files.isRegularFile(real)) {
                        return real;
                    }
                    throw new EspalierException(
                            "The constant '%s' wants its data from '%s', which is no file."
                                    .formatted(proto.getName(), location));
                }
            }
        } catch (InvalidPathException e) {
            // Told below, as other names that can't be.
        } catch (IOException e) {
            throw new EspalierException(
                    "Can't read " + location + ": " + AtomicFile.reason(e) + ".", e);
        }
        throw new EspalierException(
                "The constant '%s' wants its data from '%s'; only the model's own folder is read."
                        .formatted(proto.getName(), location));
    }

    private static MemorySegment map(TensorProto proto, Path path, String location) {
        try {
            return mapFile(path);
        } catch (IOException e) {
            throw new EspalierException(
                    "Can't read %s, where the constant '%s' lies: %s."
                            .formatted(location, proto.getName(), AtomicFile.reason(e)),
                    e);
        }
    }

    /** A file as read-only memory, unmapped when nothing refers to it any more. */
    static MemorySegment mapFile(Path path) throws IOException {
        try (FileChannel channel = FileChannel.open(path)) {
            return channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), Arena.ofAuto());
        }
    }
}

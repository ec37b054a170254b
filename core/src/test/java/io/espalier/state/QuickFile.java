package io.espalier.state;

import org.bytedeco.pytorch.Tensor;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;

/** Writes files that need not survive a crash: putting one on disk takes longer than a test. */
public final class QuickFile {
    private QuickFile() {}

    /** What {@link SafeTensors#write} writes. */
    public static void write(Path file, Map<String, Tensor> tensors, Map<String, String> metadata) {
        SafeTensors.write(
                file,
                tensors,
                metadata,
                content -> {
                    try (FileChannel channel =
                            FileChannel.open(
                                    file,
                                    StandardOpenOption.CREATE,
                                    StandardOpenOption.TRUNCATE_EXISTING,
                                    StandardOpenOption.WRITE)) {
                        content.write(channel);
                    } catch (IOException e) {
                        throw new UncheckedIOException(e);
                    }
                },
                (name, sum) -> {});
    }
}

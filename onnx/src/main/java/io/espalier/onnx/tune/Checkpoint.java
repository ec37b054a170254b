package io.espalier.onnx.tune;

import io.espalier.onnx.model.OnnxModel;
import io.espalier.state.AtomicFile;
import io.espalier.state.LockedFile;
import io.espalier.tensor.EspalierException;

import org.jspecify.annotations.Nullable;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * What a fine-tuning has reached, in a folder: of one model, one teacher, some data and settings
 * alone, and one run's until that has ended.
 */
final class Checkpoint implements AutoCloseable {
    private static final String OF = "checkpoint.json";
    private static final String HEAD = "{\"espalier-fine-tuning\":\"";
    private static final String TRAINING = "training.safetensors";
    private static final List<String> MODELS = List.of("fitted", "integers", "best");

    /** More than any says of itself. */
    private static final int MOST_BYTES = 1 << 10;

    private final Path folder;
    private final @Nullable LockedFile said;
    private final boolean goesOn;

    private Checkpoint(Path folder, @Nullable LockedFile said, boolean goesOn) {
        this.folder = folder;
        this.said = said;
        this.goesOn = goesOn;
    }

    /** One that keeps nothing. */
    static Checkpoint none() {
        return new Checkpoint(Path.of(""), null, false);
    }

    /**
     * Takes a folder, which is made if it is not there. It says of what it is by {@link #of} before
     * anything is kept in it.
     *
     * @param goesOn whether what an earlier run left there is gone on from, or goes
     * @throws EspalierException if another run has it, or it can't be written to
     */
    static Checkpoint open(Path folder, boolean goesOn) {
        try {
            Files.createDirectories(folder);
            return new Checkpoint(
                    folder,
                    LockedFile.open(folder.resolve(OF))
                            .orElseThrow(() ->
                                    new EspalierException(
                                            "Another run keeps its checkpoint in %s; wait until it has ended, or name another folder."
                                                    .formatted(folder))),
                    goesOn);
        } catch (IOException e) {
            throw failed(folder, e);
        }
    }

    private static EspalierException failed(Path folder, IOException e) {
        String reason =
                Files.isRegularFile(folder) ? "it is a file; name a folder" : AtomicFile.reason(e);
        return new EspalierException("Can't write to " + folder + ": " + reason + ".", e);
    }

    /**
     * What is kept here is of this work from now on.
     *
     * @throws EspalierException if it is to go on from what is of other work, or damaged
     */
    void of(String work) {
        if (said == null) {
            return;
        }
        String wanted = HEAD + work + "\"}\n";
        try {
            FileChannel channel = said.channel();
            String found = content(channel);
            if (goesOn && (!found.isEmpty() || isKept())) {
                requireSame(wanted, found);
                return;
            }
            channel.truncate(0);
            clear();
            channel.position(0);
            ByteBuffer bytes = StandardCharsets.UTF_8.encode(wanted);
            while (bytes.hasRemaining()) {
                channel.write(bytes);
            }
        } catch (IOException e) {
            throw failed(folder, e);
        }
    }

    private void requireSame(String wanted, String found) {
        if (found.equals(wanted)) {
            return;
        }
        boolean other = found.startsWith(HEAD) && found.length() == wanted.length();
        throw cannot(
                other
                        ? "it is of another model, another teacher, other data or other settings."
                        : folder.resolve(OF) + " is not there, damaged or cut off.",
                null);
    }

    private static String content(FileChannel channel) throws IOException {
        var content = ByteBuffer.allocate(MOST_BYTES);
        int read = 0;
        while (content.hasRemaining() && read >= 0) {
            read = channel.read(content);
        }
        return StandardCharsets.UTF_8.decode(content.flip()).toString();
    }

    private EspalierException cannot(String why, @Nullable Throwable cause) {
        return new EspalierException(
                "Can't go on from the checkpoint in %s: %s Name another folder, delete this one, or begin anew without resuming."
                        .formatted(folder, why),
                cause);
    }

    private boolean isKept() {
        return Files.exists(training())
                || MODELS.stream().anyMatch(name -> Files.exists(file(name)));
    }

    private void clear() throws IOException {
        Files.deleteIfExists(training());
        for (String name : MODELS) {
            Files.deleteIfExists(file(name));
            Files.deleteIfExists(folder.resolve(name + ".onnx.data"));
        }
    }

    private Path file(String name) {
        return folder.resolve(name + ".onnx");
    }

    private Path training() {
        return folder.resolve(TRAINING);
    }

    /**
     * A model that an earlier run kept, if this one goes on from it.
     *
     * @throws EspalierException if it is damaged
     */
    Optional<OnnxModel> model(String name) {
        if (!goesOn || !Files.exists(file(name))) {
            return Optional.empty();
        }
        try {
            return Optional.of(OnnxModel.load(file(name)));
        } catch (EspalierException e) {
            throw damaged(e);
        }
    }

    /** The refusal of what can't be read. */
    EspalierException damaged(EspalierException e) {
        return cannot(String.valueOf(e.getMessage()), e);
    }

    /** Keeps a model. */
    void keep(String name, OnnxModel model) {
        if (said != null) {
            model.save(file(name));
        }
    }

    /** Where the state of training is kept, if it shall be. */
    Optional<Path> trainingFile() {
        return said == null ? Optional.empty() : Optional.of(training());
    }

    /** The same, if there is one to go on from. */
    Optional<Path> trainingToGoOnFrom() {
        return trainingFile().filter(file -> goesOn && Files.exists(file));
    }

    /** A folder in which nothing was kept says nothing of itself. */
    @Override
    public void close() {
        if (said != null) {
            try (said) {
                if (!isKept()) {
                    said.delete();
                }
            } catch (IOException e) {
                throw failed(folder, e);
            }
        }
    }
}

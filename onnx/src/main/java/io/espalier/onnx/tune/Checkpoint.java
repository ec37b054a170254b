package io.espalier.onnx.tune;

import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.quant.Digest;
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
import java.util.OptionalDouble;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * What a fine-tuning has reached, in a folder: of one model, one teacher, some data and settings
 * alone, and one run's until that has ended.
 */
final class Checkpoint implements AutoCloseable {
    private static final String OF = "checkpoint.json";
    private static final String HEAD = "{\"espalier-fine-tuning\":\"";
    private static final String TRAINING = "training.safetensors";

    /** Under which a model that is kept says what is in it. */
    private static final String DIGEST = "espalier.digest";

    /** What is kept under names of its own; what else lies in the folder is not touched. */
    private static final Pattern KEPT =
            Pattern.compile(
                    "(fitted|integers|best|(slim|teacher|tuned)-\\d+)\\.onnx(\\.data)?"
                            + "|training\\.safetensors|((slim|tuned)-\\d+|rate)\\.json");

    private static final Pattern ROUND = Pattern.compile("round-\\d+");

    /** More than any says of itself. */
    private static final int MOST_BYTES = 1 << 10;

    private final Path folder;
    private final @Nullable LockedFile said;
    private final Start start;
    private boolean goesOn;

    /** What becomes of what an earlier run left. */
    enum Start {
        /** It goes. */
        ANEW,

        /** It is gone on from; what is of other work is refused. */
        GOING_ON,

        /** It is gone on from; what is of other work goes. */
        GOING_ON_IF_SAME
    }

    private Checkpoint(Path folder, @Nullable LockedFile said, Start start) {
        this.folder = folder;
        this.said = said;
        this.start = start;
    }

    /** One that keeps nothing. */
    static Checkpoint none() {
        return new Checkpoint(Path.of(""), null, Start.ANEW);
    }

    /**
     * Takes a folder, which is made if it is not there. It says of what it is by {@link #of} before
     * anything is kept in it.
     *
     * @throws EspalierException if another run has it, or it can't be written to
     */
    static Checkpoint open(Path folder, Start start) {
        try {
            Files.createDirectories(folder);
            return new Checkpoint(
                    folder,
                    LockedFile.open(folder.resolve(OF))
                            .orElseThrow(() ->
                                    new EspalierException(
                                            "Another run keeps its checkpoint in %s; wait until it has ended, or name another folder."
                                                    .formatted(folder))),
                    start);
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
            goesOn = start != Start.ANEW && (!found.isEmpty() || isKept());
            if (goesOn && found.equals(wanted)) {
                return;
            }
            if (goesOn && start == Start.GOING_ON) {
                throw other(wanted, found);
            }
            goesOn = false;
            channel.truncate(0);
            clear(folder);
            channel.position(0);
            ByteBuffer bytes = StandardCharsets.UTF_8.encode(wanted);
            while (bytes.hasRemaining()) {
                channel.write(bytes);
            }
        } catch (IOException e) {
            throw failed(folder, e);
        }
    }

    /** Whether it goes on from what an earlier run left. */
    boolean goesOn() {
        return goesOn;
    }

    private EspalierException other(String wanted, String found) {
        boolean other = found.startsWith(HEAD) && found.length() == wanted.length();
        return cannot(
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
                "Can't go on from the checkpoint in %s: %s Name another folder, delete this one, or begin it anew."
                        .formatted(folder, why),
                cause);
    }

    private boolean isKept() throws IOException {
        return !kept(folder, KEPT).isEmpty();
    }

    private static List<Path> kept(Path folder, Pattern names) throws IOException {
        if (!Files.isDirectory(folder)) {
            return List.of();
        }
        try (Stream<Path> files = Files.list(folder)) {
            return files.filter(file -> names.matcher(String.valueOf(file.getFileName())).matches())
                    .toList();
        }
    }

    private static void clear(Path folder) throws IOException {
        for (Path file : kept(folder, KEPT)) {
            Files.deleteIfExists(file);
        }
        for (Path round : kept(folder, ROUND)) {
            delete(round);
        }
    }

    /**
     * Deletes what was kept in a folder, which nobody has any more, and the folder if nothing else
     * is in it.
     */
    static void delete(Path folder) throws IOException {
        clear(folder);
        Files.deleteIfExists(folder.resolve(OF));
        if (kept(folder, Pattern.compile(".*")).isEmpty()) {
            Files.deleteIfExists(folder);
        }
    }

    /** The folder of a round's own checkpoint, which goes with this one. */
    Optional<Path> round(int number) {
        return said == null ? Optional.empty() : Optional.of(folder.resolve("round-" + number));
    }

    /** A text that an earlier run kept. */
    String text(String name) {
        try {
            return Files.readString(folder.resolve(name + ".json"));
        } catch (IOException e) {
            throw failed(folder, e);
        }
    }

    /**
     * A number that an earlier run kept, if this one goes on from it.
     *
     * @throws EspalierException if it is damaged
     */
    OptionalDouble number(String name) {
        if (!goesOn || !Files.exists(folder.resolve(name + ".json"))) {
            return OptionalDouble.empty();
        }
        try {
            return OptionalDouble.of(Double.parseDouble(text(name)));
        } catch (NumberFormatException e) {
            throw damaged(name, new EspalierException("It is no number.", e));
        }
    }

    /** Keeps a text. */
    void keep(String name, String text) {
        if (said != null) {
            AtomicFile.write(
                    folder.resolve(name + ".json"),
                    channel -> channel.write(StandardCharsets.UTF_8.encode(text)));
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
        OnnxModel kept;
        try {
            kept = OnnxModel.load(file(name));
        } catch (EspalierException e) {
            throw damaged(e);
        }
        String said = kept.metadata().getOrDefault(DIGEST, "");
        if (!said.equals(Digest.of(kept))) {
            throw cannot(file(name) + " is damaged or another's.", null);
        }
        return Optional.of(kept.withMetadata(DIGEST, ""));
    }

    /** The refusal of what can't be read. */
    EspalierException damaged(EspalierException e) {
        return cannot(String.valueOf(e.getMessage()), e);
    }

    /** The refusal of a text that is not what it was. */
    EspalierException damaged(String name, EspalierException e) {
        return cannot(folder.resolve(name + ".json") + " is damaged or cut off.", e);
    }

    /** Keeps a model. */
    void keep(String name, OnnxModel model) {
        if (said != null) {
            model.withMetadata(DIGEST, Digest.of(model)).save(file(name));
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

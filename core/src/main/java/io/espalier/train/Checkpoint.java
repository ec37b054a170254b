package io.espalier.train;

import io.espalier.state.MetadataJson;
import io.espalier.state.SafeTensors;
import io.espalier.state.StateFile;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import tools.jackson.core.type.TypeReference;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.SequencedMap;

/**
 * A training's whole state, as one safetensors file: the model under {@code model.}, the best model
 * so far under {@code best.}, what the optimizer keeps of each parameter under {@code optimizer.},
 * the random generator's state as bytes, and all else as JSON in the metadata.
 *
 * @param description what must fit and where training stands
 * @param model the model's state
 * @param best the best model's state; empty where it is not kept
 * @param optimizer the optimizer's state
 * @param generator the state of libtorch's random generator
 */
@SuppressWarnings("ArrayRecordComponent") // handed from the file to libtorch, never compared
record Checkpoint(
        Description description,
        SequencedMap<String, Tensor> model,
        SequencedMap<String, Tensor> best,
        OptimizerState optimizer,
        byte[] generator) {
    private static final String KEY = "espalier.checkpoint";
    private static final String GROUPS = "espalier.checkpoint.optimizer";
    private static final String VERSION = "espalier.checkpoint.version";
    private static final String CURRENT = "2";
    private static final String MODEL = "model.";
    private static final String BEST = "best.";
    private static final String OPTIMIZER = "optimizer.";
    private static final String GENERATOR = "generator";

    /**
     * What a checkpoint says of itself.
     *
     * @param progress where the training stands
     * @param order which batches it was given
     * @param kind which optimizer moved it
     */
    record Description(Progress progress, Progress.Order order, OptimizerKind kind) {
        /** Refuses what a damaged file may lack. */
        Description {
            Objects.requireNonNull(progress);
            Objects.requireNonNull(order);
            Objects.requireNonNull(kind);
        }
    }

    /** Replaces the file in one step: at every moment there is the old or the new one. */
    void write(Path file) {
        try (var scope = new PointerScope()) {
            SequencedMap<String, Tensor> tensors = new LinkedHashMap<>();
            model.forEach((name, tensor) -> tensors.put(MODEL + name, tensor));
            best.forEach((name, tensor) -> tensors.put(BEST + name, tensor));
            optimizer.tensors().forEach((name, tensor) -> tensors.put(OPTIMIZER + name, tensor));
            tensors.put(GENERATOR, bytes(generator));
            StateFile.write(
                    file,
                    tensors,
                    Map.of(
                            VERSION,
                            CURRENT,
                            KEY,
                            MetadataJson.write(description),
                            GROUPS,
                            MetadataJson.write(optimizer.groups())));
        }
    }

    /**
     * Reads a checkpoint; its tensors belong to the caller's scope.
     *
     * @throws EspalierException if the file can't be read, is damaged, or is something else
     */
    static Checkpoint read(Path file) {
        SafeTensors.Contents contents = SafeTensors.read(file);
        Map<String, String> metadata = contents.metadata();
        if (!metadata.containsKey(KEY)) {
            throw new EspalierException(
                    file + " is no training's checkpoint; load a model's weights with load(Path).");
        }
        requireCurrent(file, metadata.getOrDefault(VERSION, "1"));
        Tensor generator = contents.tensors().get(GENERATOR);
        if (generator == null) {
            throw new EspalierException(damaged(file, "it has no generator"));
        }
        try {
            return new Checkpoint(
                    MetadataJson.read(metadata.getOrDefault(KEY, ""), new TypeReference<>() {}),
                    under(MODEL, contents.tensors()),
                    under(BEST, contents.tensors()),
                    new OptimizerState(
                            MetadataJson.read(
                                    metadata.getOrDefault(GROUPS, ""), new TypeReference<>() {}),
                            under(OPTIMIZER, contents.tensors())),
                    bytes(generator));
        } catch (EspalierException e) {
            throw new EspalierException(damaged(file, "its description can't be read"), e);
        }
    }

    private static void requireCurrent(Path file, String version) {
        if (!version.equals(CURRENT)) {
            throw new EspalierException(
                    file
                            + " is a checkpoint of version "
                            + version
                            + (version.equals("1")
                                    ? ", which holds the optimizer as libtorch's own archive"
                                    : "")
                            + "; this release reads version "
                            + CURRENT
                            + ".");
        }
    }

    private static String damaged(Path file, String reason) {
        return file + " is damaged: " + reason + "; use an older checkpoint.";
    }

    private static SequencedMap<String, Tensor> under(
            String prefix, SequencedMap<String, Tensor> tensors) {
        SequencedMap<String, Tensor> found = new LinkedHashMap<>();
        tensors.forEach((name, tensor) -> {
            if (name.startsWith(prefix)) {
                found.put(name.substring(prefix.length()), tensor);
            }
        });
        return found;
    }

    private static Tensor bytes(byte[] values) {
        Tensor tensor = Tensors.zeros(ScalarType.Byte, values.length);
        Tensors.segment(tensor).copyFrom(MemorySegment.ofArray(values));
        return tensor;
    }

    private static byte[] bytes(Tensor tensor) {
        return Tensors.segment(tensor).toArray(ValueLayout.JAVA_BYTE);
    }
}

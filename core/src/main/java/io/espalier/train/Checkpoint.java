package io.espalier.train;

import io.espalier.state.SafeTensors;
import io.espalier.state.StateFile;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

import tools.jackson.core.JacksonException;
import tools.jackson.databind.json.JsonMapper;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.SequencedMap;
import java.util.zip.CRC32C;

/**
 * A training's whole state, as one safetensors file: the model under {@code model.}, the best model
 * so far under {@code best.}, the optimizer's and the random generator's state as bytes, and where
 * the training stands as JSON in the metadata.
 *
 * @param description what must fit and where training stands
 * @param model the model's state
 * @param best the best model's state; empty where it is not kept
 * @param optimizer libtorch's archive of the optimizer
 * @param generator the state of libtorch's random generator
 */
@SuppressWarnings("ArrayRecordComponent") // handed from the file to libtorch, never compared
record Checkpoint(
        Description description,
        SequencedMap<String, Tensor> model,
        SequencedMap<String, Tensor> best,
        byte[] optimizer,
        byte[] generator) {
    private static final String KEY = "espalier.checkpoint";
    private static final String MODEL = "model.";
    private static final String BEST = "best.";
    private static final String OPTIMIZER = "optimizer";
    private static final String GENERATOR = "generator";
    private static final JsonMapper JSON = JsonMapper.builder().build();

    /**
     * What a checkpoint says of itself.
     *
     * @param version of the file's layout
     * @param progress where the training stands
     * @param order which batches it was given
     * @param kind which optimizer moved it
     * @param learningRates the optimizer's own rates, group by group, before any schedule
     * @param checksum CRC-32C of the optimizer's archive, which a native parser reads
     */
    record Description(
            int version,
            Progress progress,
            Progress.Order order,
            OptimizerKind kind,
            double[] learningRates,
            long checksum) {
        static final int VERSION = 1;

        /** Refuses what a damaged file may say. */
        Description {
            Objects.requireNonNull(progress);
            Objects.requireNonNull(order);
            boolean rates =
                    learningRates.length == kind.groups().size()
                            && Arrays.stream(learningRates)
                                    .allMatch(rate -> rate >= 0 && Double.isFinite(rate));
            if (!rates) {
                throw new EspalierException(
                        "No learning rates of "
                                + kind.groups().size()
                                + " groups: "
                                + Arrays.toString(learningRates));
            }
        }
    }

    /** Replaces the file in one step: at every moment there is the old or the new one. */
    void write(Path file) {
        try (var scope = new PointerScope()) {
            SequencedMap<String, Tensor> tensors = new LinkedHashMap<>();
            model.forEach((name, tensor) -> tensors.put(MODEL + name, tensor));
            best.forEach((name, tensor) -> tensors.put(BEST + name, tensor));
            tensors.put(OPTIMIZER, bytes(optimizer));
            tensors.put(GENERATOR, bytes(generator));
            StateFile.write(file, tensors, Map.of(KEY, JSON.writeValueAsString(description)));
        }
    }

    /**
     * Reads a checkpoint; its tensors belong to the caller's scope.
     *
     * @throws EspalierException if the file can't be read, is damaged, or is something else
     */
    static Checkpoint read(Path file) {
        SafeTensors.Contents contents = SafeTensors.read(file);
        String json = contents.metadata().get(KEY);
        Tensor optimizer = contents.tensors().get(OPTIMIZER);
        Tensor generator = contents.tensors().get(GENERATOR);
        if (json == null || optimizer == null || generator == null) {
            throw new EspalierException(
                    file + " is no training's checkpoint; load a model's weights with load(Path).");
        }
        Description description = parse(file, json);
        byte[] archive = bytes(optimizer);
        if (checksum(archive) != description.checksum()) {
            throw new EspalierException(
                    file
                            + " is damaged: the optimizer's checksum is wrong; use an older"
                            + " checkpoint.");
        }
        return new Checkpoint(
                description,
                under(MODEL, contents.tensors()),
                under(BEST, contents.tensors()),
                archive,
                bytes(generator));
    }

    static long checksum(byte[] archive) {
        var sum = new CRC32C();
        sum.update(archive);
        return sum.getValue();
    }

    private static Description parse(Path file, String json) {
        @Nullable Description description;
        try {
            description = JSON.readValue(json, Description.class);
        } catch (JacksonException e) {
            throw new EspalierException(
                    file + " is damaged: its description can't be read; use an older checkpoint.",
                    e);
        }
        if (description == null) {
            throw new EspalierException(
                    file + " is damaged: it has no description; use an older checkpoint.");
        }
        if (description.version() != Description.VERSION) {
            throw new EspalierException(
                    file
                            + " is a checkpoint of version "
                            + description.version()
                            + "; this release reads version "
                            + Description.VERSION
                            + ".");
        }
        return description;
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

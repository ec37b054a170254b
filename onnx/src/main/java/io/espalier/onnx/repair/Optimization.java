package io.espalier.onnx.repair;

import io.espalier.onnx.inputs.InputBatches;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.run.OnnxSession;
import io.espalier.onnx.run.PairedTime;
import io.espalier.onnx.run.RoundingNoise;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/**
 * A repaired model held against the one that it was made of, both run by ONNX Runtime on random
 * inputs.
 *
 * <pre>{@code
 * Optimization found = Optimization.of(OnnxModel.load(file), Repair.all(), Map.of());
 * found.objection().ifPresent(IO::println);
 * }</pre>
 *
 * @param repaired the repaired model, and what was done
 * @param error the largest difference of results, as a share of the largest of each result;
 *     infinite if they are not comparable; 0 if no more than the given model's own rounding
 * @param originalBytes of the given model's message and weights
 * @param bytes of the repaired one's
 * @param time of one example, the given model as the reference
 * @param inputs the shape of each input that the time was taken with
 */
public record Optimization(
        Repaired repaired,
        double error,
        long originalBytes,
        long bytes,
        PairedTime time,
        Map<String, List<Long>> inputs) {
    /** Results that are apart by less are the same: sums in another order are. */
    public static final double MOST_ERROR = 1e-4;

    /** What times of one model differ by from turn to turn. */
    private static final double NOISE = 1.03;

    private static final double NOISE_MS = 0.05;

    private static final int TURNS = 4;
    private static final int MOST_TURNS = 48;

    /** Copies the map. */
    public Optimization {
        inputs = Map.copyOf(inputs);
    }

    /**
     * Repairs a model and holds the result against it.
     *
     * @param passes in the order in which they run
     * @param sizes of dimensions that the model leaves open, by its names for them or as {@code
     *     x[3]}; for others usual ones are tried
     * @throws EspalierException if ONNX Runtime does not run the model
     */
    public static Optimization of(OnnxModel model, List<Pass> passes, Map<String, Integer> sizes) {
        Repaired repaired = Repair.run(model, passes);
        try (var original = OnnxSession.open(model);
                var candidate = OnnxSession.open(repaired.model())) {
            List<InputBatches> trials = TrialInputs.of(model, original, sizes);
            double error = 0;
            for (InputBatches trial : trials) {
                @Nullable RoundingNoise noise = null;
                for (Map<String, Tensor> batch : trial) {
                    noise = noise == null ? noise(model, batch) : noise;
                    error = Math.max(error, error(original, candidate, batch, noise));
                }
            }
            try (var first = trials.getFirst().iterator()) {
                Map<String, Tensor> batch = first.next();
                return new Optimization(
                        repaired,
                        error,
                        bytes(model),
                        bytes(repaired.model()),
                        time(original, candidate, batch),
                        shapes(batch));
            }
        }
    }

    private static RoundingNoise noise(OnnxModel model, Map<String, Tensor> batch) {
        return RoundingNoise.of(model, batch, Runtime.getRuntime().availableProcessors());
    }

    private static double error(
            OnnxSession original,
            OnnxSession candidate,
            Map<String, Tensor> batch,
            RoundingNoise noise) {
        try (var scope = new PointerScope()) {
            Map<String, Tensor> expected = original.run(batch, original.tensors());
            Map<String, Tensor> found = candidate.run(batch, original.tensors());
            double error = 0;
            for (Map.Entry<String, Tensor> output : expected.entrySet()) {
                Tensor other = found.get(output.getKey());
                error =
                        other == null
                                ? Double.POSITIVE_INFINITY
                                : Math.max(
                                        error,
                                        error(output.getValue(), other, noise.of(output.getKey())));
            }
            return error;
        }
    }

    private static double error(Tensor expected, Tensor found, double noise) {
        if (Tensors.type(expected) != Tensors.type(found)
                || !Arrays.equals(Tensors.shape(expected), Tensors.shape(found))) {
            return Double.POSITIVE_INFINITY;
        }
        Tensor a = expected.to(ScalarType.Double).flatten();
        Tensor b = found.to(ScalarType.Double).flatten();
        Tensor finite = a.isfinite().bitwise_and(b.isfinite());
        Tensor same = a.eq(b).bitwise_or(a.isnan().bitwise_and(b.isnan()));
        if (!finite.bitwise_or(same).all().item_bool()) {
            return Double.POSITIVE_INFINITY;
        }
        a = a.masked_select(finite);
        b = b.masked_select(finite);
        if (a.numel() == 0) {
            return 0;
        }
        double difference = a.sub(b).abs().max().item_double();
        double scale = a.abs().max().item_double();
        if (difference <= noise) {
            return 0;
        }
        return expected.is_floating_point() ? difference / scale : Double.POSITIVE_INFINITY;
    }

    /** The least times of both, taken until one is plainly no slower or patience ends. */
    private static PairedTime time(
            OnnxSession original, OnnxSession candidate, Map<String, Tensor> batch) {
        return PairedTime.of(
                original,
                candidate,
                batch,
                (least, turns) -> turns < TURNS || (turns < MOST_TURNS && least.speedup() < 1));
    }

    private static Map<String, List<Long>> shapes(Map<String, Tensor> batch) {
        var shapes = new LinkedHashMap<String, List<Long>>();
        batch.forEach((name, tensor) ->
                shapes.put(name, Arrays.stream(Tensors.shape(tensor)).boxed().toList()));
        return shapes;
    }

    private static long bytes(OnnxModel model) {
        return model.fitsOneMessage() ? model.toProto().getSerializedSize() : Repair.bytes(model);
    }

    /** Whether the results are the same, as far as rounding allows. */
    public boolean isSame() {
        return error <= MOST_ERROR;
    }

    /**
     * Why the repaired model is not to be written, as a sentence; empty if it may be. It may be
     * larger where functions came apart.
     */
    public Optional<String> objection() {
        if (!isSame()) {
            return Optional.of(
                    String.format(
                            Locale.ROOT,
                            "The repaired model's results differ by %.1e of their scale; up to %.0e"
                                    + " is rounding.",
                            error,
                            MOST_ERROR));
        }
        if (bytes > originalBytes && !repaired.changes().containsKey(Repair.FUNCTIONS)) {
            return Optional.of(
                    String.format(
                            Locale.ROOT,
                            "The repaired model would be larger: %,d bytes instead of %,d.",
                            bytes,
                            originalBytes));
        }
        boolean slower = time.candidate() > time.reference() * NOISE + NOISE_MS;
        if (slower && !repaired.changes().isEmpty()) {
            return Optional.of(
                    String.format(
                            Locale.ROOT,
                            "The repaired model would be slower: %.3f ms instead of %.3f.",
                            time.candidate(),
                            time.reference()));
        }
        return Optional.empty();
    }
}

package io.espalier.onnx.run;

import io.espalier.onnx.model.OnnxModel;
import io.espalier.tensor.EspalierException;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * How far a model's results are from themselves when ONNX Runtime computes them operator by
 * operator instead of fused: sums in another order, other approximations of exponentials. A
 * probability of 1e-7 may be all rounding, and no other model is to blame for differing there.
 */
public final class RoundingNoise {
    /** What two ways of computing differ by, others may exceed a little. */
    private static final double MARGIN = 4;

    private final Map<String, Double> largest = new HashMap<>();

    private RoundingNoise() {}

    /** Runs a model both ways on one batch. */
    public static RoundingNoise of(OnnxModel model, Map<String, Tensor> batch, int threads) {
        try (var scope = new PointerScope();
                var fused = OnnxSession.open(model, s -> s.threads(threads))) {
            return of(model, batch, fused.runTensors(batch), threads);
        } catch (EspalierException e) {
            return new RoundingNoise();
        }
    }

    /**
     * Runs a model operator by operator on one batch.
     *
     * @param expected what it gives fused
     */
    public static RoundingNoise of(
            OnnxModel model, Map<String, Tensor> batch, Map<String, Tensor> expected, int threads) {
        var noise = new RoundingNoise();
        try (var scope = new PointerScope();
                var plain = OnnxSession.open(model, s -> s.threads(threads).optimized(false))) {
            plain.run(batch, List.copyOf(expected.keySet()))
                    .forEach((name, found) -> noise.add(name, expected.get(name), found));
        } catch (EspalierException e) {
            // What runs in one way alone has nothing to be compared with.
            noise.largest.clear();
        }
        return noise;
    }

    private void add(String name, @Nullable Tensor expected, Tensor found) {
        if (expected == null || !expected.is_floating_point() || expected.numel() == 0) {
            return;
        }
        Tensor difference = expected.to(ScalarType.Double).sub(found.to(ScalarType.Double)).abs();
        double most = difference.nan_to_num().max().item_double();
        largest.put(name, Double.isFinite(most) ? most * MARGIN : 0);
    }

    /** Differences of a result that say nothing: up to this much, in its own unit. */
    public double of(String result) {
        return largest.getOrDefault(result, 0.0);
    }
}

package io.espalier.onnx.fit;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

import java.util.HashMap;
import java.util.Map;

/**
 * What results lose by values that become codes, to first order: the rounding of a value times the
 * gradient by it of a sum of all errors with random signs, whose square is the sum of their squares
 * in the mean over signs.
 *
 * @param <V> what names a value
 */
public final class RoundingLosses<V> {
    private final Map<V, Double> sums = new HashMap<>();

    /**
     * Adds what a value loses in a run that has gone backwards.
     *
     * @param tensor the value, [examples, …], which has kept its gradient
     * @param zeroPoint of codes from 0 to 255
     */
    public void add(V value, Tensor tensor, double scale, int zeroPoint) {
        Tensor gradient = tensor.grad();
        if (!gradient.defined()) {
            return;
        }
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            Tensor rounded =
                    torch.fake_quantize_per_tensor_affine(tensor, scale, zeroPoint, 0, 255);
            Tensor byExample =
                    rounded.sub_(tensor)
                            .mul_(gradient)
                            .reshape(tensor.size(0), -1)
                            .sum(new long[] {1});
            // Some examples lose a hundred times what others do; roots keep these from being all.
            sums.merge(value, byExample.abs().sum().item_double(), Double::sum);
        }
    }

    /** The mean over so many examples, of each value. */
    public Map<V, Double> ofExamples(long count) {
        Map<V, Double> losses = new HashMap<>();
        // Of normal numbers, the mean square from the mean size.
        sums.forEach((value, sum) -> losses.put(value, Math.PI / 2 * sum / count * (sum / count)));
        return losses;
    }
}

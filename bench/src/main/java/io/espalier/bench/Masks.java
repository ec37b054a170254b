package io.espalier.bench;

import io.espalier.prune.L1Unstructured;
import io.espalier.prune.Prune;
import io.espalier.prune.Target;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

import java.util.List;
import java.util.stream.Stream;

/**
 * Masks of weights, by the library and by two ways to get them from libtorch's operators: {@code
 * kthvalue}, which finds the threshold and gives up on equal magnitudes, and {@code topk}, which
 * sorts and is what PyTorch's own pruning calls.
 */
final class Masks {
    private final List<Tensor> weights;
    private final double share;

    /** The share of these weights. */
    Masks(List<Tensor> weights, double share) {
        this.weights = weights;
        this.share = share;
    }

    /** Layers of one size, drawn from the standard normal distribution. */
    static Masks of(int layers, long rows, long columns, double share) {
        return new Masks(
                Stream.generate(() -> Tensors.randn(rows, columns)).limit(layers).toList(), share);
    }

    long count() {
        return weights.stream().mapToLong(Tensor::numel).sum();
    }

    /** Prunes fresh modules, so that each time is the first. */
    void byPrune() {
        try (var scope = new PointerScope()) {
            List<Target> targets =
                    weights.stream()
                            .map(weight -> Prune.target(new Layer(weight.detach()), "weight"))
                            .toList();
            if (targets.size() == 1) {
                Prune.l1Unstructured(targets.getFirst().module(), "weight", share);
            } else {
                Prune.globalUnstructured(targets, L1Unstructured::new, share);
            }
            free(targets);
        }
    }

    /** A module keeps its mask beyond the scope until the collector comes; here it goes at once. */
    private static void free(List<Target> targets) {
        for (Target target : targets) {
            target.module().buffer("weight_mask").releaseReference();
        }
    }

    void byKthValue() {
        try (var scope = new PointerScope();
                var guard = new NoGradGuard()) {
            Tensor magnitudes = magnitudes();
            Tensor threshold = magnitudes.kthvalue(pruned()).get0();
            for (Tensor weight : weights) {
                weight.abs().gt(threshold).to(torch.ScalarType.Float);
            }
        }
    }

    void byTopK() {
        try (var scope = new PointerScope();
                var guard = new NoGradGuard()) {
            Tensor lowest = magnitudes().topk(pruned(), 0, false, true).get1();
            Tensor mask = torch.ones(count());
            mask.index_fill_(0, lowest, new Scalar(0));
        }
    }

    private long pruned() {
        return Math.max(1, Math.round(share * count()));
    }

    private Tensor magnitudes() {
        if (weights.size() == 1) {
            return weights.getFirst().abs().reshape(-1);
        }
        var flat = new TensorVector();
        weights.forEach(weight -> flat.push_back(weight.reshape(-1)));
        return torch.cat(flat).abs();
    }
}

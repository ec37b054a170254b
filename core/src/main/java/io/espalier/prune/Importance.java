package io.espalier.prune;

import io.espalier.data.DataLoader;
import io.espalier.nn.Module;
import io.espalier.tensor.Needed;
import io.espalier.tensor.Tensors;
import io.espalier.train.Loss;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.GeneratorOptional;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import java.util.function.UnaryOperator;

/**
 * How much each entry of a parameter matters: what is least important is pruned first.
 *
 * <pre>{@code
 * var importance = Importance.gradient(model, Losses.crossEntropy(), loader);
 * Prune.globalUnstructured(targets, new L1Unstructured(0.5), importance.scores(targets));
 * }</pre>
 *
 * <p>The scores are the {@code importance_scores} of PyTorch: any method takes them, also one that
 * prunes channels.
 */
@FunctionalInterface
public interface Importance {
    /**
     * The scores of several parameters, comparable with one another.
     *
     * @return for each target a tensor in the shape of its parameter, 0 or more each; an entry that
     *     is pruned already may have any score
     */
    SequencedMap<Target, Tensor> scores(List<Target> targets);

    /** The scores of one parameter. */
    default Tensor scores(Target target) {
        return scores(List.of(target)).firstEntry().getValue();
    }

    /**
     * The product of both scores, entry by entry. {@code magnitude().times(gradient(…))} is weight²
     * · |gradient|: what zeroing an entry costs to second order (LeCun et al., <a
     * href="https://proceedings.neurips.cc/paper/1989/hash/6c9882bbac1c7093bd25041881277658-Abstract.html">Optimal
     * Brain Damage</a>, 1989), with the size of its gradients for the curvature, as adaptive
     * optimizers have it.
     */
    default Importance times(Importance other) {
        Needed.of(other, "the other importance");
        return targets -> {
            SequencedMap<Target, Tensor> products = new LinkedHashMap<>();
            try (var scope = new PointerScope()) {
                SequencedMap<Target, Tensor> factors = other.scores(targets);
                scores(targets)
                        .forEach((target, score) -> {
                            Tensor factor = factors.get(target);
                            EntryScores.requireEach(factor, "'" + target.name() + "'", score);
                            products.put(target, Tensors.keep(score.mul(factor)));
                        });
            }
            return products;
        };
    }

    /**
     * The entries' absolute values (Han et al., <a
     * href="https://arxiv.org/abs/1506.02626">2015</a>).
     */
    static Importance magnitude() {
        return each(Tensor::abs);
    }

    /**
     * Magnitudes made comparable between layers: an entry's square divided by the sum of the
     * squares of all entries of its layer that are not smaller. Global pruning by it finds each
     * layer's share without a setting (LAMP; Lee et al., <a
     * href="https://arxiv.org/abs/2010.07611">Layer-adaptive Sparsity for the Magnitude-based
     * Pruning</a>, 2021).
     */
    static Importance lamp() {
        return each(Importance::lamp);
    }

    /** Uniform in [0, 1), the same for the same seed. */
    static Importance random(long seed) {
        return targets -> {
            try (var generator = torch.make_generator_cpu(seed)) {
                return each(value ->
                                torch.empty(Tensors.shape(value))
                                        .uniform_(0, 1, new GeneratorOptional(generator)))
                        .scores(targets);
            }
        };
    }

    /**
     * The change of the loss that zeroing an entry would make, to first order: |weight · gradient|,
     * summed over the batches of one epoch (Molchanov et al., <a
     * href="https://arxiv.org/abs/1906.10771">Importance Estimation for Neural Network Pruning</a>,
     * 2019). It is computed anew each time scores are asked for, in inference mode; the model, its
     * gradients and its modes are afterwards as they were.
     *
     * @param model the model that holds the targets
     * @param loss what training makes smaller
     * @param batches the examples to go by; a few hundred suffice
     */
    static Importance gradient(Module model, Loss loss, DataLoader batches) {
        return new GradientImportance(
                Needed.of(model, "the model"),
                Needed.of(loss, "the loss"),
                Needed.of(batches, "the batches"));
    }

    private static Importance each(UnaryOperator<Tensor> score) {
        return targets -> {
            SequencedMap<Target, Tensor> scores = new LinkedHashMap<>();
            for (Target target : targets) {
                try (var scope = new PointerScope();
                        var guard = new NoGradGuard()) {
                    scores.put(target, Tensors.keep(score.apply(DynamicMask.ranked(target))));
                }
            }
            return scores;
        };
    }

    private static Tensor lamp(Tensor value) {
        Tensor squares = value.to(torch.ScalarType.Double).square().reshape(-1);
        EntryScores.requireNumbers(squares);
        Tensor order = squares.argsort(true, 0, false);
        Tensor sorted = squares.index_select(0, order);
        Tensor notSmaller = sorted.flip(0).cumsum(0).flip(0);
        // Where all that is not smaller is zero, the entry is zero too.
        Tensor scores = sorted.div(notSmaller).nan_to_num();
        return torch.empty_like(squares)
                .scatter_(0, order, scores)
                .view_as(value)
                .to(value.scalar_type());
    }
}

package io.espalier.onnx.tune;

import io.espalier.nn.NamePattern;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.repair.Repair;
import io.espalier.prune.Amount;
import io.espalier.prune.L1Unstructured;
import io.espalier.prune.NmSparsity;
import io.espalier.prune.PruningMethod;
import io.espalier.prune.RandomUnstructured;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;

import java.util.List;
import java.util.function.Function;
import java.util.stream.Stream;

/**
 * Prunes the weights of an ONNX model's layers by masks: where a weight is pruned, the file has a
 * zero. No data is needed, and nothing has to run.
 *
 * <pre>{@code
 * PrunedModel pruned = OnnxPruner.l1(0.5).keep("*head*").prune(model);
 * pruned.model().save(Path.of("pruned.onnx"));
 * }</pre>
 *
 * <p>Layers are convolutions, products with constant matrices and recurrent layers, wherever their
 * weights hide: initializers, Constant nodes, transposed, reshaped or of another type on their way.
 * Tables, biases and normalizations are not pruned, nor what graphs inside nodes hold. A share is
 * one of the entries of all layers together; those that are zero already count. A pruner never
 * changes: each setting gives another.
 */
public final class OnnxPruner {
    private final Way way;
    private final boolean global;
    private final List<NamePattern> kept;

    private OnnxPruner(Way way, boolean global, List<NamePattern> kept) {
        this.way = way;
        this.global = global;
        this.kept = kept;
    }

    /** How entries are chosen. */
    sealed interface Way {
        /** By rank. */
        record Ranking(Function<Amount, ? extends PruningMethod.Unstructured> method, Amount amount)
                implements Way {}

        /** In groups along a layer's inputs. */
        record Groups(int n, int m) implements Way {}
    }

    /**
     * Prunes a share of the entries, those of smallest magnitude.
     *
     * @throws EspalierException unless the share is from 0 to 1
     */
    public static OnnxPruner l1(double share) {
        return of(new Way.Ranking(L1Unstructured::new, Amount.share(share)));
    }

    /**
     * Prunes a share of the entries at random, by libtorch's generator ({@link
     * io.espalier.tensor.Libtorch#seed}).
     *
     * @throws EspalierException unless the share is from 0 to 1
     */
    public static OnnxPruner random(double share) {
        return of(new Way.Ranking(RandomUnstructured::new, Amount.share(share)));
    }

    /**
     * Keeps n of every m neighbours along a layer's inputs, those of largest magnitude, as {@link
     * NmSparsity}. Layers whose inputs don't make groups of m stay as they are.
     *
     * @throws EspalierException unless 0 ≤ n ≤ m and m ≥ 1
     */
    public static OnnxPruner nOfM(int n, int m) {
        var checked = new NmSparsity(n, m);
        return of(new Way.Groups(checked.n(), checked.m()));
    }

    private static OnnxPruner of(Way way) {
        return new OnnxPruner(way, way instanceof Way.Ranking, List.of());
    }

    /**
     * Takes the share of each layer by itself, instead of all layers together as if their weights
     * were one tensor. Together more goes where weights are small, and accuracy comes back further;
     * by itself each layer is as sparse as the others.
     */
    public OnnxPruner perLayer() {
        return new OnnxPruner(way, false, kept);
    }

    /**
     * Leaves layers as they are, besides those named before.
     *
     * @param patterns names of nodes or of weights, in which {@code *} stands for anything
     */
    public OnnxPruner keep(String... patterns) {
        List<NamePattern> more =
                Stream.concat(
                                kept.stream(),
                                Needed.all(patterns, "the layers to keep").stream()
                                        .map(NamePattern::of))
                        .toList();
        return new OnnxPruner(way, global, more);
    }

    /**
     * Prunes a model, which stays as it is. Functions of its own come apart, so that the weights of
     * each call are seen, and weights that are inputs with a default are constants in what is
     * pruned.
     *
     * @throws EspalierException if no layer is left to prune, a pattern is no layer's name, or a
     *     weight holds NaN
     */
    public PrunedModel prune(OnnxModel model) {
        Needed.of(model, "the model");
        return new WeightPruning(
                        Repair.withoutFunctions(model.withWeightsTaken()), way, global, kept)
                .run();
    }
}

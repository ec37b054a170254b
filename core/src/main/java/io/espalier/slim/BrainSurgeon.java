package io.espalier.slim;

import io.espalier.tensor.Internal;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarOptional;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.T_TensorTensor_T;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.List;

/**
 * What a layer loses by an input that goes when the others make up for it as well as they can, by
 * least squares: {@code |W_j|² / [H⁻¹]_jj}, with {@code H = XᵀX} of what the layer is given
 * (Hassibi and Stork, <a
 * href="https://proceedings.neurips.cc/paper/1992/hash/303ed4c69846ab36c2904d3ba8573050-Abstract.html">Second
 * order derivatives for network pruning: Optimal Brain Surgeon</a>, 1992; for blocks of inputs
 * Kurtic, Frantar and Alistarh, <a href="https://arxiv.org/abs/2302.04089">ZipLM</a>, 2023).
 *
 * <p>Both the weight and {@code H⁻¹} follow each removal, so that the loss of the next is exact.
 *
 * <p>What least squares gives varies less than what is wanted, by what is lost, and layer after
 * layer results come nearer to what they are on average. So weights are scaled, halfway to as much
 * as is wanted.
 */
@Internal
public final class BrainSurgeon implements InputCosts {
    /** Of the mean of H's diagonal, added to it: Frantar and Alistarh's. */
    private static final double DAMPING = 0.01;

    /**
     * Of the squares of the inputs' means: what rounding in single precision leaves where an input
     * is the same in all examples.
     */
    private static final double NOISE = 1e-12;

    private static final double MORE = 10;

    /**
     * Of what the layers before have lost, a layer makes up for so much: all of it would fit the
     * calibration data better, and other data worse.
     */
    private static final double MADE_UP = 0.5;

    /** Of the logarithm of how much more what is wanted varies, a layer makes up for so much. */
    private static final double RESTORED = 0.5;

    /** An output doesn't get more times the variance that is left of it. */
    private static final double MOST_RESTORED = 4;

    /** So many columns are taken off the inverse at once, since that reads all of it. */
    private static final int TOGETHER = 64;

    private final Tensor weight;
    private final double energy;

    /** What is added to H's diagonal, [inputs, 1]. */
    private final Tensor damping;

    /** Of each output, {@code WᵀHW} and what it is wanted to be without the damping. */
    private final Tensor explained;

    private final Tensor wanted;

    /** Which inputs are not the same in all examples, or, if not about means, not always 0. */
    private final Tensor varies;

    /** 1 for what is gone, which then has a loss of nothing. */
    private final Tensor gone;

    /** The inverse is {@code inverse − laterᵀ later}, [inputs, inputs]. */
    private final Tensor inverse;

    /** Of its [TOGETHER, inputs], the rows that wait. */
    private final Tensor later;

    private int waiting;

    private BrainSurgeon(
            Tensor weight,
            Tensor damping,
            Tensor explained,
            Tensor wanted,
            Tensor inverse,
            Tensor varies,
            Tensor gone,
            Tensor later,
            double energy) {
        this.weight = weight;
        this.damping = damping;
        this.explained = explained;
        this.wanted = wanted;
        this.inverse = inverse;
        this.varies = varies;
        this.energy = energy;
        this.gone = gone;
        this.later = later;
    }

    /**
     * Begins with the weight of least squared error to outputs halfway between those wanted and
     * those that the weight at the start gives, held to that weight by the damping and, for each
     * input by its own square, by what of the products is chance. An input that is the same in all
     * examples loses nothing, however the damping holds its weights, and one that the weight at the
     * start takes nothing of stays so.
     *
     * @param sums means of what the layer is given and of outputs that are wanted, of one group;
     *     about their means, maybe
     * @param start the weight now, doubles [inputs, outputs]
     * @param chance how much of the products of different inputs is chance, from 0 to 1
     */
    public static BrainSurgeon of(LayerSums.Moments sums, Tensor start, double chance) {
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            Tensor xx = sums.xx().squeeze(0);
            Tensor squares = sums.meanX().reshape(-1).square();
            double mean = xx.diagonal().mean().item_double();
            double ridge = Math.max(DAMPING * mean, NOISE * squares.mean().item_double());
            Tensor used = start.ne(new Scalar(0)).any(1).to(ScalarType.Double);
            Tensor shrunk = xx.mul(used).mul_(used.unsqueeze(1));
            shrunk.diagonal().mul_(new Scalar(1 + chance));
            Tensor root = root(shrunk, ridge > 0 ? ridge : 1);
            Tensor damping = sum(root.square(), 1).sub_(xx.diagonal().mul(used)).unsqueeze(1);
            Tensor inverse = torch.cholesky_inverse(root);
            Tensor given = xx.matmul(start);
            Tensor missing = sums.yx().squeeze(0).t().sub(given).mul_(used.unsqueeze(1));
            Tensor weight = start.add(inverse.matmul(missing).mul(new Scalar(MADE_UP)));
            double energy = start.mul(given).sum().item_double();
            long inputs = inverse.size(0);
            Tensor varies = xx.diagonal().gt(squares.mul(new Scalar(NOISE)));
            Tensor gone = Tensors.zeros(ScalarType.Double, inputs);
            Tensor later = Tensors.zeros(ScalarType.Double, TOGETHER, inputs);
            return new BrainSurgeon(
                            weight,
                            damping,
                            sum(root.t().matmul(weight).square_(), 0),
                            sums.yy().reshape(-1).clone(),
                            inverse,
                            varies,
                            gone,
                            later,
                            energy > 0 ? energy : 1)
                    .kept();
        }
    }

    /** The root of what it damps, more where few or equal examples leave it without one. */
    private static Tensor root(Tensor xx, double ridge) {
        double added = 0;
        for (double wanted = ridge; ; wanted *= MORE) {
            xx.diagonal().add_(new Scalar(wanted - added));
            added = wanted;
            T_TensorTensor_T found = torch.linalg_cholesky_ex(xx);
            if (found.get1().item_int() == 0) {
                return found.get0();
            }
        }
    }

    private BrainSurgeon kept() {
        held().forEach(Tensors::keep);
        return this;
    }

    private List<Tensor> held() {
        return List.of(weight, damping, explained, wanted, inverse, varies, gone, later);
    }

    private static Tensor sum(Tensor of, long dim) {
        return of.sum(new long[] {dim}, false, new ScalarTypeOptional());
    }

    private Tensor waitingRows() {
        return later.narrow(0, 0, waiting);
    }

    @Override
    public Tensor losses(Tensor units) {
        Tensor each =
                units.size(1) == 1 ? alone(units.reshape(-1)) : together(units, units.size(1));
        return each.div(new Scalar(energy));
    }

    /** The weights by which something is lost. */
    private Tensor lost() {
        return weight.mul(varies.unsqueeze(1));
    }

    private Tensor alone(Tensor inputs) {
        Tensor squares = sum(lost().square(), 1);
        Tensor off = sum(waitingRows().square(), 0);
        Tensor diagonal = inverse.diagonal().sub(off).add_(gone);
        return squares.div_(diagonal).index_select(0, inputs);
    }

    private Tensor together(Tensor units, long inputs) {
        Tensor flat = units.reshape(-1);
        Tensor rows = lost().index_select(0, flat).reshape(units.size(0), inputs, -1);
        Tensor off =
                waitingRows()
                        .index_select(1, flat)
                        .reshape(waiting, units.size(0), inputs)
                        .permute(1, 2, 0);
        Tensor places = units.unsqueeze(2).mul(new Scalar(inverse.size(0))).add(units.unsqueeze(1));
        Tensor blocks = inverse.take(places).sub_(off.matmul(off.transpose(1, 2)));
        blocks.diagonal(0, 1, 2).add_(gone.take(units));
        return torch.linalg_solve(blocks, rows)
                .mul_(rows)
                .sum(new long[] {1, 2}, false, new ScalarTypeOptional());
    }

    @Override
    public void remove(Tensor inputs) {
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            long count = inputs.size(0);
            if (waiting + count > TOGETHER) {
                settle();
            }
            // The inverse is symmetric, and rows of it lie together.
            Tensor off = waitingRows().index_select(1, inputs).t().matmul(waitingRows());
            Tensor rows = inverse.index_select(0, inputs).sub_(off);
            Tensor block = rows.index_select(1, inputs);
            block.diagonal().add_(gone.index_select(0, inputs));
            Tensor root = torch.linalg_cholesky(block);
            // Both what is taken off and what makes up for it are products with this.
            Tensor part = torch.linalg_solve(root, rows);
            Tensor taken = torch.linalg_solve(root, weight.index_select(0, inputs));
            weight.addmm_(part.t(), taken, new Scalar(1), new Scalar(-1));
            explained.sub_(sum(taken.square_(), 0));
            gone.index_fill_(0, inputs, new Scalar(1));
            if (count > TOGETHER) {
                inverse.addmm_(part.t(), part, new Scalar(1), new Scalar(-1));
            } else {
                later.narrow(0, waiting, count).copy_(part);
                waiting += (int) count;
            }
        }
    }

    private void settle() {
        inverse.addmm_(waitingRows().t(), waitingRows(), new Scalar(1), new Scalar(-1));
        waiting = 0;
    }

    @Override
    public Tensor weight() {
        // What is gone is a rounding error away from zero.
        Tensor left = weight.mul(gone.eq(new Scalar(0)).unsqueeze(1));
        Tensor variance = explained.sub(sum(left.square().mul_(damping), 0));
        Tensor more = wanted.div(variance.clamp_min_(new Scalar(Double.MIN_NORMAL)));
        // Made anew: what is made once goes with the scope in which it was.
        var one = new ScalarOptional(new Scalar(1.0));
        var most = new ScalarOptional(new Scalar(MOST_RESTORED));
        return left.mul_(more.clamp_(one, most).pow_(new Scalar(RESTORED / 2)));
    }

    @Override
    public InputCosts copy() {
        try (var scope = new PointerScope()) {
            var copy =
                    new BrainSurgeon(
                            weight.clone(),
                            damping,
                            explained.clone(),
                            wanted,
                            inverse.clone(),
                            varies.clone(),
                            gone.clone(),
                            later.clone(),
                            energy);
            copy.waiting = waiting;
            return copy.kept();
        }
    }

    @Override
    public void close() {
        held().forEach(Tensor::releaseReference);
    }
}

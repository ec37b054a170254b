package io.espalier.slim;

import io.espalier.nn.Module;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.ArrayList;
import java.util.List;

/**
 * What a model gives for some data, and how far it is from that later: 1 less the cosine, as a mean
 * over the rows of the result that differs most.
 */
final class ModelResults implements AutoCloseable {
    /** Rows shorter than this are looked at together, example by example. */
    private static final int SHORTEST_ROW = 16;

    private final Module model;
    private final List<Tensor> batches = new ArrayList<>();
    private final List<List<Tensor>> wanted = new ArrayList<>();

    /**
     * Runs the model, which is in inference mode.
     *
     * @param examples as many batches are looked at as have these together
     */
    ModelResults(Module model, Iterable<Tensor> data, int examples) {
        this.model = model;
        long seen = 0;
        for (Tensor batch : data) {
            if (seen >= examples) {
                break;
            }
            try (var scope = new PointerScope();
                    var noGrad = new NoGradGuard()) {
                batches.add(Tensors.keep(batch.clone()));
                wanted.add(rows(batch).stream().map(rows -> Tensors.keep(rows.clone())).toList());
                seen += batch.dim() == 0 ? 1 : batch.size(0);
            }
        }
    }

    /** All results of real numbers, as rows of doubles. */
    private List<Tensor> rows(Tensor batch) {
        return model.callAll(List.of(batch)).stream()
                .filter(result -> result.is_floating_point() && result.numel() > 0)
                .map(result -> {
                    long last = result.dim() == 0 ? 1 : result.size(-1);
                    long examples = result.dim() == 0 ? 1 : result.size(0);
                    long row = last >= SHORTEST_ROW ? last : result.numel() / examples;
                    // A single number has no direction; those of all examples have.
                    return result.to(ScalarType.Double)
                            .reshape(row == 1 ? new long[] {1, -1} : new long[] {-1, row});
                })
                .toList();
    }

    /** How far the model's results are now, from 0 on; 1 where some are no numbers. */
    double drop() {
        List<Double> sums = new ArrayList<>();
        List<Long> counts = new ArrayList<>();
        for (int b = 0; b < batches.size(); b++) {
            try (var scope = new PointerScope();
                    var noGrad = new NoGradGuard()) {
                List<Tensor> found = rows(batches.get(b));
                for (int r = 0; r < found.size(); r++) {
                    if (sums.size() == r) {
                        sums.add(0.0);
                        counts.add(0L);
                    }
                    sums.set(r, sums.get(r) + apart(wanted.get(b).get(r), found.get(r)));
                    counts.set(r, counts.get(r) + found.get(r).size(0));
                }
            }
        }
        double worst = 0;
        for (int r = 0; r < sums.size(); r++) {
            double mean = sums.get(r) / counts.get(r);
            worst = Double.isFinite(mean) ? Math.max(worst, mean) : 1;
        }
        return worst;
    }

    /** The sum over rows of 1 less their cosine. */
    private static double apart(Tensor wanted, Tensor found) {
        Tensor lengths = length(wanted).mul(length(found));
        Tensor product = wanted.mul(found).sum(1L);
        Tensor cosine = product.div(lengths.clamp_min(new Scalar(Double.MIN_NORMAL)));
        Tensor bothZero = length(wanted).add(length(found)).eq(new Scalar(0.0));
        Tensor apart = cosine.neg().add(new Scalar(1)).clamp_min(new Scalar(0.0));
        return apart.masked_fill(bothZero, new Scalar(0.0)).sum().item_double();
    }

    private static Tensor length(Tensor rows) {
        return rows.square().sum(1L).sqrt();
    }

    @Override
    public void close() {
        batches.forEach(Tensor::releaseReference);
        wanted.forEach(each -> each.forEach(Tensor::releaseReference));
    }
}

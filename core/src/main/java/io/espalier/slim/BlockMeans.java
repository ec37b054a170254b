package io.espalier.slim;

import io.espalier.nn.Hook;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import java.util.stream.IntStream;

/** What a block of a Java model gives on average, for each of its channels. */
final class BlockMeans implements Hook {
    private final Tensor sum;
    private long count;
    private boolean fits = true;

    private BlockMeans(Tensor sum) {
        this.sum = sum;
    }

    /**
     * Those of blocks for some data; without those that have other extents there than on the
     * example. The model is in inference mode.
     *
     * @param examples as many batches are looked at as have these together
     */
    static SequencedMap<ModelBlock, Tensor> of(
            ModelAnalysis analysis, List<ModelBlock> blocks, Iterable<Tensor> data, int examples) {
        List<BlockMeans> all = new ArrayList<>();
        List<Hook.Registration> hooks = new ArrayList<>();
        try {
            for (ModelBlock block : blocks) {
                all.add(new BlockMeans(nothing(analysis, block).to(ScalarType.Double)));
                hooks.add(analysis.model().module(block.giver()).onOutput(all.getLast()));
            }
            long seen = 0;
            for (Tensor batch : data) {
                if (seen >= examples) {
                    break;
                }
                try (var scope = new PointerScope();
                        var noGrad = new NoGradGuard()) {
                    analysis.model().callAll(List.of(batch));
                }
                seen += batch.dim() == 0 ? 1 : batch.size(0);
            }
        } finally {
            hooks.forEach(Hook.Registration::close);
        }
        SequencedMap<ModelBlock, Tensor> means = new LinkedHashMap<>();
        for (int b = 0; b < all.size(); b++) {
            BlockMeans found = all.get(b);
            if (found.fits && found.count > 0) {
                Tensor mean = found.sum.div(new Scalar((double) found.count));
                means.put(blocks.get(b), mean.to(analysis.type(blocks.get(b).branch())));
            }
        }
        return means;
    }

    /** Zeros for each channel of what a block gives. */
    static Tensor nothing(ModelAnalysis analysis, ModelBlock block) {
        ChannelValue value = analysis.value(block.branch());
        long[] shape = value.extents().clone();
        for (int d = 0; d < shape.length; d++) {
            shape[d] = value.axes().get(d).isPlain() ? 1 : shape[d];
        }
        return Tensors.zeros(analysis.type(block.branch()), shape);
    }

    @Override
    public List<Tensor> apply(io.espalier.nn.Module module, List<Tensor> results) {
        Tensor value = results.getFirst().detach();
        int rank = (int) sum.dim();
        fits &=
                value.dim() == rank
                        && IntStream.range(0, rank)
                                .allMatch(d -> sum.size(d) == 1 || sum.size(d) == value.size(d));
        if (fits) {
            long[] others =
                    IntStream.range(0, rank).filter(d -> sum.size(d) == 1).asLongStream().toArray();
            var exact = value.to(ScalarType.Double);
            sum.add_(exact.sum(others, true, new ScalarTypeOptional()));
            count += value.numel() / sum.numel();
        }
        return results;
    }
}

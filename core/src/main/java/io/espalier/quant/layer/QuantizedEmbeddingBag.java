package io.espalier.quant.layer;

import io.espalier.nn.Bags;
import io.espalier.nn.EmbeddingBag;
import io.espalier.nn.EmbeddingBag.Mode;
import io.espalier.nn.Module;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

import java.util.List;
import java.util.Map;
import java.util.OptionalLong;

/**
 * Sums, means and maxima of bags of quantized vectors. The kernel sums; means and maxima, and a
 * padding that counts in no bag, are made of it (PyTorch's layer sums whatever its mode says).
 */
final class QuantizedEmbeddingBag extends QuantizedTable {
    private final EmbeddingBag.Options options;

    QuantizedEmbeddingBag(TableRows rows, EmbeddingBag.Options options) {
        super(rows);
        this.options = options;
    }

    static QuantizedEmbeddingBag read(Map<String, Tensor> tensors, Map<String, String> attributes) {
        TableRows rows = rows(tensors, attributes);
        var options =
                new EmbeddingBag.Options(
                        Attributes.choice(attributes, "mode", Mode.class),
                        attributes.containsKey("padding_idx")
                                ? OptionalLong.of(
                                        Attributes.number(
                                                attributes, "padding_idx", 0, rows.count() - 1))
                                : OptionalLong.empty(),
                        Attributes.flag(attributes, "include_last_offset"));
        return new QuantizedEmbeddingBag(rows, options);
    }

    @Override
    protected List<Tensor> forwardAll(List<Tensor> inputs) {
        Bags bags = Bags.of(this, options, inputs);
        return List.of(
                switch (options.mode()) {
                    case SUM -> rows().sums(bags.indices(), bags.offsets(), counting(bags));
                    case MEAN -> means(bags);
                    case MAX -> maxima(bags);
                });
    }

    private Tensor means(Bags bags) {
        @Nullable Tensor counting = counting(bags);
        Tensor sums = rows().sums(bags.indices(), bags.offsets(), counting);
        Tensor ones = counting == null ? torch.ones_like(bags.indices()) : counting;
        Tensor sizes =
                Tensors.zeros(bags.offsets().numel())
                        .index_add(
                                0,
                                TableRows.bagOfEach(bags.indices(), bags.offsets()),
                                ones.to(ScalarType.Float))
                        .clamp(new ScalarOptional(new Scalar(1L)));
        return sums.div(sizes.unsqueeze(1));
    }

    private Tensor maxima(Bags bags) {
        TableRows rows = rows();
        Tensor indices = bags.indices();
        Tensor bagOfEach = TableRows.bagOfEach(bags.indices(), bags.offsets());
        if (options.paddingIndex().isPresent()) {
            Tensor kept = isNoPadding(indices).nonzero().reshape(-1);
            indices = indices.index_select(0, kept);
            bagOfEach = bagOfEach.index_select(0, kept);
        }
        Tensor vectors = rows.vectors(indices);
        return Tensors.zeros(bags.offsets().numel(), rows.size())
                .scatter_reduce(
                        0, bagOfEach.unsqueeze(1).expand_as(vectors), vectors, "amax", false);
    }

    /** What each vector counts in a sum: its weight, and nothing if it is padding. */
    private @Nullable Tensor counting(Bags bags) {
        @Nullable Tensor weights = bags.weights();
        Tensor given = weights == null ? null : weights.detach().to(ScalarType.Float).contiguous();
        if (options.paddingIndex().isEmpty()) {
            return given;
        }
        Tensor counts = isNoPadding(bags.indices()).to(ScalarType.Float);
        return given == null ? counts : given.mul(counts);
    }

    private Tensor isNoPadding(Tensor indices) {
        return indices.ne(new Scalar(options.paddingIndex().orElseThrow()));
    }

    @Override
    public boolean standsFor(Module layer) {
        return layer instanceof EmbeddingBag table
                && table.options().equals(options)
                && table.numEmbeddings() == rows().count()
                && table.embeddingDim() == rows().size();
    }

    @Override
    public Map<String, String> attributes() {
        Map<String, String> attributes = super.attributes();
        attributes.put("mode", options.mode().name());
        attributes.put("include_last_offset", Boolean.toString(options.includeLastOffset()));
        options.paddingIndex()
                .ifPresent(index -> attributes.put("padding_idx", Long.toString(index)));
        return attributes;
    }
}

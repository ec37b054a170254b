package io.espalier.onnx.slim;

import io.espalier.onnx.compare.Padding;
import io.espalier.onnx.fit.ReferenceStream;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.repair.Repair;
import io.espalier.slim.BlockWidths;
import io.espalier.slim.ChannelValue;
import io.espalier.slim.Cut;
import io.espalier.slim.Group;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalInt;
import java.util.function.IntFunction;
import java.util.stream.IntStream;

/**
 * Residual blocks that may be left out of a model whose groups have widths: in the place of a block
 * stands what it gives on average, for each of its channels.
 */
final class LeftOutBlocks extends BlockWidths<ResidualBlock> {
    private final Analysis analysis;
    private final List<ConstantTensor> means;

    private LeftOutBlocks(
            Analysis analysis, int groups, List<ResidualBlock> blocks, List<ConstantTensor> means) {
        super(groups, blocks, ResidualBlock::contains);
        this.analysis = analysis;
        this.means = means;
    }

    /** Where all stay. */
    static LeftOutBlocks none(OnnxSlimmer of, List<Group> groups) {
        return new LeftOutBlocks(of.analysis(), groups.size(), List.of(), List.of());
    }

    /** Those with some of these groups, and what they give on average. */
    static LeftOutBlocks of(OnnxSlimmer of, List<Group> groups, List<Map<String, Tensor>> data) {
        List<ResidualBlock> blocks =
                of.blocks().stream()
                        .filter(block -> groups.stream().anyMatch(block::contains))
                        .toList();
        List<ConstantTensor> means = new ArrayList<>();
        List<Padding> padding = data.stream().map(Padding::of).toList();
        try (var stream = new ReferenceStream(of.model(), data)) {
            blocks.forEach(block -> stream.hold(block.branch()));
            for (ResidualBlock block : blocks) {
                means.add(mean(stream, block.branch(), of.analysis(), padding));
                stream.release(block.branch());
            }
        }
        return new LeftOutBlocks(of.analysis(), groups.size(), blocks, means);
    }

    private static ConstantTensor mean(
            ReferenceStream stream, String branch, Analysis analysis, List<Padding> padding) {
        List<Integer> own = ResidualBlock.dimensions(analysis, branch);
        long[] extents = Objects.requireNonNull(analysis.extents(branch));
        long[] shape =
                IntStream.range(own.getFirst(), extents.length)
                        .mapToLong(d -> own.contains(d) ? extents[d] : 1)
                        .toArray();
        boolean isLast = own.equals(List.of(extents.length - 1));
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            Tensor sum = Tensors.zeros(ScalarType.Double, shape);
            long count = 0;
            for (int batch = 0; batch < stream.batches(); batch++) {
                try (var inner = new PointerScope()) {
                    Tensor value = stream.value(branch, batch);
                    // Of texts only what is no padding counts, a row for each position.
                    Tensor seen = isLast ? padding.get(batch).visible(value) : value;
                    sum.add_(added(seen, extents.length, own).reshape(shape));
                    count += seen.numel() / sum.numel();
                }
            }
            ScalarType type = analysis.elements(branch).libtorch();
            return ConstantTensor.of(sum.div(new Scalar((double) count)).to(type));
        }
    }

    /** The sums along all dimensions but those of the channels, counted in so many. */
    private static Tensor added(Tensor value, int rank, List<Integer> own) {
        int fewer = rank - (int) value.dim();
        long[] others =
                IntStream.range(fewer, rank)
                        .filter(d -> !own.contains(d))
                        .mapToLong(d -> d - (long) fewer)
                        .toArray();
        return value.to(ScalarType.Double).sum(others, true, new ScalarTypeOptional());
    }

    /** The block that a node belongs to. */
    OptionalInt of(OnnxNode node) {
        return first(block -> block.nodes().contains(node));
    }

    /** The block that a constant belongs to. */
    OptionalInt of(String constant) {
        return first(block -> block.constants().contains(constant));
    }

    /** The model without those that are left out at these widths, as it is otherwise. */
    OnnxModel out(OnnxModel model, int[] widths) {
        return isAnyOut(widths)
                ? model.rewritten(graph -> leaveOut(graph, widths, means::get))
                : model;
    }

    /**
     * The same of a model that has lost channels, cleaned up.
     *
     * @param gone what it has lost
     */
    OnnxModel out(OnnxModel model, int[] widths, Cut gone) {
        OnnxModel out =
                model.rewritten(graph -> leaveOut(graph, widths, block -> left(block, gone)));
        return Repair.run(out).model();
    }

    private void leaveOut(OnnxGraph graph, int[] widths, IntFunction<ConstantTensor> mean) {
        for (int b = 0; b < count(); b++) {
            if (isOut(b, widths)) {
                ResidualBlock block = block(b);
                OnnxNode sum = Objects.requireNonNull(graph.producer(block.sum()));
                String average = graph.addConstant(block.branch() + "_mean", mean.apply(b));
                List<String> inputs = new ArrayList<>(sum.inputs());
                inputs.replaceAll(name -> name.equals(block.branch()) ? average : name);
                graph.replace(sum, sum.withInputs(inputs));
            }
        }
        graph.removeUnused();
    }

    private ConstantTensor left(int block, Cut gone) {
        ChannelValue value = Objects.requireNonNull(analysis.value(block(block).branch()));
        ConstantTensor mean = means.get(block);
        int first = value.rank() - mean.shape().size();
        for (int d = first; d < value.rank(); d++) {
            if (gone.cuts(value.axes().get(d))) {
                int length = Math.toIntExact(value.extents()[d]);
                mean = Slices.keep(mean, d - first, gone.kept(value.axes().get(d), length));
            }
        }
        return mean;
    }
}

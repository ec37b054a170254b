package io.espalier.onnx.slim;

import io.espalier.onnx.compare.Padding;
import io.espalier.onnx.fit.LayerBiases;
import io.espalier.onnx.fit.LayerRows;
import io.espalier.onnx.fit.NormalEquations;
import io.espalier.onnx.fit.ReferenceStream;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.slim.End.Side;
import io.espalier.slim.BrainSurgeon;
import io.espalier.slim.Group;
import io.espalier.slim.GroupReaders;
import io.espalier.slim.InputActivity;
import io.espalier.slim.InputCosts;
import io.espalier.slim.Place;
import io.espalier.slim.UnitInputs;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;

/** A layer with a weight of its own in whose sums channels of units end. */
final class ReadingLayer implements GroupReaders.Layer {
    private final OnnxNode node;
    private final ConstantTensor weight;
    private final LayerRows rows;
    private final Place place;
    private final long columns;
    private final Optional<LayerBiases.Bias> bias;
    private @Nullable InputCosts costs;
    private @Nullable Tensor meanX;
    private @Nullable Tensor meanY;

    private ReadingLayer(
            OnnxNode node,
            ConstantTensor weight,
            LayerRows rows,
            Place place,
            Optional<LayerBiases.Bias> bias) {
        this.node = node;
        this.weight = weight;
        this.rows = rows;
        this.place = place;
        this.bias = bias;
        long inputs = weight.shape().get(place.dimension());
        columns = inputs(weight, place, node) / inputs;
    }

    private static long inputs(ConstantTensor weight, Place place, OnnxNode node) {
        long outputs = weight.shape().get(node.is("Conv") ? 0 : 1 - place.dimension());
        return weight.elements() / outputs;
    }

    /** The layer of a node where channels end; empty if it is none whose inputs can be weighed. */
    private static Optional<ReadingLayer> of(OnnxGraph graph, End end, LayerBiases biases) {
        Side other = end.other();
        OnnxNode node = end.node();
        ConstantTensor weight = node.inputs().size() < 2 ? null : graph.constant(node.input(1));
        if (other == null
                || weight == null
                || other.operand() != 1
                || end.groups() != 1
                || !weight.type().isFloating()
                || weight.elements() == 0
                || graph.onlyReader(node.input(1)) != node) {
            return Optional.empty();
        }
        Optional<LayerRows> rows = LayerRows.of(node, weight.shape());
        if (rows.isEmpty()) {
            return Optional.empty();
        }
        var place = new Place(node.input(1), other.dimension());
        long inputs = inputs(weight, place, node);
        return inputs > InputCosts.MOST_INPUTS
                ? Optional.empty()
                : Optional.of(
                        new ReadingLayer(
                                node,
                                weight,
                                rows.get(),
                                place,
                                biases.of(node, weight.elements() / inputs)));
    }

    /**
     * Those of a model in which channels of groups end.
     *
     * @param ends where channels end
     */
    static GroupReaders<ReadingLayer> readers(
            OnnxModel model, List<End> ends, Collection<Group> groups) {
        OnnxGraph graph = model.graph();
        var biases =
                new LayerBiases(
                        graph, Map.of(), name -> true, name -> graph.producer(name) != null);
        var readers = new GroupReaders<ReadingLayer>(groups);
        ends.forEach(end -> of(graph, end, biases).ifPresent(readers::add));
        return readers;
    }

    OnnxNode node() {
        return node;
    }

    /** The dimension of its weight in whose sums channels end. */
    Place place() {
        return place;
    }

    @Override
    public boolean reads(Group group) {
        return group.units().getFirst().slices().containsKey(place);
    }

    /** The value that says what the layer should give. */
    String target() {
        return bias.map(LayerBiases.Bias::target).orElse(node.output());
    }

    /**
     * Takes in what the layer is given and what it should give.
     *
     * @param padding what of each batch nobody reads
     * @param solves whether what stays makes up for what goes
     */
    void take(
            ReferenceStream given, ReferenceStream wanted, List<Padding> padding, boolean solves) {
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            NormalEquations.Means means = means(given, wanted, padding, solves);
            Tensor xx = means.of().xx();
            InputCosts.requireFinite(xx, node.name());
            Tensor start = rows.matrix(weight.toTensor().to(ScalarType.Double)).squeeze(0).t();
            costs =
                    solves
                            ? BrainSurgeon.of(means.of(), start, means.chance())
                            : InputActivity.of(xx.squeeze(0), start);
            meanX = Tensors.keep(means.of().meanX().reshape(1, -1).clone());
            meanY = Tensors.keep(means.of().meanY().reshape(-1).clone());
        }
    }

    private NormalEquations.Means means(
            ReferenceStream given, ReferenceStream wanted, List<Padding> padding, boolean solves) {
        try (var sums = new NormalEquations()) {
            for (int batch = 0; batch < given.batches(); batch++) {
                try (var inner = new PointerScope()) {
                    Tensor x = given.value(node.input(0), batch).to(ScalarType.Float);
                    Tensor y = wanted.value(target(), batch).to(ScalarType.Float);
                    if (rows instanceof LayerRows.Product) {
                        x = padding.get(batch).visible(x);
                        y = padding.get(batch).visible(y);
                    }
                    rows.addTo(sums, x, y);
                }
            }
            return sums.means(solves && bias.isPresent());
        }
    }

    @Override
    public InputCosts costs() {
        return Objects.requireNonNull(costs, "nothing was taken in");
    }

    @Override
    public Tensor inputs(Group group) {
        return UnitInputs.of(group, place, columns);
    }

    /** Constants that have other values now: the weight, and the bias if it was solved for. */
    Map<String, ConstantTensor> constants(OnnxGraph graph, boolean solves) {
        return constants(costs(), graph, solves);
    }

    /** The same of costs from which something else was taken. */
    Map<String, ConstantTensor> constants(InputCosts costs, OnnxGraph graph, boolean solves) {
        Map<String, ConstantTensor> changed = new HashMap<>();
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            Tensor found = costs.weight();
            Tensor matrix = found.t().unsqueeze(0);
            changed.put(node.input(1), like(weight, rows.weight(matrix)));
            if (solves) {
                Tensor given = Objects.requireNonNull(meanX).matmul(found).reshape(-1);
                Tensor more = Objects.requireNonNull(meanY).sub(given);
                bias.ifPresent(b -> {
                    ConstantTensor before = Objects.requireNonNull(graph.constant(b.name()));
                    changed.put(b.name(), like(before, b.moved().apply(more)));
                });
            }
        }
        return changed;
    }

    private static ConstantTensor like(ConstantTensor before, Tensor now) {
        return before.withBytes(
                ConstantTensor.of(now.to(before.type().libtorch()).contiguous()).bytes());
    }

    @Override
    public void close() {
        if (costs != null) {
            costs.close();
            Objects.requireNonNull(meanX).releaseReference();
            Objects.requireNonNull(meanY).releaseReference();
            costs = null;
        }
    }
}

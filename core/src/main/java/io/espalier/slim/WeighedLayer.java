package io.espalier.slim;

import io.espalier.graph.Node;
import io.espalier.nn.Module;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

import java.util.Collection;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.Predicate;

/** A linear layer or convolution of a Java model in whose sums channels of units end. */
final class WeighedLayer implements GroupReaders.Layer {
    private final String path;
    private final Module layer;
    private final Place place;
    private final LayerRows rows;
    private final long columns;
    private final LayerSums first = new LayerSums();
    private final LayerSums second = new LayerSums();
    private @Nullable InputCosts costs;
    private @Nullable Tensor meanX;
    private @Nullable Tensor meanY;

    private WeighedLayer(String path, Module layer, Place place, LayerRows rows, Tensor weight) {
        this.path = path;
        this.layer = layer;
        this.place = place;
        this.rows = rows;
        columns = weight.numel() / weight.size(0) / weight.size(1);
    }

    /**
     * The layer that a place of a model's tensors is the weight's inputs of; null if it is none
     * that can be weighed, as one with a mask or one that shares its weight.
     */
    private static @Nullable WeighedLayer of(ModelAnalysis analysis, String path, Place place) {
        Module layer = analysis.model().module(path);
        LayerRows rows = LayerRows.of(layer);
        Tensor weight = analysis.tensors().held(place.constant()).tensor();
        boolean fits =
                rows != null
                        && place.dimension() == 1
                        && weight.numel() / weight.size(0) <= InputCosts.MOST_INPUTS
                        && layer.parametrizedNames().isEmpty()
                        && analysis.traced().callsOf(path) == 1
                        && analysis.tensors().holders(place.constant()) == 1;
        return fits && rows != null ? new WeighedLayer(path, layer, place, rows, weight) : null;
    }

    /**
     * Those of a model in which channels of groups end.
     *
     * @param isThere whether a step is one of the model that is weighed
     */
    static GroupReaders<WeighedLayer> readers(
            ModelAnalysis analysis, Collection<Group> groups, Predicate<Node> isThere) {
        var readers = new GroupReaders<WeighedLayer>(groups);
        Set<String> seen = new HashSet<>();
        for (ModelEnd end : analysis.ends()) {
            ModelEnd.Side other = end.other();
            Place place = other == null ? null : other.place();
            String path = end.node().modulePath().orElse("");
            boolean matters =
                    isThere.test(end.node())
                            && end.node().results().stream().anyMatch(analysis::isUsed);
            if (place == null || path.isEmpty() || !matters || !seen.add(path)) {
                continue;
            }
            WeighedLayer layer = of(analysis, path, place);
            if (layer != null) {
                readers.add(layer);
            }
        }
        return readers;
    }

    String path() {
        return path;
    }

    @Override
    public boolean reads(Group group) {
        return group.units().getFirst().slices().containsKey(place);
    }

    /** Where what the layer is given can be seen: this module of the model. */
    Module layer() {
        return layer;
    }

    /**
     * Adds what the layer is given and what it should give for a batch.
     *
     * @param given its input
     * @param wanted its output in the model as it came in
     */
    void add(Tensor given, Tensor wanted) {
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            Tensor all = rows.inputs(given);
            long inputs = all.size(1);
            Tensor in = LayerRows.some(all, inputs).to(ScalarType.Float);
            Tensor out = LayerRows.some(rows.outputs(wanted), inputs).to(ScalarType.Float);
            long half = Math.ceilDiv(in.size(0), 2);
            add(first, in.narrow(0, 0, half), out.narrow(0, 0, half));
            add(
                    second,
                    in.narrow(0, half, in.size(0) - half),
                    out.narrow(0, half, in.size(0) - half));
        }
    }

    private static void add(LayerSums sums, Tensor in, Tensor out) {
        if (in.size(0) > 0) {
            sums.add(in.t().unsqueeze(0), out.t().unsqueeze(0));
        }
    }

    /**
     * Weighs the inputs by what was added.
     *
     * @param before the layer as it came in
     * @param solves whether what stays makes up for what goes
     */
    void weigh(Module before, boolean solves) {
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            boolean centred = solves && layer.hasParameter("bias");
            LayerSums.Both both = first.and(second);
            double chance = both.chance(centred);
            LayerSums.Moments all = both.moments(centred);
            closeSums();
            InputCosts.requireFinite(all.xx(), path);
            Tensor start = LayerRows.matrix(before.value("weight"));
            costs =
                    solves
                            ? BrainSurgeon.of(all, start, chance)
                            : InputActivity.of(all.xx().squeeze(0), start);
            meanX = Tensors.keep(all.meanX().reshape(-1).clone());
            meanY = Tensors.keep(all.meanY().reshape(-1).clone());
        } finally {
            closeSums();
        }
    }

    @Override
    public Tensor inputs(Group group) {
        return UnitInputs.of(group, place, columns);
    }

    @Override
    public InputCosts costs() {
        return Objects.requireNonNull(costs, "nothing was taken in");
    }

    /** Gives the layer the weight that is left, and the bias that goes with it if it was solved. */
    void finish(boolean solves) {
        write(costs(), solves);
    }

    private void write(InputCosts left, boolean solves) {
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            Tensor found = left.weight();
            Tensor stored = layer.parameter(layer.storedName("weight"));
            stored.detach().copy_(found.t().reshape(Tensors.shape(stored)));
            if (solves && layer.hasParameter("bias")) {
                Tensor given = Objects.requireNonNull(meanX).matmul(found);
                Tensor bias = layer.parameter(layer.storedName("bias"));
                bias.detach().copy_(Objects.requireNonNull(meanY).sub(given));
            }
        }
    }

    /**
     * Gives the layer the weight that is left for a moment.
     *
     * @return puts back what it had, which the caller's scope holds meanwhile
     */
    Runnable tried(InputCosts left, boolean solves) {
        Map<Tensor, Tensor> before = new LinkedHashMap<>();
        layer.ownParameters().values().forEach(own -> before.put(own, own.detach().clone()));
        write(left, solves);
        return () -> {
            try (var noGrad = new NoGradGuard()) {
                before.forEach((own, value) -> own.detach().copy_(value));
            }
        };
    }

    private void closeSums() {
        first.close();
        second.close();
    }

    @Override
    public void close() {
        closeSums();
        if (costs != null) {
            costs.close();
            Objects.requireNonNull(meanX).releaseReference();
            Objects.requireNonNull(meanY).releaseReference();
            costs = null;
        }
    }
}

package io.espalier.slim;

import io.espalier.nn.Hook;
import io.espalier.nn.Module;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/** A linear layer or convolution of a Java model in whose sums channels of units end. */
final class WeighedLayer implements AutoCloseable {
    private final String path;
    private final Module layer;
    private final Place place;
    private final LayerRows rows;
    private final long columns;
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
    static @Nullable WeighedLayer of(ModelAnalysis analysis, String path, Place place) {
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

    String path() {
        return path;
    }

    /** Whether a group's units end here. */
    boolean reads(Group group) {
        return group.units().getFirst().slices().containsKey(place);
    }

    /**
     * Takes in what the layer is given and what it should give.
     *
     * @param reference the model as it came in
     * @param solves whether what stays makes up for what goes
     */
    void take(Module model, Module reference, Iterable<Tensor> batches, boolean solves) {
        Module wanted = reference.module(path);
        List<Tensor> x = new ArrayList<>();
        List<Tensor> y = new ArrayList<>();
        Hook given = (module, tensors) -> seen(x, tensors);
        Hook gives = (module, tensors) -> seen(y, tensors);
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard();
                var first = layer.onInput(given);
                var second = wanted.onOutput(gives)) {
            Sums sums = null;
            for (Tensor batch : batches) {
                try (var inner = new PointerScope()) {
                    x.clear();
                    y.clear();
                    model.call(batch);
                    reference.call(batch);
                    Tensor in = rows.inputs(x.getLast());
                    long inputs = in.size(1);
                    sums =
                            (sums == null
                                            ? Sums.of(
                                                    inputs,
                                                    rows.outputs(y.getLast()).size(1),
                                                    scope)
                                            : sums)
                                    .and(
                                            LayerRows.some(in, inputs),
                                            LayerRows.some(rows.outputs(y.getLast()), inputs));
                }
            }
            weigh(Objects.requireNonNull(sums, "no batch"), solves);
        }
    }

    private static List<Tensor> seen(List<Tensor> all, List<Tensor> tensors) {
        all.add(tensors.getFirst().detach());
        return tensors;
    }

    /** Sums over rows, doubles. */
    private record Sums(Tensor xx, Tensor xy, Tensor x, Tensor y, long count) {
        /** None yet, of a scope around the one at hand. */
        static Sums of(long inputs, long outputs, PointerScope outer) {
            return new Sums(
                    zeros(outer, inputs, inputs),
                    zeros(outer, inputs, outputs),
                    zeros(outer, inputs),
                    zeros(outer, outputs),
                    0);
        }

        private static Tensor zeros(PointerScope outer, long... shape) {
            return Tensors.handOver(Tensors.zeros(ScalarType.Double, shape), outer);
        }

        Sums and(Tensor in, Tensor out) {
            Tensor left = in.to(ScalarType.Double);
            Tensor right = out.to(ScalarType.Double);
            xx.addmm_(left.t(), left);
            xy.addmm_(left.t(), right);
            x.add_(left.sum(0));
            y.add_(right.sum(0));
            return new Sums(xx, xy, x, y, count + in.size(0));
        }
    }

    private void weigh(Sums sums, boolean solves) {
        var count = new Scalar((double) sums.count());
        Tensor x = sums.x().div(count);
        Tensor y = sums.y().div(count);
        Tensor xx = sums.xx().div(count);
        Tensor xy = sums.xy().div(count);
        boolean centred = solves && layer.hasParameter("bias");
        if (centred) {
            xx = xx.sub(x.outer(x));
            xy = xy.sub(x.outer(y));
        }
        InputCosts.requireFinite(xx, path);
        Tensor start = LayerRows.matrix(layer.value("weight"));
        costs = solves ? BrainSurgeon.of(xx, xy, start) : InputActivity.of(xx, start);
        meanX = Tensors.keep(x.clone());
        meanY = Tensors.keep(y.clone());
    }

    /** The inputs of each unit of a group, integers [units, inputs of each]. */
    Tensor inputs(Group group) {
        return UnitInputs.of(group, place, columns);
    }

    InputCosts costs() {
        return Objects.requireNonNull(costs, "nothing was taken in");
    }

    /** Gives the layer the weight that is left, and the bias that goes with it if it was solved. */
    void finish(boolean solves) {
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            Tensor found = costs().weight();
            Tensor stored = layer.parameter(layer.storedName("weight"));
            stored.detach().copy_(found.t().reshape(Tensors.shape(stored)));
            if (solves && layer.hasParameter("bias")) {
                Tensor given = Objects.requireNonNull(meanX).matmul(found);
                Tensor bias = layer.parameter(layer.storedName("bias"));
                bias.detach().copy_(Objects.requireNonNull(meanY).sub(given));
            }
        }
        close();
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

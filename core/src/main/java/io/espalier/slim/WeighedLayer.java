package io.espalier.slim;

import io.espalier.nn.Module;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** A linear layer or convolution of a Java model in whose sums channels of units end. */
final class WeighedLayer implements LayerCurves.Layer {
    private final String path;
    private final Module layer;
    private final Place place;
    private final LayerRows rows;
    private final long columns;
    private @Nullable Sums sums;
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
            sums = (sums == null ? Sums.from(in, out) : sums).and(in, out);
        }
    }

    /**
     * Sums over rows of what they are away from the means of the first, so that single precision
     * does for products.
     */
    private record Sums(
            Tensor offX, Tensor offY, Tensor xx, Tensor xy, Tensor x, Tensor y, long count) {
        static Sums from(Tensor in, Tensor out) {
            return new Sums(
                    Tensors.keep(in.mean(0)),
                    Tensors.keep(out.mean(0)),
                    zeros(in.size(1), in.size(1)),
                    zeros(in.size(1), out.size(1)),
                    zeros(in.size(1)),
                    zeros(out.size(1)),
                    0);
        }

        private static Tensor zeros(long... shape) {
            return Tensors.keep(Tensors.zeros(ScalarType.Double, shape));
        }

        Sums and(Tensor in, Tensor out) {
            Tensor left = in.sub(offX);
            Tensor right = out.sub(offY);
            xx.add_(left.t().matmul(left));
            xy.add_(left.t().matmul(right));
            x.add_(left.sum(0));
            y.add_(right.sum(0));
            return new Sums(offX, offY, xx, xy, x, y, count + in.size(0));
        }

        List<Tensor> held() {
            return List.of(offX, offY, xx, xy, x, y);
        }

        void free() {
            held().forEach(Tensor::releaseReference);
        }
    }

    /**
     * Weighs the inputs by what was added.
     *
     * @param solves whether what stays makes up for what goes
     */
    void weigh(boolean solves) {
        Sums all = Objects.requireNonNull(sums, "no batch");
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            var count = new Scalar((double) all.count());
            Tensor offX = all.x().div_(count);
            Tensor offY = all.y().div_(count);
            Tensor xx = all.xx().div_(count).sub_(offX.outer(offX));
            Tensor xy = all.xy().div_(count).sub_(offX.outer(offY));
            Tensor x = offX.add(all.offX());
            Tensor y = offY.add(all.offY());
            if (!solves || !layer.hasParameter("bias")) {
                xx.add_(x.outer(x));
                xy.add_(x.outer(y));
            }
            InputCosts.requireFinite(xx, path);
            Tensor start = LayerRows.matrix(layer.value("weight"));
            costs = solves ? BrainSurgeon.of(xx, xy, x, start) : InputActivity.of(xx, start);
            meanX = Tensors.keep(x);
            meanY = Tensors.keep(y);
        } finally {
            all.free();
            sums = null;
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
        close();
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

    @Override
    public void close() {
        if (sums != null) {
            sums.free();
            sums = null;
        }
        if (costs != null) {
            costs.close();
            Objects.requireNonNull(meanX).releaseReference();
            Objects.requireNonNull(meanY).releaseReference();
            costs = null;
        }
    }
}

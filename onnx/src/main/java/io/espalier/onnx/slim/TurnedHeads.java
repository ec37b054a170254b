package io.espalier.onnx.slim;

import io.espalier.onnx.compare.Padding;
import io.espalier.onnx.fit.ReferenceStream;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.slim.Group;
import io.espalier.slim.InputCosts;
import io.espalier.slim.Place;
import io.espalier.slim.Unit;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.T_TensorTensorTensor_T;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.LongStream;

/**
 * A model whose attentions compute the same in other axes within each head: those along which the
 * sums of products between two layers are worth most come first, and without the last ones the
 * error is the least there can be, as in balanced truncation. With {@code E[q qᵀ] = L Lᵀ}, {@code
 * E[k kᵀ] = R Rᵀ} and {@code Lᵀ R = U S Vᵀ}, queries are multiplied by {@code L⁻ᵀ U √S} and keys by
 * {@code R⁻ᵀ V √S}; both then have the moments S, and without an axis the scores are off by the
 * square of its entry.
 */
final class TurnedHeads {
    /** Added to moments, as a share of their mean, so that there is a root. */
    private static final double DAMPING = 1e-6;

    private final List<HeadWidth> widths;
    private final Map<Group, double[]> losses = new LinkedHashMap<>();
    private final Map<String, ConstantTensor> constants = new HashMap<>();

    private TurnedHeads(List<HeadWidth> widths) {
        this.widths = widths;
    }

    /** By what data makes of the layers. */
    static TurnedHeads byData(
            OnnxSlimmer of, List<HeadWidth> widths, List<Map<String, Tensor>> data) {
        var turned = new TurnedHeads(widths);
        List<Padding> padding = data.stream().map(Padding::of).toList();
        OnnxGraph graph = of.model().graph();
        try (var stream = new ReferenceStream(of.model(), data)) {
            for (HeadWidth width : widths) {
                stream.hold(width.given());
                width.met().ifPresent(stream::hold);
            }
            for (HeadWidth width : widths) {
                try (var scope = new PointerScope();
                        var noGrad = new NoGradGuard()) {
                    var seen = new Seen(stream, padding, width);
                    turned.turn(graph, width, seen.given(), seen.met(graph));
                }
                stream.release(width.given());
                width.met().ifPresent(stream::release);
            }
        }
        return turned;
    }

    /** By the weights alone. */
    static TurnedHeads byWeights(OnnxSlimmer of, List<HeadWidth> widths) {
        var turned = new TurnedHeads(widths);
        OnnxGraph graph = of.model().graph();
        for (HeadWidth width : widths) {
            try (var scope = new PointerScope();
                    var noGrad = new NoGradGuard()) {
                Tensor left = moments(graph, width.group(), width.first());
                Tensor right = moments(graph, width.group(), width.second());
                turned.turn(graph, width, left, right);
            }
        }
        return turned;
    }

    /** The groups of places that are turned. */
    List<Group> groups() {
        return widths.stream().map(HeadWidth::group).toList();
    }

    /** One of the places of each of them. */
    List<Unit> some() {
        return groups().stream().map(group -> group.units().getFirst()).toList();
    }

    /** The constants that have other values. */
    Map<String, ConstantTensor> constants() {
        return constants;
    }

    /** What scores are off by without each unit of a group of queries and keys, squared. */
    Map<Group, double[]> losses() {
        return losses;
    }

    /** Whether places lie along a dimension of a weight that makes one side of a product. */
    boolean areMadeBy(Place place) {
        return widths.stream().anyMatch(width -> width.first().contains(place));
    }

    private void turn(OnnxGraph graph, HeadWidth width, Tensor left, Tensor right) {
        Tensor l = root(left);
        Tensor r = root(right);
        T_TensorTensorTensor_T svd = torch.linalg_svd(l.transpose(1, 2).matmul(r));
        Tensor axes = svd.get1();
        Tensor scale = axes.sqrt().unsqueeze(1);
        Tensor one = torch.linalg_solve(l.transpose(1, 2), svd.get0()).mul(scale);
        Tensor v = svd.get2().transpose(1, 2);
        Tensor other = torch.linalg_solve(r.transpose(1, 2), v).mul(scale);
        width.first().forEach(place -> turn(graph, width.group(), place, one));
        width.second().forEach(place -> turn(graph, width.group(), place, other));
        if (width.met().isPresent()) {
            Tensor squares = axes.square().sum(new long[] {0}, false, new ScalarTypeOptional());
            losses.put(width.group(), Tensors.doubles(squares));
        }
    }

    /** The roots of matrices [heads, width, width]. */
    private static Tensor root(Tensor moments) {
        Tensor damped = moments.clone();
        Tensor mean =
                moments.diagonal(0, 1, 2).mean(new long[] {1}, true, new ScalarTypeOptional());
        damped.diagonal(0, 1, 2).add_(mean.mul(new Scalar(DAMPING)).add(new Scalar(1e-30)));
        return torch.linalg_cholesky(damped);
    }

    /**
     * Multiplies what lies along a dimension.
     *
     * @param by matrices [heads, width, width], whose columns are the new places
     */
    private void turn(OnnxGraph graph, Group group, Place place, Tensor by) {
        ConstantTensor weight = Objects.requireNonNull(graph.constant(place.constant()));
        Tensor turned = weight.toTensor().to(ScalarType.Double).clone();
        Tensor places = indices(group, place);
        Tensor found = by.transpose(1, 2).matmul(rows(turned, place, places, by.size(0)));
        Tensor along = turned.transpose(0, place.dimension());
        along.index_copy_(0, places, found.reshape_as(along.index_select(0, places)));
        constants.put(
                place.constant(),
                ConstantTensor.of(turned.to(weight.type().libtorch()).contiguous()));
    }

    /** What lies along a dimension as [heads, width, rest]. */
    private static Tensor rows(Tensor weight, Place place, Tensor places, long heads) {
        return weight.transpose(0, place.dimension())
                .index_select(0, places)
                .reshape(heads, places.size(0) / heads, -1);
    }

    /** Where the places lie along a dimension, head by head. */
    private static Tensor indices(Group group, Place place) {
        return indices(group.units(), place);
    }

    private static Tensor indices(List<Unit> units, Place place) {
        int heads = slice(units.getFirst(), place).length;
        long[] all =
                LongStream.range(0, (long) heads * units.size())
                        .map(i ->
                                slice(units.get((int) (i % units.size())), place)[
                                        (int) (i / units.size())])
                        .toArray();
        return Tensors.of(all, all.length);
    }

    private static int[] slice(Unit unit, Place place) {
        return Objects.requireNonNull(unit.slices().get(place));
    }

    /** Of the weights along some dimensions, [heads, width, width]. */
    private static Tensor moments(OnnxGraph graph, Group group, List<Place> places) {
        int heads = slice(group.units().getFirst(), places.getFirst()).length;
        int width = group.units().size();
        Tensor sum = Tensors.zeros(ScalarType.Double, heads, width, width);
        for (Place place : places) {
            Tensor weight = Objects.requireNonNull(graph.constant(place.constant())).toTensor();
            Tensor rows = rows(weight.to(ScalarType.Double), place, indices(group, place), heads);
            sum.add_(rows.matmul(rows.transpose(1, 2)));
        }
        return sum;
    }

    /** What data makes of a width on its way through a model. */
    private record Seen(ReferenceStream stream, List<Padding> padding, HeadWidth width) {
        Tensor given() {
            boolean areQueries = width.met().isPresent();
            Place place = (areQueries ? width.first() : width.second()).getFirst();
            // A layer's bias makes up for means of what it reads; of queries they count.
            return moments(width.given(), indices(width.group(), place), !areQueries);
        }

        Tensor met(OnnxGraph graph) {
            Group group = width.group();
            Tensor places = indices(group, width.second().getFirst());
            return width.met()
                    .map(keys -> moments(keys, places, width.isShifted()))
                    .orElseGet(() -> TurnedHeads.moments(graph, group, width.second()));
        }

        /** Means of products of a value's numbers in each head, [heads, width, width]. */
        private Tensor moments(String value, Tensor places, boolean areCentred) {
            int size = width.group().units().size();
            long heads = places.size(0) / size;
            Tensor sum = Tensors.zeros(ScalarType.Double, heads, 1, size);
            Tensor products = Tensors.zeros(ScalarType.Double, heads, size, size);
            long count = 0;
            for (int batch = 0; batch < stream.batches(); batch++) {
                try (var inner = new PointerScope()) {
                    Tensor seen = padding.get(batch).visible(stream.value(value, batch));
                    Tensor rows =
                            seen.reshape(-1, seen.size(-1))
                                    .index_select(1, places)
                                    .reshape(-1, heads, size)
                                    .transpose(0, 1)
                                    .to(ScalarType.Double);
                    sum.add_(rows.sum(new long[] {1}, true, new ScalarTypeOptional()));
                    products.add_(rows.transpose(1, 2).matmul(rows));
                    count += rows.size(1);
                }
            }
            var all = new Scalar((double) count);
            InputCosts.requireFinite(products, value);
            Tensor mean = sum.div(all);
            Tensor found = products.div(all);
            return areCentred ? found.sub(mean.transpose(1, 2).matmul(mean)) : found;
        }
    }
}

package io.espalier.slim;

import io.espalier.tensor.Internal;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;

/**
 * What the layers that read a group lose as its units go one after another, each group by itself in
 * a model that is whole otherwise.
 *
 * @param <L> a layer that reads groups
 */
@Internal
public final class LayerCurves<L extends LayerCurves.Layer> {
    private final List<L> layers;
    private final Function<Group, List<L>> readers;
    private final ToDoubleFunction<Map<L, InputCosts>> drop;
    private final String by;
    private final Map<Group, LossCurve> curves = new LinkedHashMap<>();
    private final List<L> open = new ArrayList<>();

    /** A layer that reads groups. */
    public interface Layer extends AutoCloseable {
        /** Whether a group's units end here. */
        boolean reads(Group group);

        /** The inputs of each unit of a group, integers [units, inputs of each]. */
        Tensor inputs(Group group);

        /** What it loses by them, once it has been seen. */
        InputCosts costs();

        @Override
        void close();
    }

    /**
     * Prepares.
     *
     * @param layers in their order
     * @param readers of a group
     * @param drop what results lose if layers have the weights that are left
     * @param by what it is found by, in words
     */
    public LayerCurves(
            List<L> layers,
            Function<Group, List<L>> readers,
            ToDoubleFunction<Map<L, InputCosts>> drop,
            String by) {
        this.layers = layers;
        this.readers = readers;
        this.drop = drop;
        this.by = by;
    }

    /**
     * The curves of groups.
     *
     * @param groups that layers read
     * @param see lets a layer see what it is given, in the whole model
     */
    public Map<Group, LossCurve> of(
            Collection<Group> groups, Consumer<L> see, Slimming.Listener listener) {
        List<Group> left = new ArrayList<>(groups);
        try {
            int done = 0;
            for (L layer : layers) {
                listener.at("finding what widths lose", done++, layers.size());
                open.add(layer);
                see.accept(layer);
                for (Group group : List.copyOf(left)) {
                    List<L> all = readers.apply(group);
                    if (open.containsAll(all)) {
                        left.remove(group);
                        curves.put(group, curve(group, all, left));
                    }
                }
                closeAllBut(left);
            }
        } finally {
            closeAllBut(List.of());
        }
        return curves;
    }

    private void closeAllBut(List<Group> left) {
        for (L layer : List.copyOf(open)) {
            if (left.stream().noneMatch(layer::reads)) {
                layer.close();
                open.remove(layer);
            }
        }
    }

    private LossCurve curve(Group group, List<L> all, List<Group> left) {
        Map<L, InputCosts> costs = new LinkedHashMap<>();
        Map<InputCosts, Tensor> inputs = new LinkedHashMap<>();
        List<InputCosts> copies = new ArrayList<>();
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            for (L layer : all) {
                InputCosts own = layer.costs();
                if (left.stream().anyMatch(layer::reads)) {
                    own = own.copy();
                    copies.add(own);
                }
                costs.put(layer, own);
                inputs.put(own, layer.inputs(group));
            }
            return LossCurve.byElimination(group, inputs, () -> drop.applyAsDouble(costs), by);
        } finally {
            copies.forEach(InputCosts::close);
        }
    }
}

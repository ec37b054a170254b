package io.espalier.slim;

import io.espalier.tensor.Internal;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.ToDoubleBiFunction;

/**
 * What the layers that read a group lose as its units go one after another, each group by itself in
 * a model that is whole otherwise.
 *
 * @param <L> a layer that reads groups
 */
@Internal
public final class LayerCurves<L extends GroupReaders.Layer> {
    private final GroupReaders<L> readers;
    private final ToDoubleBiFunction<Map<L, InputCosts>, List<Unit>> drop;
    private final String by;
    private final Map<Set<L>, Double> dropOfHeads = new HashMap<>();

    /**
     * Prepares.
     *
     * @param readers the layers that read the groups
     * @param drop what results lose without units if layers have the weights that are left
     * @param by what it is found by, in words
     */
    public LayerCurves(
            GroupReaders<L> readers,
            ToDoubleBiFunction<Map<L, InputCosts>, List<Unit>> drop,
            String by) {
        this.readers = readers;
        this.drop = drop;
        this.by = by;
    }

    /**
     * The curves of all groups that layers read.
     *
     * @param see lets a layer see what it is given, in the whole model
     */
    public Map<Group, LossCurve> of(Consumer<L> see, Slimming.Listener listener) {
        Map<Group, LossCurve> curves = new LinkedHashMap<>();
        try (var pass = readers.pass()) {
            int done = 0;
            for (L layer : readers.layers()) {
                listener.at("finding what widths lose", done++, readers.layers().size());
                pass.hold(List.of(layer));
                see.accept(layer);
                pass.seen(group -> curves.put(group, curve(group, pass)), seen -> {});
            }
        }
        return curves;
    }

    private LossCurve curve(Group group, GroupReaders<L>.Pass pass) {
        Map<L, InputCosts> costs = new LinkedHashMap<>();
        Map<InputCosts, Tensor> inputs = new LinkedHashMap<>();
        List<InputCosts> copies = new ArrayList<>();
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            for (L layer : readers.of(group)) {
                InputCosts own = layer.costs();
                if (pass.needs(layer)) {
                    own = own.copy();
                    copies.add(own);
                }
                costs.put(layer, own);
                inputs.put(own, layer.inputs(group));
            }
            return LossCurve.byElimination(
                    group, inputs, (gone, loss) -> drop(group, costs, gone, loss), by);
        } finally {
            copies.forEach(InputCosts::close);
        }
    }

    /** What is inside heads is read as the heads are: a loss there is as much of the results. */
    private double drop(Group group, Map<L, InputCosts> costs, List<Unit> gone, double loss) {
        Double known = group.isOuter() ? null : dropOfHeads.get(costs.keySet());
        if (known != null) {
            return known * loss;
        }
        double found = drop.applyAsDouble(costs, gone);
        if (group.isOuter() && loss > 0) {
            dropOfHeads.putIfAbsent(Set.copyOf(costs.keySet()), found / loss);
        }
        return found;
    }
}

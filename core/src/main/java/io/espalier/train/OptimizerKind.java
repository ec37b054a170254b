package io.espalier.train;

import io.espalier.nn.Module;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.OptimizerParamGroupVector;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * What an optimizer must be to take up another's state, which goes by the parameters' order.
 *
 * @param type its class, such as {@code "SGD"}
 * @param groups its parameters, group by group
 */
record OptimizerKind(String type, List<List<Slot>> groups) {
    OptimizerKind {
        Objects.requireNonNull(type);
        groups = groups.stream().map(List::copyOf).toList();
    }

    /**
     * One parameter.
     *
     * @param name its dotted name in the model, without what a mask adds to it
     * @param shape its shape
     */
    record Slot(String name, List<Long> shape) {
        @Override
        public String toString() {
            return name + " " + shape;
        }
    }

    static OptimizerKind of(Optimizer optimizer, Module model) {
        var groups = new ArrayList<List<Slot>>();
        try (var scope = new PointerScope()) {
            Map<Long, String> names = names(model);
            OptimizerParamGroupVector all = optimizer.param_groups();
            for (long g = 0; g < all.size(); g++) {
                TensorVector parameters = all.get(g).params();
                var slots = new ArrayList<Slot>();
                for (long p = 0; p < parameters.size(); p++) {
                    Tensor parameter = parameters.get(p);
                    slots.add(
                            new Slot(
                                    names.getOrDefault(identity(parameter), "outside the model"),
                                    Arrays.stream(Tensors.shape(parameter)).boxed().toList()));
                }
                groups.add(List.copyOf(slots));
            }
        }
        return new OptimizerKind(optimizer.getClass().getSimpleName(), List.copyOf(groups));
    }

    private static Map<Long, String> names(Module model) {
        Map<Long, String> names = new HashMap<>();
        model.namedModules()
                .forEach((path, module) -> {
                    Map<String, String> publicNames = new HashMap<>();
                    module.parametrizedNames()
                            .forEach(name -> publicNames.put(module.storedName(name), name));
                    module.ownParameters()
                            .forEach((stored, tensor) ->
                                    names.putIfAbsent(
                                            identity(tensor),
                                            path + "." + publicNames.getOrDefault(stored, stored)));
                });
        return names;
    }

    /** Equal for two handles of one tensor, whatever name it is stored under. */
    static Long identity(Tensor tensor) {
        return tensor.unsafeGetTensorImpl().address();
    }

    /** In what this kind differs from another, in words that follow "this training". */
    String difference(OptimizerKind other) {
        if (!type.equals(other.type)) {
            return "is moved by " + type + ", that one was by " + other.type;
        }
        List<Slot> mine = groups.stream().flatMap(List::stream).toList();
        List<Slot> theirs = other.groups.stream().flatMap(List::stream).toList();
        if (mine.size() != theirs.size() || groups.size() != other.groups.size()) {
            return "moves %d parameters in %d groups, that one moved %d in %d"
                    .formatted(mine.size(), groups.size(), theirs.size(), other.groups.size());
        }
        for (int i = 0; i < mine.size(); i++) {
            if (!mine.get(i).equals(theirs.get(i))) {
                return "moves " + mine.get(i) + " where that one moved " + theirs.get(i);
            }
        }
        return "groups its parameters differently";
    }
}

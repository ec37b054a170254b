package io.espalier.train;

import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.TreeMap;

/**
 * What an optimizer remembers between steps, and how it makes them, as plain values.
 *
 * @param groups its groups of parameters, in its order
 * @param tensors what it keeps of each parameter, as {@code GROUP.PARAMETER.NAME}, both counted
 *     from 0, such as {@code 0.3.exp_avg}
 */
record OptimizerState(List<Group> groups, SequencedMap<String, Tensor> tensors) {
    static final String RATE = "lr";

    OptimizerState {
        groups = List.copyOf(groups);
        tensors = Collections.unmodifiableSequencedMap(new LinkedHashMap<>(tensors));
    }

    /**
     * A group of parameters.
     *
     * @param options by libtorch's names: a Double, a Boolean, or a list of two Doubles
     * @param counts such as Adam's {@code step}, for each parameter; empty before a step moved it
     */
    record Group(Map<String, Object> options, List<Map<String, Long>> counts) {
        Group {
            options = Collections.unmodifiableMap(new TreeMap<>(options));
            counts = List.copyOf(counts);
        }
    }

    /** What is kept of one parameter, by libtorch's names. */
    Map<String, Tensor> tensorsOf(int group, int parameter) {
        String prefix = prefix(group, parameter);
        Map<String, Tensor> found = new LinkedHashMap<>();
        tensors.forEach((name, tensor) -> {
            if (name.startsWith(prefix)) {
                found.put(name.substring(prefix.length()), tensor);
            }
        });
        return found;
    }

    static String prefix(int group, int parameter) {
        return group + "." + parameter + ".";
    }

    /** The same with other learning rates, one for each group. */
    OptimizerState withLearningRates(double... rates) {
        List<Group> changed = new ArrayList<>();
        for (int g = 0; g < groups.size(); g++) {
            Map<String, Object> options = new TreeMap<>(groups.get(g).options());
            options.put(RATE, rates[g]);
            changed.add(new Group(options, groups.get(g).counts()));
        }
        return new OptimizerState(changed, tensors);
    }
}

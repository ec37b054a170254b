package io.espalier.train;

import io.espalier.tensor.Archive;
import io.espalier.tensor.TensorException;
import io.espalier.train.OptimizerState.Group;

import org.bytedeco.pytorch.InputArchive;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.OutputArchive;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.TreeMap;

/**
 * The only door that libtorch leaves to what its optimizers remember: {@link Archive}s.
 *
 * <p>In one, under {@code state} lies what is kept of a parameter, by a number that stands for it;
 * under {@code param_groups} lie each group's options, and its parameters' numbers.
 */
final class OptimizerArchive {
    private static final String FORMAT = "pytorch_version";
    private static final String STATE = "state";
    private static final String GROUPS = "param_groups";
    private static final String OPTIONS = "options";
    private static final String PARAMETERS = "params/";
    private static final String SIZE = "size";

    private OptimizerArchive() {}

    /**
     * What an optimizer holds now; the tensors belong to the caller's scope.
     *
     * @throws io.espalier.tensor.EspalierException if it is of a kind whose state is not known
     */
    static OptimizerState read(Optimizer optimizer) {
        Moments.of(optimizer);
        var written = new OutputArchive();
        optimizer.save(written);
        Map<String, Object> archive = Archive.read(written);
        Map<?, ?> state = below(archive, STATE);
        Map<?, ?> all = below(archive, GROUPS);
        List<Group> groups = new ArrayList<>();
        SequencedMap<String, Tensor> tensors = new LinkedHashMap<>();
        int count = Math.toIntExact(optimizer.param_groups().size());
        for (int g = 0; g < count; g++) {
            Map<?, ?> group = below(all, GROUPS + "/" + g);
            List<Map<String, Long>> counts = new ArrayList<>();
            for (int p = 0; group.get(PARAMETERS + p) instanceof String number; p++) {
                counts.add(read(below(state, number), OptimizerState.prefix(g, p), tensors));
            }
            Map<String, Object> options = new TreeMap<>();
            below(group, OPTIONS).forEach((name, value) -> options.put(name.toString(), value));
            groups.add(new Group(options, counts));
        }
        return new OptimizerState(groups, tensors);
    }

    /** Takes the tensors kept of a parameter, and gives what is counted of it. */
    private static Map<String, Long> read(
            Map<?, ?> kept, String prefix, SequencedMap<String, Tensor> tensors) {
        Map<String, Long> counts = new TreeMap<>();
        kept.forEach((name, value) -> {
            switch (value) {
                case Tensor tensor -> tensors.put(prefix + name, tensor);
                case Long number -> counts.put(name.toString(), number);
                default -> throw new IllegalStateException(name + " is " + value);
            }
        });
        return counts;
    }

    private static Map<?, ?> below(Map<?, ?> archive, String key) {
        return archive.get(key) instanceof Map<?, ?> found ? found : Map.of();
    }

    /**
     * An archive that an optimizer can take a state up from.
     *
     * @param state one that {@link OptimizerFit#check} found to fit that optimizer
     */
    static InputArchive of(OptimizerState state, Optimizer optimizer) {
        Map<String, Object> moments = new LinkedHashMap<>();
        Map<String, Object> groups = new LinkedHashMap<>();
        groups.put(GROUPS + "/" + SIZE, Archive.count(state.groups().size()));
        long number = 0;
        for (int g = 0; g < state.groups().size(); g++) {
            TensorVector parameters = optimizer.param_groups().get(g).params();
            Map<String, Object> group = new LinkedHashMap<>();
            group.put(PARAMETERS + SIZE, Archive.count(parameters.size()));
            for (int p = 0; p < parameters.size(); p++) {
                // Parameters of the same number would take each other's state.
                String own = Long.toString(++number);
                group.put(PARAMETERS + p, own);
                Map<String, Object> kept = kept(state, g, p, parameters.get(p));
                if (!kept.isEmpty()) {
                    moments.put(own, kept);
                }
            }
            group.put(OPTIONS, state.groups().get(g).options());
            groups.put(GROUPS + "/" + g, group);
        }
        try {
            return Archive.of(Map.of(FORMAT, "1.5.0", STATE, moments, GROUPS, groups));
        } catch (RuntimeException e) {
            throw TensorException.in("Restoring the optimizer", e);
        }
    }

    /** What is kept of a parameter, in its memory format, as the optimizer would have made it. */
    private static Map<String, Object> kept(
            OptimizerState state, int group, int parameter, Tensor like) {
        Map<String, Object> kept =
                new LinkedHashMap<>(state.groups().get(group).counts().get(parameter));
        state.tensorsOf(group, parameter)
                .forEach((name, tensor) -> kept.put(name, torch.empty_like(like).copy_(tensor)));
        return kept;
    }
}

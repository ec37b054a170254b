package io.espalier.train;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;
import io.espalier.train.OptimizerState.Group;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;

import java.util.Arrays;
import java.util.List;
import java.util.Map;

/**
 * Whether an optimizer can take a state up that comes from a file, whose values may be anything:
 * libtorch would believe them.
 */
final class OptimizerFit {
    private final Optimizer optimizer;
    private final OptimizerKind kind;
    private final OptimizerState saved;
    private final OptimizerState now;
    private final Moments moments;

    private OptimizerFit(Optimizer optimizer, OptimizerKind kind, OptimizerState saved) {
        this.optimizer = optimizer;
        this.kind = kind;
        this.saved = saved;
        this.now = OptimizerArchive.read(optimizer);
        this.moments = Moments.of(optimizer);
    }

    /**
     * Checks all that a state says.
     *
     * @param kind what the optimizer moves, which the file's optimizer moved too
     * @throws EspalierException if the state is none of such an optimizer, or the optimizer holds
     *     what the state can't replace; the message is the reason alone
     */
    static void check(Optimizer optimizer, OptimizerKind kind, OptimizerState saved) {
        try (var scope = new PointerScope()) {
            new OptimizerFit(optimizer, kind, saved).check();
        }
    }

    private void check() {
        require(
                saved.groups().size() == now.groups().size(),
                "it has "
                        + saved.groups().size()
                        + " groups of parameters, not "
                        + now.groups().size());
        int found = 0;
        for (int g = 0; g < now.groups().size(); g++) {
            Group group = saved.groups().get(g);
            options(group.options(), now.groups().get(g).options());
            TensorVector parameters = optimizer.param_groups().get(g).params();
            require(
                    group.counts().size() == parameters.size(),
                    "it has counts of " + group.counts().size() + " parameters in group " + g);
            for (int p = 0; p < parameters.size(); p++) {
                found += parameter(g, p, parameters.get(p));
            }
        }
        require(found == saved.tensors().size(), "it has tensors of no parameter");
    }

    private static void options(Map<String, Object> theirs, Map<String, Object> ours) {
        require(
                theirs.keySet().equals(ours.keySet()),
                "its options are " + theirs.keySet() + ", not " + ours.keySet());
        ours.forEach((name, option) -> {
            Object their = theirs.getOrDefault(name, "");
            require(isLike(their, option), "its option " + name + " is " + their);
        });
        Object rate = theirs.get(OptimizerState.RATE);
        require(rate instanceof Double value && value >= 0, "its learning rate is " + rate);
    }

    /** Whether an option is of our kind, and a number one that a float can hold. */
    private static boolean isLike(Object theirs, Object ours) {
        return switch (ours) {
            case Double _ -> theirs instanceof Double value && Math.abs(value) <= Float.MAX_VALUE;
            case List<?> _ ->
                    theirs instanceof List<?> pair
                            && pair.size() == 2
                            && pair.stream().allMatch(OptimizerFit::isDecay);
            default -> theirs.getClass() == ours.getClass();
        };
    }

    private static boolean isDecay(Object value) {
        return value instanceof Double beta && beta >= 0 && beta < 1;
    }

    /** Checks what is kept of one parameter, and counts its tensors. */
    private int parameter(int g, int p, Tensor parameter) {
        String name = kind.groups().get(g).get(p).name();
        Map<String, Long> counts = saved.groups().get(g).counts().get(p);
        Map<String, Tensor> tensors = saved.tensorsOf(g, p);
        if (tensors.isEmpty() && counts.isEmpty()) {
            if (!now.tensorsOf(g, p).isEmpty()) {
                throw new EspalierException(
                        "this training's optimizer has moved "
                                + name
                                + " already, and that one had"
                                + " not; make the optimizer anew");
            }
            return 0;
        }
        require(
                counts.keySet().equals(moments.counts())
                        && counts.values().stream().allMatch(count -> count >= 0),
                "of " + name + " it counts " + counts);
        require(
                moments.suffice(tensors.keySet(), saved.groups().get(g).options()),
                "of " + name + " it has " + tensors.keySet() + " alone");
        tensors.forEach((key, tensor) -> {
            require(moments.mayHave(key), "of " + name + " it has a tensor " + key);
            require(
                    Tensors.type(tensor) == Tensors.type(parameter)
                            && Arrays.equals(Tensors.shape(tensor), Tensors.shape(parameter)),
                    "its "
                            + key
                            + " of "
                            + name
                            + " is "
                            + words(tensor)
                            + ", the parameter "
                            + words(parameter));
        });
        return tensors.size();
    }

    private static String words(Tensor tensor) {
        return Tensors.type(tensor) + " " + Arrays.toString(Tensors.shape(tensor));
    }

    private static void require(boolean holds, String fault) {
        if (!holds) {
            throw new EspalierException(
                    "the optimizer's state is damaged: " + fault + "; use an older checkpoint");
        }
    }
}

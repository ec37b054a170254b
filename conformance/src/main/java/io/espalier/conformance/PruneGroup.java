package io.espalier.conformance;

import io.espalier.prune.L1Unstructured;
import io.espalier.prune.Prune;
import io.espalier.prune.Target;

import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/** Single pruning calls, sequences of them on one parameter, and calls over many parameters. */
final class PruneGroup implements Group {
    private static final String WEIGHT = "weight";

    @Override
    public String name() {
        return "prune";
    }

    @Override
    public void run(Case reference, Check check) {
        switch (reference.op()) {
            case "iterated" -> iterated(reference, check);
            case "global_unstructured" -> global(reference, check);
            case "remove" -> Prune.remove(new Holder(reference.inputs().tensor(WEIGHT)), WEIGHT);
            default -> once(reference, check);
        }
    }

    private static void once(Case reference, Check check) {
        Values params = reference.params();
        String name = params.has("name") ? params.text("name") : WEIGHT;
        Holder holder = new Holder(reference.inputs().tensor(WEIGHT));
        Pruning.apply(holder, name, reference.op(), params, reference.inputs());
        compare(reference, holder, check);
    }

    private static void compare(Case reference, Holder holder, Check check) {
        Values expect = reference.expect();
        for (String what : expect.names()) {
            switch (what) {
                case "mask" -> check.equal(what, expect.tensor(what), mask(holder));
                case "weight" -> check.equal(what, expect.tensor(what), holder.value(WEIGHT));
                case "weight_orig" ->
                        check.equal(what, expect.tensor(what), holder.parameter("weight_orig"));
                case "pruned" -> check.equal(what, expect.integer(what), zeros(mask(holder)));
                case "pruned_slices" ->
                        check.equal(
                                what,
                                expect.integer(what),
                                zeroSlices(mask(holder), reference.params().integer("dim"), check));
                default -> throw Group.unknown("result", what);
            }
        }
    }

    private static void iterated(Case reference, Check check) {
        Values expect = reference.expect();
        Holder holder = new Holder(reference.inputs().tensor(WEIGHT));
        List<Tensor> masks = new ArrayList<>();
        for (Values step : reference.params().objects("steps")) {
            Pruning.apply(holder, WEIGHT, step.text("op"), step, step);
            masks.add(mask(holder).clone());
        }
        check.equal("masks", expect.tensors("masks"), masks);
        boolean permanent = expect.flag("permanent");
        if (permanent) {
            Prune.remove(holder, WEIGHT);
        }
        check.equal("pruned", !permanent, Prune.isPruned(holder));
        check.equal(WEIGHT, expect.tensor(WEIGHT), holder.value(WEIGHT));
    }

    private static void global(Case reference, Check check) {
        List<Target> targets =
                reference.inputs().tensors("weights").stream()
                        .map(weight -> Prune.target(new Holder(weight), WEIGHT))
                        .toList();
        Prune.globalUnstructured(
                targets,
                new L1Unstructured(Pruning.amount(reference.params())),
                scores(reference.inputs(), targets));
        check.equal(
                "masks",
                reference.expect().tensors("masks"),
                targets.stream().map(target -> mask(target.module())).toList());
    }

    private static Map<Target, Tensor> scores(Values inputs, List<Target> targets) {
        if (!inputs.has("importance_scores")) {
            return Map.of();
        }
        List<Tensor> given = inputs.tensors("importance_scores");
        if (given.size() != targets.size()) {
            throw new MalformedCase("there are not as many importance_scores as weights");
        }
        Map<Target, Tensor> scores = new LinkedHashMap<>();
        IntStream.range(0, given.size()).forEach(i -> scores.put(targets.get(i), given.get(i)));
        return scores;
    }

    private static Tensor mask(io.espalier.nn.Module module) {
        return module.buffer("weight_mask");
    }

    private static long zeros(Tensor mask) {
        return Arrays.stream(Check.doubles(mask)).filter(value -> value == 0).count();
    }

    /** The slices along a dimension that are pruned; one that is pruned in part is a difference. */
    private static long zeroSlices(Tensor mask, long dim, Check check) {
        long zero = 0;
        for (long i = 0; i < mask.size(dim); i++) {
            Tensor slice = mask.select(dim, i);
            long pruned = zeros(slice);
            zero += pruned == slice.numel() ? 1 : 0;
            if (pruned != slice.numel()) {
                check.equal("pruned in slice " + i, 0L, pruned);
            }
        }
        return zero;
    }
}

package io.espalier.onnx.slim;

import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.slim.Group;
import io.espalier.slim.UnitSums;

import java.util.Map;
import java.util.Random;

/** By what is chosen which units of a group go. */
public sealed interface Importance {
    /** How much each unit of a group matters; those of the lowest scores go. */
    @FunctionalInterface
    interface Scores {
        /**
         * A score for each unit, in their order.
         *
         * @param model whose constants the units' slices name
         */
        double[] of(Group group, OnnxModel model);
    }

    /** By the squares of all weights that compute and read a unit. */
    static Importance magnitude() {
        return of((group, model) -> magnitude(model).of(group));
    }

    private static UnitSums magnitude(OnnxModel model) {
        Map<String, ConstantTensor> constants = model.graph().constants();
        return UnitSums.magnitude(name -> {
            ConstantTensor constant = constants.get(name);
            return constant == null ? null : constant.toTensor();
        });
    }

    /** By chance, the same for the same seed. */
    static Importance random(long seed) {
        return of((group, model) ->
                new Random(seed + group.number()).doubles(group.units().size()).toArray());
    }

    /**
     * By what the layers that read a unit give because of it: the squares of their weights times
     * those of what they are given.
     */
    static Importance activation(Inputs calibration) {
        return new OnData(calibration, false);
    }

    /**
     * By what the layers that read a unit lose if it goes and what stays makes up for it: their
     * weights and biases are solved anew by least squares, to give what they gave before.
     *
     * @see io.espalier.slim.BrainSurgeon
     */
    static Importance secondOrder(Inputs calibration) {
        return new OnData(calibration, true);
    }

    /** By scores of one's own. */
    static Importance of(Scores scores) {
        return new Scored(scores);
    }

    /** Without data. */
    record Scored(Scores scores) implements Importance {}

    /**
     * With data.
     *
     * @param solves whether what stays makes up for what goes
     */
    record OnData(Inputs calibration, boolean solves) implements Importance {}
}

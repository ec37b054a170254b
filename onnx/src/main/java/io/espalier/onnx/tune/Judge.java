package io.espalier.onnx.tune;

import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.quant.ReferenceOutputs;
import io.espalier.onnx.tune.BestFile.Loss;

import java.util.List;
import java.util.function.Function;

/**
 * Tells which of two models is nearer to what a teacher gives: the one that is so on each of
 * several sets of inputs. Few data are soon known by heart, which only others show; and what is
 * nearer on varied ones alone may have learned the variations.
 *
 * @param sets what the teacher gives of each set
 */
record Judge(List<ReferenceOutputs> sets) {
    /**
     * The loss of models beside that of one, whose own is 1: that of the set on which they are
     * farthest, and of those that are alike there, the mean of all.
     */
    Function<OnnxModel, Loss> beside(OnnxModel model) {
        double[] usual = drops(model);
        return other -> {
            double most = 0;
            double sum = 0;
            double[] drops = drops(other);
            for (int i = 0; i < drops.length; i++) {
                double share = drops[i] == usual[i] ? 1 : drops[i] / usual[i];
                most = Math.max(most, share);
                sum += share;
            }
            return new Loss(most, sum / drops.length);
        };
    }

    private double[] drops(OnnxModel model) {
        return sets.stream().mapToDouble(set -> set.drop(model)).toArray();
    }
}

package io.espalier.onnx.tune;

import io.espalier.onnx.compare.TaskScore;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.quant.QuantizationResult;

import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * A fine-tuned model.
 *
 * @param model the model to save
 * @param dropBefore how far the results of the model that came in are from the teacher's on the
 *     data: 1 less their cosine, as a mean; empty without a teacher
 * @param dropAfter the same of this model
 * @param score how much the model that came in and this one get right of labelled data; empty with
 *     a teacher
 * @param layersFitted how many layers were fitted by least squares
 * @param steps how many steps by gradients were made
 * @param trainingHelped whether they made the model better: on the data, and, with a teacher and in
 *     floats, on varied examples too that training does not see; the best of what epochs made is
 *     taken, and what there was before where none is better
 * @param frozen parameters and constants that gradients did not change, since the file computes
 *     them or holds them in another arrangement, or the data reads few of a table's rows
 * @param integers what became of the layers in integers when they were fitted, if that was asked
 *     for
 */
public record TunedModel(
        OnnxModel model,
        OptionalDouble dropBefore,
        OptionalDouble dropAfter,
        Optional<TaskScore> score,
        int layersFitted,
        long steps,
        boolean trainingHelped,
        List<String> frozen,
        Optional<QuantizationResult> integers) {
    /** Copies the list. */
    public TunedModel {
        frozen = List.copyOf(frozen);
    }
}

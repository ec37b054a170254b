package io.espalier.onnx.quant;

import io.espalier.onnx.compare.TaskScore;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.run.PairedTime;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * A quantized model, what it cost and what it brought.
 *
 * @param model the model to save
 * @param drop how far its results are from the float model's on the calibration data: 1 less their
 *     cosine, as a mean; 0 is no difference
 * @param score how much the float model and this one get right of the calibration data, where
 *     labels say what is right
 * @param time of the model that was given and of this one, on one batch of the data
 * @param bytesBefore of the model that was given, weights and all
 * @param bytesAfter of this model's
 * @param layers what became of each layer, in the graph's order
 * @param recipe the same with the settings that it was made by, to be applied again
 */
public record QuantizationResult(
        OnnxModel model,
        double drop,
        Optional<TaskScore> score,
        PairedTime time,
        long bytesBefore,
        long bytesAfter,
        List<Layer> layers,
        Recipe recipe)
        implements QuantizationOutcome {
    /** Keeps a copy of the list. */
    public QuantizationResult {
        layers = List.copyOf(layers);
    }

    /**
     * What became of a layer.
     *
     * @param name its node's name
     * @param operators what it consists of
     * @param precision {@code int8}, {@code int8 dynamic}, {@code int8 stored}, {@code int4},
     *     {@code float16 stored} or {@code float}
     * @param why the reason in words
     */
    public record Layer(String name, String operators, String precision, String why) {
        Layer in(String other, String because) {
            return new Layer(name, operators, other, because);
        }
    }

    @Override
    public void save(Path file) {
        model.save(file);
    }
}

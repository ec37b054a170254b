package io.espalier.onnx.quant;

import io.espalier.onnx.compare.TaskScore;
import io.espalier.onnx.lower.LoweredFile;
import io.espalier.onnx.quant.QuantizationResult.Layer;
import io.espalier.onnx.run.PairedTime;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * A model quantized for libtorch, what it cost and what it brought.
 *
 * @param model the model to save
 * @param drop how far its results are from the float model's on the calibration data: 1 less their
 *     cosine, as a mean; 0 is no difference
 * @param score how much the float model and this one get right of the calibration data, where
 *     labels say what is right
 * @param time of the model that was given, run by ONNX Runtime, and of this one, run by libtorch,
 *     on one batch of the data
 * @param bytesBefore of the model that was given, weights and all
 * @param bytesAfter of this model's tensors
 * @param layers what became of each layer, in the graph's order
 */
public record LibtorchResult(
        LoweredFile model,
        double drop,
        Optional<TaskScore> score,
        PairedTime time,
        long bytesBefore,
        long bytesAfter,
        List<Layer> layers)
        implements QuantizationOutcome {
    /** Keeps a copy of the list. */
    public LibtorchResult {
        layers = List.copyOf(layers);
    }

    @Override
    public void save(Path file) {
        model.save(file);
    }
}

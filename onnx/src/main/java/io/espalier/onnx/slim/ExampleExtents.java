package io.espalier.onnx.slim;

import io.espalier.onnx.inputs.InputBatches;
import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.quant.CalibrationData;
import io.espalier.onnx.shape.Extent;
import io.espalier.onnx.shape.ModelCost;
import io.espalier.onnx.shape.Shapes;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The extents of inputs for which multiplications are counted. */
final class ExampleExtents {
    private ExampleExtents() {}

    /** Those of one example of the first batch. */
    static Map<String, List<Long>> of(OnnxModel model, Inputs inputs) {
        try (var data = CalibrationData.read(model, inputs, 1)) {
            return of(model, data.batches().getFirst());
        }
    }

    /** Those of one example of a batch, or of all of a batch that can't be another. */
    static Map<String, List<Long>> of(OnnxModel model, Map<String, Tensor> batch) {
        long examples = InputBatches.examples(batch);
        Map<String, List<Long>> whole = new LinkedHashMap<>();
        Map<String, List<Long>> one = new LinkedHashMap<>();
        Shapes shapes = Shapes.of(model);
        batch.forEach((name, tensor) -> {
            List<Long> extents = Arrays.stream(Tensors.shape(tensor)).boxed().toList();
            List<Extent> declared = shapes.shape(name);
            List<Long> single = new ArrayList<>(extents);
            if (!single.isEmpty()
                    && single.getFirst() == examples
                    && (declared == null || !declared.getFirst().isKnown())) {
                single.set(0, 1L);
            }
            whole.put(name, extents);
            one.put(name, single);
        });
        try {
            ModelCost.of(model, one);
            return one;
        } catch (EspalierException e) {
            // It takes no other batch.
            return whole;
        }
    }
}

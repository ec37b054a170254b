package io.espalier.onnx.tune;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.quant.CalibrationData;
import io.espalier.onnx.repair.Pass;
import io.espalier.onnx.repair.Repair;
import io.espalier.onnx.shape.Shapes;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/** Fits a file's layers to those of another, and writes what they became back to their places. */
final class LayerFit {
    /** Found on text recognition at half of the weights; a tenth and ten times of it are worse. */
    private static final double RIDGE = 0.01;

    /** What both models' values may take while they go through their layers. */
    private static final long MOST_BYTES = 1L << 30;

    /** How many values of a model are alive at once, as a guess. */
    private static final int LIVE = 3;

    private static final List<Pass> IN_SIGHT =
            Stream.of("constant-folding", "no-operations", "dead-code").map(Repair::pass).toList();

    private LayerFit() {}

    /** A model, and how many of its layers have other weights now. */
    record Fitted(OnnxModel model, int layers) {}

    static Fitted of(
            OnnxModel model,
            OnnxModel teacher,
            List<Map<String, Tensor>> data,
            FineTuner.Listener listener) {
        OnnxModel student = Repair.run(model, IN_SIGHT).model();
        OnnxModel reference = Repair.run(teacher, IN_SIGHT).model();
        Shapes shapes = Shapes.of(model);
        Map<String, Optional<HeldWeight>> held = new LinkedHashMap<>();
        student.graph()
                .constants()
                .keySet()
                .forEach(name -> held.put(name, HeldWeight.of(model.graph(), shapes, name)));
        try (var fit =
                new Reconstruction(
                        student,
                        reference,
                        asMuchAsFits(student, data),
                        name -> held.getOrDefault(name, Optional.empty()).isPresent(),
                        RIDGE)) {
            int layers = fit.run((done, total) -> listener.at("fitting layers", done, total));
            Map<String, ConstantTensor> changed = new LinkedHashMap<>();
            try (var scope = new PointerScope();
                    var noGrad = new NoGradGuard()) {
                fit.constants()
                        .forEach((name, now) ->
                                held.getOrDefault(name, Optional.empty())
                                        .ifPresent(weight ->
                                                changed.put(
                                                        weight.name(),
                                                        weight.withRead(now.toTensor()))));
            }
            return new Fitted(
                    model.rewritten(graph ->
                            changed.forEach((name, by) -> HeldWeight.replace(graph, name, by))),
                    layers);
        }
    }

    /** Batches from the first on, as many as both models' values leave room for. */
    private static List<Map<String, Tensor>> asMuchAsFits(
            OnnxModel model, List<Map<String, Tensor>> data) {
        Map<String, List<Long>> extents = new LinkedHashMap<>();
        data.getFirst()
                .forEach((name, tensor) ->
                        extents.put(name, Arrays.stream(Tensors.shape(tensor)).boxed().toList()));
        Shapes shapes = Shapes.of(model, extents);
        long largest = 1;
        for (OnnxNode node : model.graph().nodes()) {
            List<Long> shape = shapes.extents(node.output());
            if (shape != null) {
                largest = Math.max(largest, shape.stream().reduce(1L, (a, b) -> a * b));
            }
        }
        long perExample =
                Math.max(1, largest * Float.BYTES / CalibrationData.examples(data.getFirst()));
        long room = MOST_BYTES / (2 * LIVE * perExample);
        int taken = 0;
        long examples = 0;
        while (taken < data.size() && (taken == 0 || examples < room)) {
            examples += CalibrationData.examples(data.get(taken++));
        }
        return data.subList(0, taken);
    }
}

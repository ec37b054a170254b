package io.espalier.onnx.tune;

import io.espalier.onnx.fit.StreamBudget;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.quant.half.OpenedHalves;
import io.espalier.onnx.repair.Pass;
import io.espalier.onnx.repair.Repair;
import io.espalier.onnx.shape.Shapes;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/** Fits a file's layers to those of another, and writes what they became back to their places. */
final class LayerFit {
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
        OnnxModel student = Repair.run(OpenedHalves.open(model), IN_SIGHT).model();
        OnnxModel reference = Repair.run(OpenedHalves.open(teacher), IN_SIGHT).model();
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
                        StreamBudget.asMuchAsFits(student, data),
                        name -> held.getOrDefault(name, Optional.empty()).isPresent())) {
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
}

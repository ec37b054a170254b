package io.espalier.cli;

import io.espalier.graph.GraphCost;
import io.espalier.graph.GraphModule;
import io.espalier.onnx.inputs.TensorInfo;
import io.espalier.onnx.lower.LoweredModel;
import io.espalier.onnx.lower.Lowering;
import io.espalier.onnx.lower.ModelInterface;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.repair.Repair;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;

/** An ONNX model as libtorch would run it. */
record LoweredInspection(Path file, ModelInterface names, SavedProgram program) {
    /**
     * Lowers a file's model.
     *
     * @param extents of its inputs, by name; those that are not given are the smallest possible
     */
    static LoweredInspection of(Path file, Map<String, List<Long>> extents) {
        OnnxModel model = OnnxModel.load(file);
        ModelInterface names = ModelInterface.of(model);
        LoweredModel lowered = Lowering.lower(Repair.run(model).model());
        GraphModule module = lowered.module();
        Map<String, List<Long>> run = extents.isEmpty() ? ofOne(names) : extents;
        return new LoweredInspection(
                file, names, SavedProgram.of(module.graph(), () -> cost(names, module, run)));
    }

    /** The extents of one example; empty where the model leaves more open than how many. */
    private static Map<String, List<Long>> ofOne(ModelInterface names) {
        var extents = new LinkedHashMap<String, List<Long>>();
        for (TensorInfo input : names.inputs()) {
            int dimensions = input.extents().map(List::size).orElse(0);
            List<Long> known = new ArrayList<>();
            for (int d = 0; d < dimensions; d++) {
                OptionalLong fixed = input.extents().orElseThrow().get(d).fixed();
                if (d == 0 || fixed.isPresent()) {
                    known.add(fixed.orElse(1));
                }
            }
            if (dimensions == 0 || known.size() < dimensions) {
                return Map.of();
            }
            extents.put(input.name(), known);
        }
        return extents;
    }

    private static GraphCost cost(
            ModelInterface names, GraphModule module, Map<String, List<Long>> extents) {
        if (extents.isEmpty()) {
            return GraphCost.of(module);
        }
        try (var scope = new PointerScope()) {
            return GraphCost.of(
                    module,
                    names.inputs().stream()
                            .map(input -> zeros(input, extents))
                            .toArray(Tensor[]::new));
        }
    }

    private static Tensor zeros(TensorInfo input, Map<String, List<Long>> extents) {
        List<Long> shape = extents.get(input.name());
        if (shape == null) {
            throw new EspalierException(
                    "--input has no extents of '" + input.name() + "'; the model wants " + input);
        }
        return Tensors.zeros(
                input.type().libtorch(), shape.stream().mapToLong(Long::longValue).toArray());
    }

    List<String> lines() {
        return program.lines();
    }

    /** As JSON has it. */
    Map<String, Object> describe() {
        var description = new LinkedHashMap<String, Object>();
        description.put("file", file.toString());
        description.put("inputs", names.inputs().stream().map(TensorInfo::toString).toList());
        description.put("outputs", names.outputs().stream().map(TensorInfo::toString).toList());
        description.put("program", program.describe());
        return description;
    }
}

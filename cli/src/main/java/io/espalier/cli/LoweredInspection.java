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
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

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
        return new LoweredInspection(
                file, names, SavedProgram.of(module.graph(), () -> cost(names, module, extents)));
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

package io.espalier.onnx.export;

import io.espalier.graph.Graph;
import io.espalier.graph.GraphModule;
import io.espalier.graph.Size;
import io.espalier.graph.TensorType;
import io.espalier.graph.Value;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.proto.GraphProto;
import io.espalier.onnx.proto.ModelProto;
import io.espalier.onnx.proto.OperatorSetIdProto;
import io.espalier.onnx.proto.TensorShapeProto;
import io.espalier.onnx.proto.TypeProto;
import io.espalier.onnx.proto.ValueInfoProto;
import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;

/** Writes a graph module as a whole model: its inputs and outputs, and all between them. */
final class FileWriter {
    private final GraphModule module;
    private final Graph graph;
    private final List<Tensor> example;
    private final OnnxExport.Options options;
    private final Draft draft;

    FileWriter(GraphModule module, List<Tensor> given, OnnxExport.Options options) {
        this.module = module;
        this.graph = module.graph();
        this.options = options;
        this.draft = new Draft(options.opset());
        this.example = given.isEmpty() ? zeros() : given;
        if (example.size() != graph.inputs().size()) {
            throw new EspalierException(
                    "The model takes "
                            + graph.inputs()
                            + "; the example has "
                            + example.size()
                            + " tensors.");
        }
    }

    private List<Tensor> zeros() {
        if (graph.inputs().isEmpty()) {
            return List.of();
        }
        if (graph.signature().types().isEmpty()) {
            throw new EspalierException(
                    "Nothing is known of the graph's inputs; give an example of them.");
        }
        return graph.signature().zeros(graph.signature().example());
    }

    OnnxModel write() {
        List<String> inputs =
                names("inputs", options.inputs(), graph.inputs()).stream()
                        .map(draft::fresh)
                        .toList();
        var run = ExampleRun.of(module, example);
        List<String> results = new GraphWriter(draft, "", module, run).write(inputs);
        List<String> outputs = outputs(results, inputs);
        var proto = GraphProto.newBuilder().setName("model");
        for (int i = 0; i < inputs.size(); i++) {
            proto.addInput(input(inputs.get(i), graph.inputs().get(i), example.get(i)));
        }
        for (int i = 0; i < outputs.size(); i++) {
            proto.addOutput(output(outputs.get(i), run.of(graph.outputs().get(i)), i, run));
        }
        draft.nodes().forEach(node -> proto.addNode(node.toProto()));
        var model =
                ModelProto.newBuilder()
                        .setIrVersion(irVersion())
                        .setProducerName("espalier")
                        .addOpsetImport(OperatorSetIdProto.newBuilder().setVersion(options.opset()))
                        .setGraph(proto)
                        .build();
        OnnxModel written = OnnxModel.of(model, draft.constants());
        written.graph().removeUnused();
        return written;
    }

    /** The first version of the format in which the operators exist. */
    private long irVersion() {
        return switch (Math.toIntExact(options.opset())) {
            case 17, 18 -> 8;
            case 19, 20 -> 9;
            case 21, 22 -> 10;
            default -> 11;
        };
    }

    private static List<String> names(String what, List<String> given, List<Value> values) {
        if (given.isEmpty()) {
            return values.stream().map(Value::name).toList();
        }
        if (given.size() != values.size() || new HashSet<>(given).size() != given.size()) {
            throw new EspalierException(
                    "The model's "
                            + what
                            + " are "
                            + values
                            + "; as many different names are needed, given were "
                            + given
                            + ".");
        }
        return given;
    }

    /** The results under the names of the outputs, each made by a node of its own. */
    private List<String> outputs(List<String> results, List<String> inputs) {
        List<String> wanted = names("outputs", options.outputs(), graph.outputs());
        var given = new HashSet<String>();
        List<String> outputs = new ArrayList<>();
        for (int i = 0; i < results.size(); i++) {
            String result = results.get(i);
            boolean named = !options.outputs().isEmpty();
            if (!draft.makes(result) || !given.add(result)) {
                draft.begin(wanted.get(i));
                String copy = draft.node("Identity", result);
                String name = draft.fresh(wanted.get(i));
                draft.rename(copy, name);
                outputs.add(name);
            } else if (named && !result.equals(wanted.get(i))) {
                String name = draft.fresh(wanted.get(i));
                draft.rename(result, name);
                outputs.add(name);
            } else {
                outputs.add(result);
            }
        }
        if (!options.outputs().isEmpty() && !outputs.equals(wanted)) {
            throw new EspalierException(
                    "Outputs can't be named "
                            + wanted
                            + ": other values of the model have these names; its inputs are "
                            + inputs
                            + ".");
        }
        return outputs;
    }

    private ValueInfoProto input(String name, Value value, Tensor tensor) {
        Seen seen = Seen.of(tensor);
        TensorType type = graph.signature().types().get(value);
        var shape = TensorShapeProto.newBuilder();
        for (int dim = 0; dim < seen.rank(); dim++) {
            var extent = TensorShapeProto.Dimension.newBuilder();
            if (type != null && type.shape().get(dim) instanceof Size.Free(String free)) {
                extent.setDimParam(free);
            } else {
                extent.setDimValue(seen.shape().get(dim));
            }
            shape.addDim(extent);
        }
        return value(name, seen.type(), shape.build());
    }

    private ValueInfoProto output(String name, Seen seen, int place, ExampleRun run) {
        var shape = TensorShapeProto.newBuilder();
        for (int dim = 0; dim < seen.rank(); dim++) {
            Size size = run.size(graph.outputs().get(place), dim);
            var extent = TensorShapeProto.Dimension.newBuilder();
            switch (size) {
                case Size.Fixed(long number) -> extent.setDimValue(number);
                case Size.Unknown unknown -> {}
                default -> extent.setDimParam(size.toString());
            }
            shape.addDim(extent);
        }
        return value(name, seen.type(), shape.build());
    }

    private static ValueInfoProto value(String name, ElementType type, TensorShapeProto shape) {
        return ValueInfoProto.newBuilder()
                .setName(name)
                .setType(
                        TypeProto.newBuilder()
                                .setTensorType(
                                        TypeProto.Tensor.newBuilder()
                                                .setElemType(type.code())
                                                .setShape(shape)))
                .build();
    }
}

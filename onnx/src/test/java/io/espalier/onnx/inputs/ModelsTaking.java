package io.espalier.onnx.inputs;

import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.proto.GraphProto;
import io.espalier.onnx.proto.ModelProto;
import io.espalier.onnx.proto.NodeProto;
import io.espalier.onnx.proto.OperatorSetIdProto;
import io.espalier.onnx.proto.TypeProto;
import io.espalier.onnx.proto.ValueInfoProto;

import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Models that give back what they take. */
public final class ModelsTaking {
    private static final Pattern INPUT = Pattern.compile("(\\w+): (\\w+) \\[(.*)]");

    private ModelsTaking() {}

    /** One that takes inputs as an error would describe them: {@code x: float [N, 3, 48, W]}. */
    public static OnnxModel of(String... inputs) {
        var graph = GraphProto.newBuilder().setName("g");
        for (String input : inputs) {
            Matcher parts = INPUT.matcher(input);
            if (!parts.matches()) {
                throw new IllegalArgumentException(input);
            }
            String name = parts.group(1);
            TypeProto type = type(parts.group(2), parts.group(3));
            graph.addInput(ValueInfoProto.newBuilder().setName(name).setType(type));
            graph.addOutput(ValueInfoProto.newBuilder().setName("out_" + name).setType(type));
            graph.addNode(
                    NodeProto.newBuilder()
                            .setOpType("Identity")
                            .addInput(name)
                            .addOutput("out_" + name));
        }
        return OnnxModel.of(
                ModelProto.newBuilder()
                        .setIrVersion(8)
                        .addOpsetImport(OperatorSetIdProto.newBuilder().setVersion(17))
                        .setGraph(graph)
                        .build());
    }

    private static TypeProto type(String elements, String extents) {
        var tensor = TypeProto.Tensor.newBuilder();
        tensor.setElemType(ElementType.valueOf(elements.toUpperCase(Locale.ROOT)).code());
        tensor.getShapeBuilder();
        for (String extent : List.of(extents.split(", ", -1))) {
            var dimension = tensor.getShapeBuilder().addDimBuilder();
            if (Character.isDigit(extent.charAt(0))) {
                dimension.setDimValue(Long.parseLong(extent));
            } else if (!extent.equals("?")) {
                dimension.setDimParam(extent);
            }
        }
        return TypeProto.newBuilder().setTensorType(tensor).build();
    }
}

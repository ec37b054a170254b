package io.espalier.onnx.zoo;

import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.proto.FunctionProto;
import io.espalier.onnx.proto.ModelProto;
import io.espalier.onnx.proto.NodeProto;
import io.espalier.onnx.proto.OperatorSetIdProto;

/** Models whose nodes are in functions of the file, as the newer exporter first wrote them. */
final class Functions {
    private static final String DOMAIN = "pkg.torch.2.3.0";

    private Functions() {}

    /** The model with a function for each of its nodes that has no constant for all inputs. */
    static OnnxModel calling(OnnxModel model) {
        ModelProto.Builder proto = model.toProto().toBuilder();
        proto.addOpsetImport(OperatorSetIdProto.newBuilder().setDomain(DOMAIN).setVersion(1));
        for (int i = 0; i < proto.getGraph().getNodeCount(); i++) {
            NodeProto node = proto.getGraph().getNode(i);
            if (node.getInputCount() == 0) {
                continue;
            }
            var function =
                    FunctionProto.newBuilder()
                            .setDomain(DOMAIN)
                            .setName("layer_" + i)
                            .addOpsetImport(
                                    OperatorSetIdProto.newBuilder().setVersion(model.opset()));
            var inner = node.toBuilder().clearInput().clearOutput().addOutput("result");
            for (int j = 0; j < node.getInputCount(); j++) {
                function.addInput("operand_" + j);
                inner.addInput("operand_" + j);
            }
            proto.addFunctions(function.addOutput("result").addNode(inner));
            proto.getGraphBuilder()
                    .setNode(
                            i,
                            node.toBuilder()
                                    .clearAttribute()
                                    .setDomain(DOMAIN)
                                    .setOpType("layer_" + i));
        }
        return OnnxModel.of(proto.build());
    }
}

package io.espalier.onnx.model;

import io.espalier.onnx.proto.AttributeProto;
import io.espalier.onnx.proto.FunctionProto;
import io.espalier.onnx.proto.GraphProto;
import io.espalier.onnx.proto.ModelProto;
import io.espalier.onnx.proto.NodeProto;
import io.espalier.onnx.proto.SparseTensorProto;
import io.espalier.onnx.proto.TensorProto;
import io.espalier.onnx.proto.TrainingInfoProto;

import java.util.List;

/**
 * Tensors in other files that are no constants of the graph: in nodes' attributes, in the graphs
 * inside nodes, in functions. Their messages get the elements themselves, where these are mapped,
 * so that they go where the message goes.
 */
final class ExternalTensors {
    private final ExternalData data;

    ExternalTensors(ExternalData data) {
        this.data = data;
    }

    /** A node whose tensors hold their elements. */
    NodeProto held(NodeProto node) {
        if (node.getAttributeList().stream().noneMatch(ExternalTensors::isAway)) {
            return node;
        }
        var held = node.toBuilder();
        for (int i = 0; i < node.getAttributeCount(); i++) {
            held.setAttribute(i, held(node.getAttribute(i)));
        }
        return held.build();
    }

    /** A graph inside a node whose tensors hold their elements. */
    private GraphProto held(GraphProto graph) {
        if (!isAway(graph)) {
            return graph;
        }
        var held = graph.toBuilder();
        for (int i = 0; i < graph.getInitializerCount(); i++) {
            held.setInitializer(i, held(graph.getInitializer(i)));
        }
        for (int i = 0; i < graph.getSparseInitializerCount(); i++) {
            held.setSparseInitializer(i, held(graph.getSparseInitializer(i)));
        }
        for (int i = 0; i < graph.getNodeCount(); i++) {
            held.setNode(i, held(graph.getNode(i)));
        }
        return held.build();
    }

    /** All of a model but its graph. */
    ModelProto held(ModelProto rest) {
        boolean away =
                rest.getFunctionsList().stream()
                                .anyMatch(function -> isAnyAway(function.getNodeList()))
                        || rest.getTrainingInfoList().stream()
                                .anyMatch(info ->
                                        isAway(info.getInitialization())
                                                || isAway(info.getAlgorithm()));
        if (!away) {
            return rest;
        }
        var held = rest.toBuilder();
        for (int i = 0; i < rest.getFunctionsCount(); i++) {
            FunctionProto.Builder function = rest.getFunctions(i).toBuilder();
            for (int j = 0; j < function.getNodeCount(); j++) {
                function.setNode(j, held(function.getNode(j)));
            }
            held.setFunctions(i, function);
        }
        for (int i = 0; i < rest.getTrainingInfoCount(); i++) {
            TrainingInfoProto.Builder info = rest.getTrainingInfo(i).toBuilder();
            if (info.hasInitialization()) {
                info.setInitialization(held(info.getInitialization()));
            }
            if (info.hasAlgorithm()) {
                info.setAlgorithm(held(info.getAlgorithm()));
            }
            held.setTrainingInfo(i, info);
        }
        return held.build();
    }

    /** A sparse tensor whose parts hold their elements. */
    SparseTensorProto held(SparseTensorProto sparse) {
        return isAway(sparse)
                ? sparse.toBuilder()
                        .setValues(held(sparse.getValues()))
                        .setIndices(held(sparse.getIndices()))
                        .build()
                : sparse;
    }

    private TensorProto held(TensorProto tensor) {
        return isAway(tensor) ? ConstantTensor.of(tensor, data).toProto(tensor.getName()) : tensor;
    }

    private AttributeProto held(AttributeProto attribute) {
        if (!isAway(attribute)) {
            return attribute;
        }
        var held = attribute.toBuilder();
        if (attribute.hasT()) {
            held.setT(held(attribute.getT()));
        }
        if (attribute.hasG()) {
            held.setG(held(attribute.getG()));
        }
        if (attribute.hasSparseTensor()) {
            held.setSparseTensor(held(attribute.getSparseTensor()));
        }
        for (int i = 0; i < attribute.getTensorsCount(); i++) {
            held.setTensors(i, held(attribute.getTensors(i)));
        }
        for (int i = 0; i < attribute.getGraphsCount(); i++) {
            held.setGraphs(i, held(attribute.getGraphs(i)));
        }
        for (int i = 0; i < attribute.getSparseTensorsCount(); i++) {
            held.setSparseTensors(i, held(attribute.getSparseTensors(i)));
        }
        return held.build();
    }

    private static boolean isAway(TensorProto tensor) {
        return tensor.getDataLocation() == TensorProto.DataLocation.EXTERNAL;
    }

    private static boolean isAway(SparseTensorProto sparse) {
        return isAway(sparse.getValues()) || isAway(sparse.getIndices());
    }

    private static boolean isAway(GraphProto graph) {
        return graph.getInitializerList().stream().anyMatch(ExternalTensors::isAway)
                || graph.getSparseInitializerList().stream().anyMatch(ExternalTensors::isAway)
                || isAnyAway(graph.getNodeList());
    }

    private static boolean isAnyAway(List<NodeProto> nodes) {
        return nodes.stream()
                .anyMatch(
                        node -> node.getAttributeList().stream().anyMatch(ExternalTensors::isAway));
    }

    private static boolean isAway(AttributeProto attribute) {
        return isAway(attribute.getT())
                || isAway(attribute.getG())
                || isAway(attribute.getSparseTensor())
                || attribute.getTensorsList().stream().anyMatch(ExternalTensors::isAway)
                || attribute.getGraphsList().stream().anyMatch(ExternalTensors::isAway)
                || attribute.getSparseTensorsList().stream().anyMatch(ExternalTensors::isAway);
    }
}

package io.espalier.onnx.quant.half;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.proto.AttributeProto;
import io.espalier.onnx.proto.GraphProto;
import io.espalier.onnx.proto.NodeProto;
import io.espalier.onnx.proto.TensorProto;
import io.espalier.onnx.proto.ValueInfoProto;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Collectors;

/** Weights within branches and bodies of loops, as constants of their graphs or as nodes. */
final class InnerHalves {
    private final OnnxGraph outer;
    private final Predicate<OnnxNode> mayBeHalves;
    private final Set<String> given = new HashSet<>();
    private final List<HalfStorage.Weight> weights = new ArrayList<>();

    InnerHalves(OnnxGraph outer, Predicate<OnnxNode> mayBeHalves) {
        this.outer = outer;
        this.mayBeHalves = mayBeHalves;
    }

    /** Puts a node with halved weights in the place of one with graphs of its own. */
    List<HalfStorage.Weight> halve(OnnxNode node) {
        if (node.subgraphs().isEmpty() || !mayBeHalves.test(node)) {
            return List.of();
        }
        weights.clear();
        NodeProto halved = halved(node.toProto());
        if (weights.stream().anyMatch(HalfStorage.Weight::halved)) {
            outer.replace(node, OnnxNode.of(halved));
        }
        return List.copyOf(weights);
    }

    private NodeProto halved(NodeProto node) {
        var halved = node.toBuilder();
        for (int i = 0; i < node.getAttributeCount(); i++) {
            AttributeProto attribute = node.getAttribute(i);
            if (attribute.hasG()) {
                halved.getAttributeBuilder(i).setG(halved(attribute.getG()));
            }
            for (int j = 0; j < attribute.getGraphsCount(); j++) {
                halved.getAttributeBuilder(i).setGraphs(j, halved(attribute.getGraphs(j)));
            }
        }
        return halved.build();
    }

    private GraphProto halved(GraphProto graph) {
        var halved = graph.toBuilder().clearInitializer().clearNode();
        Set<String> inputs =
                graph.getInputList().stream()
                        .map(ValueInfoProto::getName)
                        .collect(Collectors.toSet());
        for (TensorProto tensor : graph.getInitializerList()) {
            Optional<HalfTensor> halves =
                    inputs.contains(tensor.getName())
                            ? Optional.empty()
                            : halves(graph, tensor.getName(), ConstantTensor.of(tensor));
            if (halves.isPresent()) {
                String stored = fresh(tensor.getName() + "_h");
                halved.addInitializer(halves.get().halves().toProto(stored));
                addNodes(halved, stored, halves.get(), tensor.getName());
            } else {
                halved.addInitializer(tensor);
            }
        }
        for (NodeProto node : graph.getNodeList()) {
            OnnxNode read = OnnxNode.of(node);
            ConstantTensor value = read.is("Constant") ? read.tensor("value") : null;
            Optional<HalfTensor> halves =
                    value == null ? Optional.empty() : halves(graph, read.output(), value);
            if (halves.isPresent()) {
                String stored = fresh(read.output() + "_h");
                halved.addInitializer(halves.get().halves().toProto(stored));
                addNodes(halved, stored, halves.get(), read.output());
            } else {
                halved.addNode(halved(node));
            }
        }
        return halved.build();
    }

    private Optional<HalfTensor> halves(GraphProto graph, String name, ConstantTensor constant) {
        List<OnnxNode> readers =
                graph.getNodeList().stream()
                        .map(OnnxNode::of)
                        .filter(node -> node.reads().contains(name))
                        .toList();
        if (!HalfStorage.isWorth(constant) || readers.isEmpty()) {
            return Optional.empty();
        }
        boolean taken =
                HalfReaders.take(graph, name)
                        && HalfStorage.refusal(name, constant, readers, mayBeHalves) == null;
        Optional<HalfTensor> halves = taken ? HalfTensor.of(constant) : Optional.empty();
        weights.add(
                new HalfStorage.Weight(
                        readers.getFirst().name(),
                        readers.stream()
                                .map(OnnxNode::op)
                                .distinct()
                                .collect(Collectors.joining(" ")),
                        halves.isPresent(),
                        halves.map(HalfStorage::remark).orElse("it has to be exact")));
        return halves;
    }

    private void addNodes(GraphProto.Builder graph, String stored, HalfTensor halves, String name) {
        String power = "";
        if (halves.exponent() != 0) {
            power = fresh(name + "_p");
            graph.addInitializer(HalfStorage.power(halves).toProto(power));
        }
        for (OnnxNode node : HalfStorage.nodes(stored, power, fresh(name + "_c"), name)) {
            graph.addNode(node.toProto());
        }
    }

    /** A name that no value has anywhere, and that is given once. */
    private String fresh(String like) {
        String name = outer.freshName(like);
        for (int i = 1; !given.add(name); i++) {
            name = outer.freshName(like + "_" + i);
        }
        return name;
    }
}

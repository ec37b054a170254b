package io.espalier.onnx.quant.half;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.stream.Collectors;

/**
 * Weights of a model kept as 16-bit floats, of which the runtime makes floats when it loads the
 * model: half the size, the same speed, all operators, and no error but that of rounding a weight
 * to 11 bits.
 */
public final class HalfStorage {
    /** Smaller constants are not worth a node. */
    static final long FROM = 256;

    /** Since this version Cast names its type by a number. */
    private static final long OLDEST_OPSET = 6;

    private HalfStorage() {}

    /**
     * A model with weights in 16 bits.
     *
     * @param model the copy
     * @param weights what became of each constant of some size, in the file's order
     */
    public record Result(OnnxModel model, List<Weight> weights) {
        /** Copies the list. */
        public Result {
            weights = List.copyOf(weights);
        }
    }

    /**
     * What became of a constant.
     *
     * @param name of the first node that reads it
     * @param operators that read it
     * @param halved whether it has 16 bits now
     * @param why in words
     */
    public record Weight(String name, String operators, boolean halved, String why) {}

    /**
     * Keeps a model's weights in 16 bits, those of graphs inside nodes too; the one given stays as
     * it is. What is compared, counted by or scales integers stays as it is, and so does what 16
     * bits and a power of two can't hold.
     *
     * @param mayBeHalves which nodes may read rounded weights
     */
    public static Result of(OnnxModel model, Predicate<OnnxNode> mayBeHalves) {
        if (model.opset() < OLDEST_OPSET) {
            return new Result(model.copy(), List.of());
        }
        var weights = new ArrayList<Weight>();
        OnnxModel halved =
                model.rewritten(graph -> {
                    for (String name : List.copyOf(graph.constants().keySet())) {
                        ConstantTensor constant = graph.constant(name);
                        if (constant != null && isWorth(constant)) {
                            weights.add(halve(graph, name, constant, mayBeHalves));
                        }
                    }
                    var inside = new InnerHalves(graph, mayBeHalves);
                    graph.nodes().forEach(node -> weights.addAll(inside.halve(node)));
                    graph.removeUnused();
                });
        return new Result(halved, weights);
    }

    static boolean isWorth(ConstantTensor constant) {
        return constant.type() == ElementType.FLOAT && constant.elements() >= FROM;
    }

    private static Weight halve(
            OnnxGraph graph,
            String name,
            ConstantTensor constant,
            Predicate<OnnxNode> mayBeHalves) {
        List<OnnxNode> readers = graph.readers(name);
        String first = readers.isEmpty() ? name : readers.getFirst().name();
        String operators =
                readers.stream().map(OnnxNode::op).distinct().collect(Collectors.joining(" "));
        String refusal =
                graph.isOutput(name)
                        ? "it is a result of the model"
                        : refusal(name, constant, readers, mayBeHalves);
        if (refusal != null) {
            return new Weight(first, operators, false, refusal);
        }
        Optional<HalfTensor> halves = HalfTensor.of(constant);
        if (halves.isEmpty()) {
            return new Weight(first, operators, false, "its numbers need more than 16 bits");
        }
        write(graph, name, halves.get());
        return new Weight(first, operators, true, remark(halves.get()));
    }

    static @Nullable String refusal(
            String name,
            ConstantTensor constant,
            List<OnnxNode> readers,
            Predicate<OnnxNode> mayBeHalves) {
        for (OnnxNode reader : readers) {
            if (!mayBeHalves.test(reader)) {
                return "kept float as asked";
            }
            if (!HalfReaders.take(reader, name)) {
                return reader.op() + " takes it exact";
            }
        }
        return constant.elements() > Integer.MAX_VALUE - 8 ? "it is larger than an array" : null;
    }

    static String remark(HalfTensor halves) {
        return halves.exponent() == 0
                ? "computed in 32 bits"
                : "times 2^" + halves.exponent() + ", computed in 32 bits";
    }

    static void write(OnnxGraph graph, String name, HalfTensor halves) {
        write(graph, name, graph.addConstant(name + "_h", halves.halves()), halves);
    }

    /** The same with a name for the halves, which may be the constant's own. */
    static void write(OnnxGraph graph, String name, String stored, HalfTensor halves) {
        String floats = graph.freshName(name + "_f");
        graph.replaceReads(name, floats);
        graph.setConstant(stored, halves.halves());
        String power = "";
        if (halves.exponent() != 0) {
            power = graph.addConstant(name + "_p", power(halves));
        }
        nodes(stored, power, graph.freshName(name + "_c"), floats).forEach(graph::add);
    }

    /** What each half is multiplied by. */
    static ConstantTensor power(HalfTensor halves) {
        return ConstantTensor.scalar(Math.scalb(1f, halves.exponent()));
    }

    /**
     * The nodes that make floats of halves.
     *
     * @param power the name of what they are multiplied by; empty if it is 1
     * @param between a name for the value before that
     */
    static List<OnnxNode> nodes(String halves, String power, String between, String floats) {
        if (power.isEmpty()) {
            return List.of(cast(halves, floats));
        }
        return List.of(
                cast(halves, between),
                OnnxNode.of("Mul", List.of(between, power), floats).withName(""));
    }

    private static OnnxNode cast(String halves, String floats) {
        // A name of its own would say nothing and cost room.
        return OnnxNode.of("Cast", List.of(halves), floats)
                .with("to", ElementType.FLOAT.code())
                .withName("");
    }
}

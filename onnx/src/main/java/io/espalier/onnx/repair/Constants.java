package io.espalier.onnx.repair;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;

import org.jspecify.annotations.Nullable;

import java.util.Arrays;
import java.util.List;
import java.util.OptionalDouble;
import java.util.OptionalLong;

/** What a graph's constants say where a pass looks for a number, a list or a weight. */
final class Constants {
    private Constants() {}

    /**
     * The only element of a constant of floats that doesn't lend its dimensions to what it is
     * combined with.
     */
    static OptionalDouble number(OnnxGraph graph, String value) {
        ConstantTensor constant = graph.constant(value);
        return constant != null
                        && constant.type() == ElementType.FLOAT
                        && constant.elements() == 1
                        && constant.shape().size() <= 1
                ? OptionalDouble.of(constant.toFloats()[0])
                : OptionalDouble.empty();
    }

    /** The constant of floats of this name, if that is what it is. */
    static @Nullable ConstantTensor floats(OnnxGraph graph, String value) {
        ConstantTensor constant = graph.constant(value);
        return constant != null && constant.type() == ElementType.FLOAT ? constant : null;
    }

    /**
     * A list of integers that newer versions of an operator have as an input, older ones as an
     * attribute; null if it isn't the same in each run, or left out.
     */
    static @Nullable List<Long> integers(OnnxGraph graph, OnnxNode node, String name, int input) {
        if (node.has(name)) {
            return node.integers(name);
        }
        ConstantTensor constant = graph.constant(node.input(input));
        return constant != null && isWhole(constant) && constant.shape().size() <= 1
                ? Arrays.stream(constant.toLongs()).boxed().toList()
                : null;
    }

    /** The only element of a constant of integers. */
    static OptionalLong integer(OnnxGraph graph, String value) {
        ConstantTensor constant = graph.constant(value);
        return constant != null && isWhole(constant) && constant.elements() == 1
                ? OptionalLong.of(constant.toLongs()[0])
                : OptionalLong.empty();
    }

    private static boolean isWhole(ConstantTensor constant) {
        return constant.type() == ElementType.INT64 || constant.type() == ElementType.INT32;
    }

    /** Whether nobody but this node reads a constant, so that it goes with the node. */
    static boolean goesWith(OnnxGraph graph, String constant, OnnxNode node) {
        return graph.onlyReader(constant) == node;
    }

    /** The other of a node's two inputs. */
    static String other(OnnxNode node, String input) {
        return node.input(0).equals(input) ? node.input(1) : node.input(0);
    }
}

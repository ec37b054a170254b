package io.espalier.onnx.quant.half;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;

import org.jspecify.annotations.Nullable;

import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * Weights that a file keeps in 16 bits and computes with in 32, as floats of the same names while
 * they are changed, and then in 16 bits again.
 *
 * @param model the file with floats in their place
 * @param names of those weights
 */
public record StoredHalves(OnnxModel model, Set<String> names) {
    /** Copies the names. */
    public StoredHalves {
        names = Set.copyOf(names);
    }

    /** Those of a file of which it makes floats itself, by a Cast and by a power of two. */
    public static StoredHalves open(OnnxModel model) {
        Set<String> names = new HashSet<>();
        OnnxModel opened =
                model.rewritten(graph -> {
                    for (String name : List.copyOf(graph.constants().keySet())) {
                        if (open(graph, name)) {
                            names.add(name);
                        }
                    }
                    graph.removeUnused();
                });
        return names.isEmpty()
                ? new StoredHalves(model, Set.of())
                : new StoredHalves(opened, names);
    }

    private static boolean open(OnnxGraph graph, String name) {
        ConstantTensor halves = graph.constant(name);
        OnnxNode cast = graph.onlyReader(name);
        if (halves == null
                || halves.type() != ElementType.FLOAT16
                || cast == null
                || !OpenedHalves.makesFloats(cast)
                || graph.isOutput(cast.output())) {
            return false;
        }
        float[] values = halves.toFloats();
        String floats = cast.output();
        OnnxNode scaling = graph.onlyReader(floats);
        Float power = scaling == null ? null : power(graph, scaling, floats);
        graph.remove(cast);
        if (scaling != null && power != null) {
            for (int i = 0; i < values.length; i++) {
                values[i] *= power;
            }
            graph.remove(scaling);
            floats = scaling.output();
        }
        graph.setConstant(name, ConstantTensor.floats(halves.shape(), values));
        graph.replaceReads(floats, name);
        return true;
    }

    /** What a node multiplies all of a value by; null if it does anything else. */
    private static @Nullable Float power(OnnxGraph graph, OnnxNode node, String value) {
        if (!node.is("Mul") || graph.isOutput(node.output())) {
            return null;
        }
        ConstantTensor factor =
                graph.constant(node.input(0).equals(value) ? node.input(1) : node.input(0));
        return factor != null && factor.type() == ElementType.FLOAT && factor.shape().isEmpty()
                ? factor.toFloats()[0]
                : null;
    }

    /**
     * A model made of the opened one, with what is left of those weights in 16 bits again; one that
     * 16 bits and a power of two can't hold stays in 32.
     */
    public OnnxModel close(OnnxModel changed) {
        return names.isEmpty()
                ? changed
                : changed.rewritten(graph -> {
                    names.forEach(name -> close(graph, name));
                    graph.removeUnused();
                });
    }

    private static void close(OnnxGraph graph, String name) {
        ConstantTensor floats = graph.constant(name);
        if (floats != null && floats.type() == ElementType.FLOAT && !graph.isOutput(name)) {
            HalfTensor.of(floats).ifPresent(halves -> HalfStorage.write(graph, name, name, halves));
        }
    }
}

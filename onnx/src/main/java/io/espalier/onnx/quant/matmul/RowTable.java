package io.espalier.onnx.quant.matmul;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;

import java.util.List;

/** A table in 8-bit integers with a scale for each row: rows and scales are taken alike. */
final class RowTable {
    private static final int LARGEST = 127;

    private RowTable() {}

    /** Puts the table in the place of a float one. */
    static void write(OnnxGraph graph, String name, ConstantTensor table, List<OnnxNode> readers) {
        int rows = Math.toIntExact(table.shape().getFirst());
        int width = Math.toIntExact(table.shape().getLast());
        float[] values = EmbeddingQuantization.floats(name, table);
        var integers = new byte[values.length];
        var scales = new float[rows];
        for (int row = 0; row < rows; row++) {
            scales[row] = quantize(values, row * width, width, integers);
        }
        String q =
                graph.addConstant(
                        name + "_q",
                        ConstantTensor.bytes(ElementType.INT8, table.shape(), integers));
        String s =
                graph.addConstant(
                        name + "_s", ConstantTensor.floats(List.of((long) rows, 1L), scales));
        for (OnnxNode reader : readers) {
            String taken = graph.freshName(reader.output() + "_q");
            String scale = graph.freshName(reader.output() + "_s");
            String floats = graph.freshName(reader.output() + "_f");
            graph.replace(
                    reader,
                    reader.withInput(0, q).withOutputs(List.of(taken)),
                    reader.withInput(0, s)
                            .withOutputs(List.of(scale))
                            .withName(reader.name() + "/scale"),
                    OnnxNode.of("Cast", List.of(taken), floats)
                            .with("to", ElementType.FLOAT.code()),
                    OnnxNode.of("Mul", List.of(floats, scale), reader.output()));
        }
    }

    private static float quantize(float[] values, int from, int width, byte[] integers) {
        float largest = 0;
        for (int i = from; i < from + width; i++) {
            largest = Math.max(largest, Math.abs(values[i]));
        }
        float scale = largest > 0 ? largest / LARGEST : 1;
        for (int i = from; i < from + width; i++) {
            integers[i] = (byte) Math.clamp(Math.rint(values[i] / scale), -LARGEST, LARGEST);
        }
        return scale;
    }
}

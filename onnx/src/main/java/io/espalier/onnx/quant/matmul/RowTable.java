package io.espalier.onnx.quant.matmul;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;

import java.util.ArrayList;
import java.util.List;

/**
 * A table in 8-bit integers with a scale for each row: rows and scales are taken alike. Scales have
 * 16 bits, where those hold them, and integers are rounded by the scales as they are then.
 */
final class RowTable {
    private static final int LARGEST = 127;

    /** The smallest float of 16 bits that has all its digits, and the largest of all. */
    private static final float LEAST_HALF = 0x1p-14f;

    private static final float MOST_HALF = 65504;

    private RowTable() {}

    /** Puts the table in the place of a float one. */
    static void write(OnnxGraph graph, String name, ConstantTensor table, List<OnnxNode> readers) {
        int rows = Math.toIntExact(table.shape().getFirst());
        int width = Math.toIntExact(table.shape().getLast());
        float[] values = EmbeddingQuantization.floats(name, table);
        var scales = new float[rows];
        boolean half = true;
        for (int row = 0; row < rows; row++) {
            scales[row] = scale(values, row * width, width);
            half &= scales[row] >= LEAST_HALF && scales[row] <= MOST_HALF;
        }
        if (half) {
            for (int row = 0; row < rows; row++) {
                scales[row] = Float.float16ToFloat(Float.floatToFloat16(scales[row]));
            }
        }
        var integers = new byte[values.length];
        for (int i = 0; i < values.length; i++) {
            double rounded = Math.rint(values[i] / scales[i / width]);
            integers[i] = (byte) Math.clamp(rounded, -LARGEST, LARGEST);
        }
        String q =
                graph.addConstant(
                        name + "_q",
                        ConstantTensor.bytes(ElementType.INT8, table.shape(), integers));
        String s = graph.addConstant(name + "_s", column(scales, half));
        for (OnnxNode reader : readers) {
            write(graph, reader, q, s, half);
        }
    }

    private static void write(
            OnnxGraph graph, OnnxNode reader, String integers, String scales, boolean half) {
        String taken = graph.freshName(reader.output() + "_q");
        String floats = graph.freshName(reader.output() + "_f");
        String scale = graph.freshName(reader.output() + "_s");
        var nodes = new ArrayList<OnnxNode>();
        nodes.add(reader.withInput(0, integers).withOutputs(List.of(taken)));
        nodes.add(toFloat(taken, floats));
        OnnxNode scaleReader = reader.withInput(0, scales).withName(reader.name() + "/scale");
        if (half) {
            String shorter = graph.freshName(reader.output() + "_h");
            nodes.add(scaleReader.withOutputs(List.of(shorter)));
            nodes.add(toFloat(shorter, scale));
        } else {
            nodes.add(scaleReader.withOutputs(List.of(scale)));
        }
        nodes.add(OnnxNode.of("Mul", List.of(floats, scale), reader.output()));
        graph.replace(reader, nodes.toArray(OnnxNode[]::new));
    }

    private static OnnxNode toFloat(String value, String as) {
        return OnnxNode.of("Cast", List.of(value), as).with("to", ElementType.FLOAT.code());
    }

    /** Scales as a tensor [rows, 1]. */
    private static ConstantTensor column(float[] scales, boolean half) {
        List<Long> shape = List.of((long) scales.length, 1L);
        if (!half) {
            return ConstantTensor.floats(shape, scales);
        }
        var bits = new short[scales.length];
        for (int row = 0; row < bits.length; row++) {
            bits[row] = Float.floatToFloat16(scales[row]);
        }
        return ConstantTensor.halves(shape, bits);
    }

    /** What brings a row's largest magnitude to 127. */
    private static float scale(float[] values, int from, int width) {
        float largest = 0;
        for (int i = from; i < from + width; i++) {
            largest = Math.max(largest, Math.abs(values[i]));
        }
        return largest > 0 ? largest / LARGEST : 1;
    }
}

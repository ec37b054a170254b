package io.espalier.onnx.quant.matmul;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;

/**
 * A table in unsigned 4-bit integers, two in a byte, with a scale and a zero point for each block
 * of a row: what ONNX Runtime's GatherBlockQuantized reads.
 */
final class BlockTable {
    private static final int LARGEST = 15;

    /** How many values of a row may share a scale: the more, the smaller the table. */
    private static final int[] BLOCKS = {128, 64, 32, 16};

    /** Of a block's range, so that its many small values lose less than its few large ones. */
    private static final float[] SHARES = {0.95f, 0.9f, 0.85f, 0.8f, 0.75f, 0.7f};

    private BlockTable() {}

    /** The largest block that a row is a whole number of; 0 if there is none. */
    static int block(ConstantTensor table) {
        long width = table.shape().getLast();
        return Arrays.stream(BLOCKS).filter(block -> width % block == 0).findFirst().orElse(0);
    }

    /**
     * Puts the table in the place of a float one that is gathered from.
     *
     * @param size how many values of a row share a scale
     */
    static void write(
            OnnxGraph graph, String name, ConstantTensor table, List<OnnxNode> readers, int size) {
        float[] values = EmbeddingQuantization.floats(name, table);
        int blocks = values.length / size;
        var packed = new byte[values.length / 2];
        var zeroPoints = new byte[Math.ceilDiv(blocks, 2)];
        var scales = new float[blocks];
        for (int block = 0; block < blocks; block++) {
            int zeroPoint = quantize(values, block, size, scales, packed);
            put(zeroPoints, block, zeroPoint);
        }
        long rows = table.shape().getFirst();
        List<Long> perBlock = List.of(rows, blocks / rows);
        String q = graph.addConstant(name + "_q", small(table.shape(), packed));
        String s = graph.addConstant(name + "_s", ConstantTensor.floats(perBlock, scales));
        String z = graph.addConstant(name + "_z", small(perBlock, zeroPoints));
        for (OnnxNode reader : readers) {
            graph.replace(
                    reader,
                    OnnxNode.of(
                                    OnnxNode.MICROSOFT,
                                    "GatherBlockQuantized",
                                    List.of(q, reader.input(1), s, z),
                                    List.of(reader.output()))
                            .with("gather_axis", 0)
                            .with("quantize_axis", 1)
                            .with("block_size", size));
        }
    }

    private static ConstantTensor small(List<Long> shape, byte[] packed) {
        return ConstantTensor.of(ElementType.UINT4, shape, MemorySegment.ofArray(packed));
    }

    /** Packs a block's integers, keeps its scale, and gives its zero point. */
    private static int quantize(
            float[] values, int block, int size, float[] scales, byte[] packed) {
        int from = block * size;
        int to = from + size;
        float low = 0;
        float high = 0;
        for (int i = from; i < to; i++) {
            low = Math.min(low, values[i]);
            high = Math.max(high, values[i]);
        }
        var best = Grid.of(low, high);
        double least = best.error(values, from, to);
        for (float share : SHARES) {
            var grid = Grid.of(low * share, high * share);
            double error = grid.error(values, from, to);
            if (error < least) {
                least = error;
                best = grid;
            }
        }
        for (int i = from; i < to; i++) {
            put(packed, i, best.integer(values[i]));
        }
        scales[block] = best.scale();
        return best.zeroPoint();
    }

    /** The 16 numbers that a block's values are rounded to. */
    private record Grid(float scale, int zeroPoint) {
        static Grid of(float low, float high) {
            float scale = high > low ? (high - low) / LARGEST : 1;
            return new Grid(scale, (int) Math.clamp(Math.rint(-low / scale), 0, LARGEST));
        }

        int integer(float value) {
            return (int) Math.clamp(Math.rint(value / scale) + zeroPoint, 0, LARGEST);
        }

        double error(float[] values, int from, int to) {
            double squares = 0;
            for (int i = from; i < to; i++) {
                double error = (integer(values[i]) - zeroPoint) * scale - values[i];
                squares += error * error;
            }
            return squares;
        }
    }

    /** The first of two lies in the lower bits. */
    private static void put(byte[] packed, int place, int value) {
        packed[place / 2] |= (byte) (value << (place % 2 * 4));
    }
}

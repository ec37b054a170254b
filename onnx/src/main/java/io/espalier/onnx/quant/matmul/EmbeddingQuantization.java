package io.espalier.onnx.quant.matmul;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.tensor.EspalierException;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;
import java.util.OptionalDouble;
import java.util.function.ToIntFunction;

/**
 * Tables of vectors, from which rows are gathered or sliced, stored in few bits: a row of 8-bit
 * integers has a scale of its own, a block of 4-bit integers a scale and a zero point. Rows become
 * floats when they are read, so that time hardly changes.
 */
public final class EmbeddingQuantization {
    /** Bits of a table that stays as it is. */
    public static final int FLOAT = 32;

    /** Tables with fewer elements stay float: they save nothing to speak of. */
    private static final long LEAST_ELEMENTS = 1 << 14;

    /** In 4 bits, tables with fewer elements cost accuracy and save little. */
    private static final long LARGE = 1 << 20;

    private EmbeddingQuantization() {}

    /**
     * Stores each constant table of floats in 8 bits, a scale for each row. Operators of the
     * standard only.
     *
     * @param keepFloat names of nodes whose tables stay float, {@code *} standing for any text
     */
    public static MatMulQuantization.Result eightBit(OnnxModel model, List<String> keepFloat) {
        return of(model, bits(keepFloat, 8));
    }

    /**
     * Stores tables that are gathered from in 4 bits, a scale and a zero point for each block of
     * 128, 64, 32 or 16 values, as the rows allow, for ONNX Runtime's own operator; others in 8
     * bits, and the report says why.
     *
     * @param keepFloat names of nodes whose tables stay float, {@code *} standing for any text
     */
    public static MatMulQuantization.Result fourBit(OnnxModel model, List<String> keepFloat) {
        return of(model, bits(keepFloat, 4));
    }

    /** The same of tables of 2^20 values or more; smaller ones are stored in 8 bits. */
    public static MatMulQuantization.Result fourBitIfLarge(
            OnnxModel model, List<String> keepFloat) {
        return of(model, bits(keepFloat, 4), LARGE);
    }

    private static ToIntFunction<String> bits(List<String> keepFloat, int bits) {
        MatMulSettings settings =
                MatMulSettings.DEFAULT.keepingFloat(keepFloat.toArray(String[]::new));
        return name -> settings.keepsFloat(name) ? FLOAT : bits;
    }

    /**
     * Stores each table in as many bits as is said of the nodes that read it: 8, 4 or {@link
     * #FLOAT}.
     */
    public static MatMulQuantization.Result of(OnnxModel model, ToIntFunction<String> bits) {
        return of(model, bits, LEAST_ELEMENTS);
    }

    private static MatMulQuantization.Result of(
            OnnxModel model, ToIntFunction<String> bits, long leastInFour) {
        var reports = new ArrayList<SiteReport>();
        OnnxModel written =
                model.rewritten(graph -> {
                    for (String name : List.copyOf(graph.constants().keySet())) {
                        reports.addAll(quantize(graph, name, bits, leastInFour));
                    }
                    graph.removeUnused();
                });
        return new MatMulQuantization.Result(MatMulQuantization.withDomain(written), reports);
    }

    private static List<SiteReport> quantize(
            OnnxGraph graph, String name, ToIntFunction<String> bits, long leastInFour) {
        ConstantTensor table = graph.constant(name);
        List<OnnxNode> readers = graph.readers(name);
        if (table == null
                || readers.isEmpty()
                || graph.isOutput(name)
                || !readers.stream().allMatch(reader -> takesRows(graph, reader, name))) {
            return List.of();
        }
        String refusal = refusal(table, readers, bits);
        if (refusal != null) {
            return readers.stream().map(r -> SiteReport.left(r.name(), refusal)).toList();
        }
        boolean asked = readers.stream().anyMatch(r -> bits.applyAsInt(r.name()) == 4);
        String notInFour = asked ? notInFour(table, readers, bits, leastInFour) : null;
        if (asked && notInFour == null) {
            int block = BlockTable.block(table);
            BlockTable.write(graph, name, table, readers, block);
            return reports(readers, 4, "a scale for each " + block + " values");
        }
        RowTable.write(graph, name, table, readers);
        String why = "a scale for each row";
        return reports(readers, 8, notInFour == null ? why : why + "; not int4: " + notInFour);
    }

    private static List<SiteReport> reports(List<OnnxNode> readers, int bits, String why) {
        return readers.stream()
                .map(reader -> new SiteReport(reader.name(), bits, why, OptionalDouble.empty()))
                .toList();
    }

    /** Why a table has 8 bits although 4 were asked for; null if it can have 4. */
    private static @Nullable String notInFour(
            ConstantTensor table,
            List<OnnxNode> readers,
            ToIntFunction<String> bits,
            long leastInFour) {
        if (!readers.stream().allMatch(reader -> reader.is("Gather"))) {
            return "its rows are sliced, not only gathered";
        }
        if (BlockTable.block(table) == 0) {
            return "rows of %d values are no whole number of blocks of 16"
                    .formatted(table.shape().getLast());
        }
        if (table.elements() < leastInFour) {
            return "%d values are too few to save much, and lose more".formatted(table.elements());
        }
        return readers.stream().allMatch(reader -> bits.applyAsInt(reader.name()) == 4)
                ? null
                : "another node that reads it is in int8";
    }

    private static @Nullable String refusal(
            ConstantTensor table, List<OnnxNode> readers, ToIntFunction<String> bits) {
        if (readers.stream().anyMatch(reader -> bits.applyAsInt(reader.name()) == FLOAT)) {
            return "kept float as asked";
        }
        if (table.elements() < LEAST_ELEMENTS) {
            return "too small: " + table.shape();
        }
        return null;
    }

    /** Whether a node takes whole rows of a table. */
    private static boolean takesRows(OnnxGraph graph, OnnxNode reader, String name) {
        ConstantTensor table = graph.constant(name);
        if (table == null || table.type() != ElementType.FLOAT || table.shape().size() != 2) {
            return false;
        }
        if (!reader.input(0).equals(name) || reader.inputs().lastIndexOf(name) != 0) {
            return false;
        }
        return (reader.is("Gather") && reader.integer("axis", 0) == 0)
                || (reader.is("Slice") && slicesRows(graph, reader));
    }

    private static boolean slicesRows(OnnxGraph graph, OnnxNode slice) {
        if (slice.has("axes")) {
            return slice.integers("axes").equals(List.of(0L));
        }
        ConstantTensor axes = slice.input(3).isEmpty() ? null : graph.constant(slice.input(3));
        return axes != null && axes.elements() == 1 && axes.toLongs()[0] == 0;
    }

    /** The float elements of a table, which an array must hold. */
    static float[] floats(String name, ConstantTensor table) {
        if (table.elements() > Integer.MAX_VALUE - 8) {
            throw new EspalierException(
                    "The table '%s' of %d elements is too large to be quantized; keep its nodes float."
                            .formatted(name, table.elements()));
        }
        return table.toFloats();
    }
}

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
    private static final long LEAST_ELEMENTS_4 = 1 << 20;

    /** Values that share a scale in 4 bits. */
    static final int BLOCK = 128;

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
     * Stores large tables that are gathered from in 4 bits, blocks of 128 values with a scale and a
     * zero point each, for ONNX Runtime's own operator; others, and those whose rows are no whole
     * number of blocks, in 8 bits.
     *
     * @param keepFloat names of nodes whose tables stay float, {@code *} standing for any text
     */
    public static MatMulQuantization.Result fourBit(OnnxModel model, List<String> keepFloat) {
        return of(model, bits(keepFloat, 4));
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
        var reports = new ArrayList<SiteReport>();
        OnnxModel written =
                model.rewritten(graph -> {
                    for (String name : List.copyOf(graph.constants().keySet())) {
                        reports.addAll(quantize(graph, name, bits));
                    }
                    graph.removeUnused();
                });
        return new MatMulQuantization.Result(MatMulQuantization.withDomain(written), reports);
    }

    private static List<SiteReport> quantize(
            OnnxGraph graph, String name, ToIntFunction<String> bits) {
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
        boolean four =
                readers.stream().allMatch(reader -> bits.applyAsInt(reader.name()) == 4)
                        && table.elements() >= LEAST_ELEMENTS_4
                        && table.shape().getLast() % BLOCK == 0
                        && readers.stream().allMatch(reader -> reader.is("Gather"));
        if (four) {
            BlockTable.write(graph, name, table, readers);
        } else {
            RowTable.write(graph, name, table, readers);
        }
        return readers.stream()
                .map(reader ->
                        new SiteReport(
                                reader.name(),
                                four ? 4 : 8,
                                four
                                        ? "a scale for each " + BLOCK + " values"
                                        : "a scale for each row",
                                OptionalDouble.empty()))
                .toList();
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

package io.espalier.onnx.fit;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.random.RandomGenerator;
import java.util.stream.LongStream;

/**
 * Rows of a model's tables that its data doesn't read, such as words that no sentence has: what a
 * layer is given for these is to count for what it is to do, too. Few sentences use few words; by
 * them alone a quarter of MiniLM's neurons costs a third more on sentences of another kind.
 *
 * <p>Half of those that come are near to the ones that go, the others any of the table. Indices
 * that half of the examples have stay: what begins, ends and fills.
 */
public final class UnseenRows {
    /** Of fewer rows the data tells enough. */
    private static final int FEWEST_ROWS = 256;

    /** Data that has seen so much of a table tells enough of the rest. */
    private static final double ENOUGH = 0.5;

    /** The share of rows that come which are near to what they come for. */
    private static final double NEAR = 0.5;

    private final Map<String, Table> tables = new HashMap<>();

    /**
     * A table that an input says rows of.
     *
     * @param name of the constant
     * @param usual rows that half of the examples or more read
     * @param near rows near to those that the data reads
     */
    private record Table(String name, long rows, Set<Long> usual, NearRows near) {
        Table shorter(Table other) {
            return other.rows() < rows ? other : this;
        }
    }

    /** Looks for them in a model whose inputs the data is. */
    public UnseenRows(OnnxGraph graph, List<Map<String, Tensor>> data) {
        for (OnnxNode node : graph.nodes()) {
            ConstantTensor table = node.is("Gather") ? graph.constant(node.input(0)) : null;
            if (table != null && table.shape().size() == 2 && node.integer("axis", 0) == 0) {
                unseen(node.input(0), table, node.input(1), data)
                        .ifPresent(t -> tables.merge(node.input(1), t, Table::shorter));
            }
        }
    }

    /** A table of which the data reads few rows. */
    private static Optional<Table> unseen(
            String name, ConstantTensor table, String input, List<Map<String, Tensor>> data) {
        long rows = table.shape().getFirst();
        Map<Long, Integer> counts = new HashMap<>();
        long examples = 0;
        for (Map<String, Tensor> batch : data) {
            Tensor indices = batch.get(input);
            if (rows < FEWEST_ROWS || indices == null || indices.dim() == 0) {
                return Optional.empty();
            }
            for (long i = 0; i < indices.size(0); i++, examples++) {
                Set<Long> own = new HashSet<>();
                LongStream.of(longs(indices.narrow(0, i, 1))).forEach(own::add);
                own.forEach(index -> counts.merge(index, 1, Integer::sum));
            }
        }
        if (counts.size() >= ENOUGH * rows) {
            return Optional.empty();
        }
        long half = Math.max(2, Math.ceilDiv(examples, 2));
        Set<Long> usual = new HashSet<>(counts.keySet());
        usual.removeIf(index -> counts.getOrDefault(index, 0) < half);
        var near = new NearRows(table, Set.copyOf(counts.keySet()));
        return Optional.of(new Table(name, rows, usual, near));
    }

    private static long[] longs(Tensor indices) {
        try (var scope = new PointerScope()) {
            return Tensors.longs(indices.to(ScalarType.Long).contiguous());
        }
    }

    /** Whether there are none: no input says rows of a table, or the data reads enough of them. */
    public boolean areNone() {
        return tables.isEmpty();
    }

    /** Whether a constant is a table of which the data reads few rows. */
    public boolean areOf(String constant) {
        return tables.values().stream().anyMatch(table -> table.name().equals(constant));
    }

    /**
     * An example of the data that reads other rows, in the scope that is open.
     *
     * @param share of indices that are others
     */
    public Map<String, Tensor> in(Map<String, Tensor> batch, double share, RandomGenerator random) {
        var other = new LinkedHashMap<String, Tensor>();
        batch.forEach((name, tensor) -> {
            Table table = tables.get(name);
            other.put(name, table == null ? tensor : other(tensor, table, share, random));
        });
        return other;
    }

    private static Tensor other(Tensor indices, Table table, double share, RandomGenerator random) {
        long[] drawn = longs(indices);
        for (int i = 0; i < drawn.length; i++) {
            if (!table.usual().contains(drawn[i]) && (share >= 1 || random.nextDouble() < share)) {
                drawn[i] = other(drawn[i], table, random);
            }
        }
        return Tensors.of(drawn, Tensors.shape(indices)).to(Tensors.type(indices));
    }

    private static long other(long row, Table table, RandomGenerator random) {
        OptionalLong near =
                random.nextDouble() < NEAR ? table.near().draw(row, random) : OptionalLong.empty();
        return near.orElseGet(() -> random.nextLong(table.rows()));
    }
}

package io.espalier.onnx.slim;

import io.espalier.onnx.inputs.InputBatches;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.stream.LongStream;

/**
 * Examples like those of the data, with other rows of a table, such as words that the data doesn't
 * have: what a layer is given for these is to count for what it can do without, too. Few sentences
 * use few words; by them alone a quarter of MiniLM's neurons costs a third more on sentences of
 * another kind.
 *
 * <p>Indices that half of the examples have stay: what begins, ends and fills.
 */
final class UnseenRows implements AutoCloseable {
    /** Of fewer rows the data tells enough. */
    private static final int FEWEST_ROWS = 256;

    /** Data that has seen so much of a table tells enough of the rest. */
    private static final double ENOUGH = 0.5;

    private static final int MOST_EXAMPLES = 256;
    private static final long SEED = 17;

    private final List<Map<String, Tensor>> batches = new ArrayList<>();

    /**
     * A table that an input says rows of.
     *
     * @param usual rows that half of the examples or more read
     */
    private record Table(long rows, Set<Long> usual) {}

    /** Makes them for a model whose inputs the data is; none if no input says rows of a table. */
    UnseenRows(OnnxGraph graph, List<Map<String, Tensor>> data) {
        Map<String, Table> tables = new HashMap<>();
        for (OnnxNode node : graph.nodes()) {
            ConstantTensor table = node.is("Gather") ? graph.constant(node.input(0)) : null;
            if (table != null && table.shape().size() == 2 && node.integer("axis", 0) == 0) {
                long rows = table.shape().getFirst();
                unseen(rows, node.input(1), data).ifPresent(t -> tables.put(node.input(1), t));
            }
        }
        var random = new Random(SEED);
        long examples = 0;
        for (int i = 0; !tables.isEmpty() && i < data.size() && examples < MOST_EXAMPLES; i++) {
            batches.add(other(data.get(i), tables, random));
            examples += InputBatches.examples(data.get(i));
        }
    }

    /** A table of which the data reads few rows. */
    private static Optional<Table> unseen(long rows, String input, List<Map<String, Tensor>> data) {
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
        return Optional.of(new Table(rows, usual));
    }

    private static long[] longs(Tensor indices) {
        try (var scope = new PointerScope()) {
            return Tensors.longs(indices.to(ScalarType.Long).contiguous());
        }
    }

    private static Map<String, Tensor> other(
            Map<String, Tensor> batch, Map<String, Table> tables, Random random) {
        Map<String, Tensor> other = new HashMap<>();
        try (var scope = new PointerScope()) {
            batch.forEach((name, tensor) -> {
                Table table = tables.get(name);
                Tensor made = table == null ? tensor.clone() : other(tensor, table, random);
                other.put(name, Tensors.keep(made));
            });
        }
        return other;
    }

    private static Tensor other(Tensor indices, Table table, Random random) {
        long[] drawn = longs(indices);
        for (int i = 0; i < drawn.length; i++) {
            if (!table.usual().contains(drawn[i])) {
                drawn[i] = random.nextLong(table.rows());
            }
        }
        return Tensors.of(drawn, Tensors.shape(indices)).to(Tensors.type(indices));
    }

    /** The examples, which are this one's. */
    List<Map<String, Tensor>> batches() {
        return batches;
    }

    @Override
    public void close() {
        batches.forEach(batch -> batch.values().forEach(Tensor::releaseReference));
        batches.clear();
    }
}

package io.espalier.onnx.fit;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Set;
import java.util.random.RandomGenerator;

/**
 * Rows of a table that are near to others by the angle between them, as words of about one meaning
 * are: a sentence with those in their place is still one (Jiao et al., <a
 * href="https://arxiv.org/abs/1909.10351">TinyBERT</a>, 2020). They are looked for when the first
 * is asked for: who only wants to know which rows are read needs none.
 */
final class NearRows {
    /** How many of each row are known. */
    private static final int COUNT = 64;

    /** How many multiplications finding them may take: seconds. */
    private static final long MOST_WORK = 100_000_000_000L;

    /** How many rows of the table are compared at once. */
    private static final long BLOCK = 4096;

    private final ConstantTensor table;
    private final Set<Long> rows;
    private @Nullable Map<Long, long[]> near;

    /** Those of a table that are near to some of its rows, of as many of these as take seconds. */
    NearRows(ConstantTensor table, Set<Long> rows) {
        this.table = table;
        this.rows = rows;
    }

    private Map<Long, long[]> found() {
        if (near == null) {
            near = new HashMap<>();
            if (table.type().isFloating()) {
                long most = Math.max(1, MOST_WORK / Math.max(1, table.elements()));
                try (var scope = new PointerScope()) {
                    find(
                            near,
                            table.toTensor(),
                            rows.stream()
                                    .mapToLong(Long::longValue)
                                    .sorted()
                                    .limit(most)
                                    .toArray());
                }
            }
        }
        return near;
    }

    private static void find(Map<Long, long[]> near, Tensor table, long... rows) {
        for (int from = 0; from < rows.length; from += (int) BLOCK) {
            long[] some = Arrays.copyOfRange(rows, from, (int) Math.min(rows.length, from + BLOCK));
            long[] nearest = nearest(table, some);
            int each = nearest.length / some.length;
            for (int i = 0; i < some.length; i++) {
                long row = some[i];
                long[] others =
                        Arrays.stream(nearest, i * each, (i + 1) * each)
                                .filter(other -> other != row)
                                .limit(COUNT)
                                .toArray();
                near.put(row, others);
            }
        }
    }

    /** The nearest rows of each, itself among them, one after the other. */
    private static long[] nearest(Tensor table, long[] rows) {
        try (var scope = new PointerScope()) {
            Tensor directions = directions(table.index_select(0, Tensors.of(rows, rows.length)));
            Tensor alike = Tensors.empty(ScalarType.Float, rows.length, 0);
            Tensor numbers = Tensors.empty(ScalarType.Long, rows.length, 0);
            for (long from = 0; from < table.size(0); from += BLOCK) {
                try (var block = new PointerScope()) {
                    long length = Math.min(BLOCK, table.size(0) - from);
                    Tensor others = directions(table.narrow(0, from, length));
                    Tensor first = torch.arange(new Scalar(from), new Scalar(from + length));
                    Tensor all = joined(alike, directions.matmul(others.t()));
                    Tensor of = joined(numbers, first.expand(rows.length, length));
                    Tensor places = all.topk(Math.min(COUNT + 1, all.size(1))).get1();
                    alike = Tensors.handOver(all.gather(1, places), scope);
                    numbers = Tensors.handOver(of.gather(1, places), scope);
                }
            }
            return Tensors.longs(numbers.contiguous());
        }
    }

    private static Tensor joined(Tensor one, Tensor other) {
        return torch.cat(new TensorVector(one, other), 1);
    }

    private static Tensor directions(Tensor rows) {
        Tensor floats = rows.to(ScalarType.Float);
        Tensor length = floats.norm(new ScalarOptional(new Scalar(2)), new long[] {1}, true);
        return floats.div(length.clamp_min(new Scalar(Float.MIN_NORMAL)));
    }

    /** One of the rows near to another, if some are known. */
    OptionalLong draw(long row, RandomGenerator random) {
        long[] others = found().get(row);
        return others == null || others.length == 0
                ? OptionalLong.empty()
                : OptionalLong.of(others[random.nextInt(others.length)]);
    }
}

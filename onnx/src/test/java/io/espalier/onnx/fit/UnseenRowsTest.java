package io.espalier.onnx.fit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.stream.LongStream;

@DisplayName("Rows of a table that the data doesn't read")
class UnseenRowsTest {
    private static OnnxModel reading(long rows) {
        return TestGraphs.opset(17)
                .input("ids: Int64[N, 4]")
                .input("x: Float[N, 4, 3]")
                .weight("table", rows, 3)
                .node("e = Gather(table, ids)")
                .node("y = Add(e, x)")
                .output("y")
                .build();
    }

    private static Map<String, Tensor> batch() {
        // Each text begins with 1 and ends with 2.
        Tensor ids = Tensors.of(new long[] {1, 7, 8, 2, 1, 9, 7, 2, 1, 5, 6, 2}, 3, 4);
        return Map.of("ids", ids, "x", Tensors.randn(3, 4, 3));
    }

    @Test
    @DisplayName(
            "are read in examples like those of the data, in which what most of them have stays")
    void others() {
        Map<String, Tensor> batch = batch();
        var unseen = new UnseenRows(reading(1000).graph(), List.of(batch, batch));
        Map<String, Tensor> other = unseen.in(batch, 1, new SplittableRandom(3));
        Set<Long> rows = new HashSet<>();
        long[] ids = Tensors.longs(of(other, "ids"));
        for (int i = 0; i < ids.length; i++) {
            assertTrue(ids[i] >= 0 && ids[i] < 1000);
            if (i % 4 == 0 || i % 4 == 3) {
                assertEquals(i % 4 == 0 ? 1 : 2, ids[i]);
            } else {
                rows.add(ids[i]);
            }
        }
        assertArrayEquals(Tensors.floats(of(batch, "x")), Tensors.floats(of(other, "x")));
        assertTrue(rows.size() >= 5, "drawn: " + rows);
        assertTrue(unseen.areOf("table") && !unseen.areOf("x"));
        assertArrayEquals(new long[] {1, 7, 8, 2}, Tensors.longs(of(batch, "ids").select(0, 0)));
    }

    @Test
    @DisplayName("are read by the share of indices that is asked for")
    void share() {
        Map<String, Tensor> batch = batch();
        var unseen = new UnseenRows(reading(1000).graph(), List.of(batch, batch));
        var random = new SplittableRandom(5);
        long others = 0;
        for (int draw = 0; draw < 100; draw++) {
            Tensor ids = of(unseen.in(batch, 0.25, random), "ids");
            others += ids.ne(of(batch, "ids")).sum().item_long();
        }
        // Half of the examples have 1, 2 and 7: four of their numbers are left.
        assertEquals(0.25, others / 400.0, 0.06);
    }

    @Test
    @DisplayName("are near to those that they come for, half of the time")
    void near() {
        // Rows of one direction by hundreds; the data reads one or two of some hundreds.
        var table = new float[1000 * 3];
        for (int row = 0; row < 1000; row++) {
            int hundred = row / 100;
            table[3 * row] = (1 + row) * (float) Math.cos(hundred);
            table[3 * row + 1] = (1 + row) * (float) Math.sin(hundred);
        }
        OnnxModel model =
                reading(1000)
                        .rewritten(graph ->
                                graph.setConstant(
                                        "table", ConstantTensor.floats(List.of(1000L, 3L), table)));
        Tensor ids = Tensors.of(new long[] {350, 360, 470, 480, 590, 610, 720, 730}, 2, 4);
        Map<String, Tensor> batch = Map.of("ids", ids, "x", Tensors.randn(2, 4, 3));
        var unseen = new UnseenRows(model.graph(), List.of(batch));
        var random = new SplittableRandom(7);
        int near = 0;
        for (int draw = 0; draw < 50; draw++) {
            long[] others = Tensors.longs(of(unseen.in(batch, 1, random), "ids"));
            long[] own = Tensors.longs(ids);
            for (int i = 0; i < own.length; i++) {
                near += own[i] / 100 == others[i] / 100 ? 1 : 0;
            }
        }
        // Of those drawn from the whole table a tenth are near, too.
        assertEquals(0.55, near / 400.0, 0.08);
    }

    private static Tensor of(Map<String, Tensor> batch, String name) {
        return Objects.requireNonNull(batch.get(name));
    }

    @Test
    @DisplayName("are not looked for where a table is short or the data has seen most of it")
    void none() {
        Tensor all = Tensors.of(LongStream.range(0, 300).toArray(), 75, 4);
        Map<String, Tensor> much = Map.of("ids", all, "x", Tensors.randn(75, 4, 3));
        assertTrue(new UnseenRows(reading(200).graph(), List.of(batch())).areNone());
        assertTrue(new UnseenRows(reading(400).graph(), List.of(much)).areNone());
    }
}

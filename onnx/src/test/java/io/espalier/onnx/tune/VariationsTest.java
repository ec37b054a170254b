package io.espalier.onnx.tune;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.fit.UnseenRows;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;

@DisplayName("Variations of inputs")
class VariationsTest {
    private static final int DRAWS = 40;

    private static Tensor of(Map<String, Tensor> batch, String name) {
        return Objects.requireNonNull(batch.get(name));
    }

    private static UnseenRows none(List<Map<String, Tensor>> data) {
        return rows(40, data);
    }

    /** Of a model with a table of so many words. */
    private static UnseenRows rows(long words, List<Map<String, Tensor>> data) {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("input_ids: Int64[N, L]")
                        .weight("table", words, 3)
                        .node("y = Gather(table, input_ids)")
                        .output("y")
                        .build();
        return new UnseenRows(model.graph(), data);
    }

    @Test
    @DisplayName(
            "are others each time, the same for the same seed, of the same shape and near in size")
    void images() {
        Libtorch.seed(2);
        List<Map<String, Tensor>> data =
                List.of(
                        Map.of("x", Tensors.rand(4, 3, 12, 20)),
                        Map.of("x", Tensors.rand(4, 3, 12, 20)));
        var variations = new Variations(data, none(data), 7);
        int plain = 0;
        for (int drawn = 0; drawn < DRAWS; drawn++) {
            Tensor varied = of(variations.of(1, drawn), "x");
            Tensor again = of(new Variations(data, none(data), 7).of(1, drawn), "x");

            assertArrayEquals(new long[] {4, 3, 12, 20}, Tensors.shape(varied));
            assertTrue(varied.equal(again));
            assertTrue(varied.abs().max().item_double() < 2);
            plain += varied.equal(of(data.get(1), "x")) ? 1 : 0;
        }
        assertTrue(plain > 0 && plain < DRAWS * 3 / 4, plain + " of " + DRAWS);
    }

    @Test
    @DisplayName("let words change places where both sentences have some, in all inputs alike")
    void words() {
        long[] ids = {11, 12, 13, 14, 15, 21, 22, 23, 0, 0, 31, 32, 33, 34, 0};
        long[] mask = {1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0};
        long[] types = Arrays.stream(ids).map(id -> id / 10).toArray();
        Map<String, Tensor> batch =
                Map.of(
                        "input_ids", Tensors.of(ids, 3, 5),
                        "attention_mask", Tensors.of(mask, 3, 5),
                        "types", Tensors.of(types, 3, 5));
        var variations = new Variations(List.of(batch), none(List.of(batch)), 3);
        int others = 0;
        for (int drawn = 0; drawn < DRAWS; drawn++) {
            Map<String, Tensor> varied = variations.of(0, drawn);
            long[] found = Tensors.longs(of(varied, "input_ids").contiguous());

            assertArrayEquals(mask, Tensors.longs(of(varied, "attention_mask").contiguous()));
            assertArrayEquals(
                    Arrays.stream(found).map(id -> id / 10).toArray(),
                    Tensors.longs(of(varied, "types").contiguous()));
            for (int i = 0; i < ids.length; i++) {
                assertEquals(ids[i] % 10, found[i] % 10);
                others += found[i] == ids[i] ? 0 : 1;
            }
        }
        assertTrue(others > 0);
    }

    @Test
    @DisplayName("have words that no sentence has, but for what most of them begin and end with")
    void unseenWords() {
        Map<String, Tensor> batch =
                Map.of("input_ids", Tensors.of(new long[] {1, 7, 8, 2, 1, 9, 7, 2}, 2, 4));
        var variations = new Variations(List.of(batch), rows(1000, List.of(batch)), 3);
        int unseen = 0;
        for (int drawn = 0; drawn < DRAWS; drawn++) {
            long[] found = Tensors.longs(of(variations.of(0, drawn), "input_ids").contiguous());

            for (int i = 0; i < found.length; i++) {
                assertTrue(i % 4 != 0 || found[i] == 1);
                assertTrue(i % 4 != 3 || found[i] == 2);
                unseen += found[i] > 9 ? 1 : 0;
            }
        }
        assertTrue(unseen > DRAWS / 4 && unseen < 2 * DRAWS, "unseen: " + unseen);
    }

    @Test
    @DisplayName("are set apart that training doesn't see")
    void apart() {
        List<Map<String, Tensor>> data = List.of(Map.of("x", Tensors.rand(4, 3, 12, 20)));
        var variations = new Variations(data, none(data), 7);
        Tensor apart = of(variations.apart(64).getFirst(), "x");

        assertArrayEquals(new long[] {4, 3, 12, 20}, Tensors.shape(apart));
        assertFalse(apart.equal(of(data.getFirst(), "x")));
        for (int drawn = 0; drawn < DRAWS; drawn++) {
            assertFalse(apart.equal(of(variations.of(0, drawn), "x")));
        }
        List<Map<String, Tensor>> numbers = new ArrayList<>();
        for (int i = 0; i < 6; i++) {
            numbers.add(Map.of("i", Tensors.of(new long[] {i, i}, 2)));
        }
        List<Map<String, Tensor>> some = new Variations(numbers, none(numbers), 7).apart(6);
        assertEquals(3, some.size());
        for (int i = 0; i < 3; i++) {
            assertArrayEquals(new long[] {2L * i, 2L * i}, Tensors.longs(of(some.get(i), "i")));
        }
    }

    @Test
    @DisplayName("leave what no example can be told in as it is")
    void scalars() {
        Map<String, Tensor> batch =
                Map.of("x", Tensors.of(new float[] {1, 2}, 1, 2), "s", Tensors.of(3f).squeeze());

        for (int drawn = 0; drawn < DRAWS; drawn++) {
            Map<String, Tensor> varied =
                    new Variations(List.of(batch), none(List.of(batch)), 1).of(0, drawn);
            assertEquals(3, of(varied, "s").item_double());
        }
    }
}

package io.espalier.onnx.quant.matmul;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import java.util.List;
import java.util.Map;

@DisplayName("A table of vectors")
class EmbeddingQuantizationTest {
    private final PointerScope scope = new PointerScope();
    private final Map<String, Tensor> ids =
            Map.of("ids", Tensors.of(new long[] {5, 0, 8191, 17, 4096, 2}, 2, 3));

    @AfterEach
    void free() {
        scope.close();
    }

    private static TestGraphs gathered(long rows, long width) {
        return TestGraphs.opset(17)
                .input("ids: Int64[N, L]")
                .weight("table", rows, width)
                .node("y = Gather(table, ids)")
                .output("y");
    }

    private double error(OnnxModel model, OnnxModel quantized) {
        return Blocks.error(Blocks.run(model, ids), Blocks.run(quantized, ids));
    }

    @Test
    @DisplayName("in 8 bits is a quarter as large, each row by its own scale")
    void eightBit() {
        OnnxModel model = gathered(8192, 64).build();

        MatMulQuantization.Result result = EmbeddingQuantization.eightBit(model, List.of());

        assertTrue(error(model, result.model()) < 0.01);
        assertTrue(result.model().constantBytes() < 0.27 * model.constantBytes());
        assertEquals(8, result.sites().getFirst().bits());
    }

    @Test
    @DisplayName("in 4 bits is an eighth as large")
    void fourBit() {
        OnnxModel model = gathered(8192, 256).build();

        OnnxModel four = EmbeddingQuantization.fourBitIfLarge(model, List.of()).model();

        assertTrue(error(model, four) < 0.12, () -> "error " + error(model, four));
        assertTrue(four.constantBytes() < 0.14 * model.constantBytes());
        assertEquals(1, Blocks.count(four, "GatherBlockQuantized"));
    }

    @ParameterizedTest
    @CsvSource({"16, 16", "48, 16", "96, 32", "64, 64", "128, 128", "192, 64", "384, 128"})
    @DisplayName("has 4 bits where asked, in the largest blocks that its rows consist of")
    void blocks(long width, int block) {
        OnnxModel model = gathered(8192, width).build();

        MatMulQuantization.Result four = EmbeddingQuantization.fourBit(model, List.of());

        SiteReport site = four.sites().getFirst();
        assertEquals(4, site.bits());
        assertEquals("a scale for each " + block + " values", site.why());
        assertTrue(error(model, four.model()) < 0.12, () -> "error " + error(model, four.model()));
        OnnxModel eight = EmbeddingQuantization.eightBit(model, List.of()).model();
        assertTrue(four.model().constantBytes() < 0.8 * eight.constantBytes());
    }

    @Test
    @DisplayName("says why it has 8 bits where 4 were asked for")
    void whyNotFour() {
        OnnxModel odd = gathered(8192, 20).build();
        OnnxModel small = gathered(8192, 64).build();
        OnnxModel sliced =
                gathered(8192, 64)
                        .integers("from", 2)
                        .integers("to", 5)
                        .integers("axes", 0)
                        .node("s = Slice(table, from, to, axes)")
                        .output("s")
                        .build();

        assertEquals(
                "8: a scale for each row; not int4: rows of 20 values are no whole number of blocks"
                        + " of 16",
                first(EmbeddingQuantization.fourBit(odd, List.of())));
        assertEquals(
                "8: a scale for each row; not int4: its rows are sliced, not only gathered",
                first(EmbeddingQuantization.fourBit(sliced, List.of())));
        assertEquals(
                "8: a scale for each row; not int4: 524288 values are too few to save much, and"
                        + " lose more",
                first(EmbeddingQuantization.fourBitIfLarge(small, List.of())));
        assertEquals(
                "8: a scale for each row", first(EmbeddingQuantization.eightBit(odd, List.of())));
    }

    private static String first(MatMulQuantization.Result result) {
        SiteReport site = result.sites().getFirst();
        return site.bits() + ": " + site.why();
    }

    @Test
    @DisplayName("is stored once for all that take rows of it, by index or by slices")
    void severalReaders() {
        OnnxModel model =
                gathered(8192, 64)
                        .integers("from", 2)
                        .integers("to", 5)
                        .integers("axes", 0)
                        .node("s = Slice(table, from, to, axes)")
                        .node("z = Add(y, s)")
                        .output("z")
                        .build();

        OnnxModel quantized = EmbeddingQuantization.eightBit(model, List.of()).model();

        assertTrue(quantized.constantBytes() < 0.27 * model.constantBytes());
        assertTrue(error(model, quantized) < 0.01);
        assertEquals(2, Blocks.count(quantized, "Slice"));
    }

    @Test
    @DisplayName("stays float where asked, where small, and where something else reads it")
    void staysFloat() {
        OnnxModel kept = gathered(8192, 64).build();
        OnnxModel small = gathered(32, 16).build();
        OnnxModel read = gathered(8192, 64).node("e = Exp(table)").output("e").build();

        assertEquals(
                "kept float as asked",
                EmbeddingQuantization.eightBit(kept, List.of("*Gather")).sites().getFirst().why());
        for (OnnxModel model : List.of(small, read)) {
            OnnxModel result = EmbeddingQuantization.eightBit(model, List.of()).model();
            assertEquals(model.constantBytes(), result.constantBytes());
        }
    }
}

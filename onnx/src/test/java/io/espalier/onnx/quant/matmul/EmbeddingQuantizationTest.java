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
    @DisplayName("in 4 bits is an eighth as large, if it is worth that")
    void fourBit() {
        OnnxModel model = gathered(8192, 256).build();
        OnnxModel small = gathered(8192, 64).build();

        OnnxModel four = EmbeddingQuantization.fourBit(model, List.of()).model();
        OnnxModel eight = EmbeddingQuantization.fourBit(small, List.of()).model();

        assertTrue(error(model, four) < 0.12, () -> "error " + error(model, four));
        assertTrue(four.constantBytes() < 0.14 * model.constantBytes());
        assertEquals(1, Blocks.count(four, "GatherBlockQuantized"));
        assertEquals(0, Blocks.count(eight, "GatherBlockQuantized"));
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

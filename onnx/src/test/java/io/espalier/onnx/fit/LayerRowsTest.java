package io.espalier.onnx.fit;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.espalier.onnx.model.OnnxNode;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import java.util.List;

@DisplayName("Rows of a layer's inputs")
class LayerRowsTest {
    @ParameterizedTest
    @CsvSource({"64, 64, 32, 32, 1", "64, 4, 32, 32, 1", "16, 16, 12, 80, 1", "32, 32, 64, 64, 2"})
    @DisplayName("that are some of many are borders as often as all are")
    void borders(long images, long batch, long height, long width, long stride) {
        OnnxNode node =
                OnnxNode.of("Conv", List.of("x", "w"), "y")
                        .with("pads", List.of(1L, 1L, 1L, 1L))
                        .with("strides", List.of(stride, stride));
        LayerRows rows = LayerRows.of(node, List.of(2L, 1L, 3L, 3L)).orElseThrow();
        try (var scope = new PointerScope();
                var sums = new NormalEquations()) {
            for (long from = 0; from < images; from += batch) {
                Tensor y = Tensors.ones(batch, 2, height / stride, width / stride);
                rows.addTo(sums, Tensors.ones(batch, 1, height, width), y);
            }

            double[] seen = Tensors.doubles(sums.means(false).of().meanX());

            // The first of a window is beyond a border in the first row and column of windows.
            double down = 1 - (double) stride / height;
            double across = 1 - (double) stride / width;
            assertEquals(down * across, seen[0], 0.02);
            assertEquals(down, seen[1], 0.02);
            assertEquals(across, seen[3], 0.02);
            assertEquals(1, seen[4], 1e-6);
        }
    }

    @ParameterizedTest
    @CsvSource({"128", "96", "50"})
    @DisplayName("of texts are of all places")
    void places(long length) {
        LayerRows rows =
                LayerRows.of(OnnxNode.of("MatMul", List.of("x", "w"), "y"), List.of(1L, 2L))
                        .orElseThrow();
        try (var scope = new PointerScope();
                var sums = new NormalEquations()) {
            Tensor x =
                    torch.arange(new Scalar(length))
                            .to(ScalarType.Float)
                            .view(1, length, 1)
                            .expand(64, length, 1);
            rows.addTo(sums, x, Tensors.ones(64, length, 2));

            double[] seen = Tensors.doubles(sums.means(false).of().meanX());

            assertEquals((length - 1) / 2.0, seen[0], 0.02 * length);
        }
    }
}

package io.espalier.onnx.repair;

import static io.espalier.onnx.repair.Results.assertSame;
import static io.espalier.onnx.repair.Results.assertUntouched;
import static io.espalier.onnx.repair.Results.operators;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.List;
import java.util.function.UnaryOperator;

@DisplayName("Scales and shifts beside a layer")
class AffineFoldingTest {
    private static OnnxNode padded(OnnxNode node) {
        return node.with("pads", List.of(1L, 1L, 1L, 1L));
    }

    private static TestGraphs image() {
        return TestGraphs.opset(17).input("x: Float[N, 4, 9, 9]");
    }

    private static TestGraphs normalization(TestGraphs graphs, int channels) {
        return graphs.weight("gamma", channels)
                .weight("beta", channels)
                .weight("mean", channels)
                .constant("variance", positive(channels));
    }

    private static ConstantTensor positive(int channels) {
        var values = new float[channels];
        for (int i = 0; i < channels; i++) {
            values[i] = 0.5f + i;
        }
        return ConstantTensor.floats(List.of((long) channels), values);
    }

    private static void folds(String pass, String left, OnnxModel model, long... shape) {
        OnnxModel folded = Repair.pass(pass).run(model);

        assertEquals(left, operators(folded));
        assertSame(model, folded, shape);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 4})
    @DisplayName("after a convolution, with groups or without, go into its weights")
    void normalizationAfterConv(int groups) {
        OnnxModel model =
                normalization(image(), 8)
                        .weight("w", 8, 4 / groups, 3, 3)
                        .weight("b", 8)
                        .node("c = Conv(x, w, b)", n -> padded(n).with("group", groups))
                        .node("y = BatchNormalization(c, gamma, beta, mean, variance)")
                        .output("y")
                        .build();

        folds("fold-following", "Conv 1", model, 2, 4, 9, 9);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2})
    @DisplayName("after a transposed convolution go into its weights, along its second dimension")
    void normalizationAfterConvTranspose(int groups) {
        OnnxModel model =
                normalization(image(), 6)
                        .weight("w", 4, 6 / groups, 3, 3)
                        .node(
                                "c = ConvTranspose(x, w)",
                                n -> n.with("group", groups).with("strides", List.of(2L, 2L)))
                        .node("y = BatchNormalization(c, gamma, beta, mean, variance)")
                        .output("y")
                        .build();

        folds("fold-following", "ConvTranspose 1", model, 2, 4, 9, 9);
    }

    @Test
    @DisplayName("in a row, of all channels or each, on either side of their operators, all go")
    void arithmeticAfterConv() {
        OnnxModel model =
                image().weight("w", 8, 4, 3, 3)
                        .weight("each", 8, 1, 1)
                        .weight("image", 1, 8, 1, 1)
                        .floats("all", 0.7f)
                        .constant("scalar", ConstantTensor.scalar(3))
                        .node("c = Conv(x, w)", AffineFoldingTest::padded)
                        .node("d = Mul(each, c)")
                        .node("e = Add(d, image)")
                        .node("f = Sub(scalar, e)")
                        .node("g = Div(f, all)")
                        .node("y = Sub(g, each)")
                        .output("y")
                        .build();

        folds("fold-following", "Conv 1", model, 2, 4, 9, 9);
    }

    @Test
    @DisplayName("after a product with a matrix and its bias go into both")
    void arithmeticAfterMatMul() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, L, 5]")
                        .weight("w", 5, 7)
                        .weight("b", 7)
                        .weight("s", 7)
                        .floats("t", 0.3f)
                        .node("m = MatMul(x, w)")
                        .node("c = Add(b, m)")
                        .node("d = Mul(c, s)")
                        .node("y = Add(d, t)")
                        .output("y")
                        .build();

        folds("fold-following", "Add 1, MatMul 1", model, 2, 3, 5);
    }

    @Test
    @DisplayName("after a Gemm go into its matrix and its bias, whatever alpha and beta are")
    void normalizationAfterGemm() {
        for (UnaryOperator<OnnxNode> how :
                List.<UnaryOperator<OnnxNode>>of(
                        n -> n,
                        n -> n.with("alpha", 0.5f).with("beta", 2f),
                        n -> n.with("beta", 0f))) {
            OnnxModel model =
                    normalization(TestGraphs.opset(13).input("x: Float[N, 5]"), 7)
                            .weight("w", 7, 5)
                            .weight("b", 7)
                            .node("c = Gemm(x, w, b)", n -> how.apply(n).with("transB", 1))
                            .node("y = BatchNormalization(c, gamma, beta, mean, variance)")
                            .output("y")
                            .build();

            folds("fold-following", "Gemm 1", model, 3, 5);
        }
    }

    @Test
    @DisplayName("stay where another reads what lies between, or the graph gives it")
    void sharedResult() {
        TestGraphs graphs =
                image().weight("w", 8, 4, 3, 3)
                        .floats("s", 0.7f)
                        .node("c = Conv(x, w)", AffineFoldingTest::padded)
                        .node("d = Mul(c, s)")
                        .node("y = Add(d, c)")
                        .output("y");
        assertUntouched("fold-following", graphs.build());

        assertUntouched(
                "fold-following",
                image().weight("w", 8, 4, 3, 3)
                        .floats("s", 0.7f)
                        .node("c = Conv(x, w)")
                        .node("y = Mul(c, s)")
                        .output("y")
                        .output("c")
                        .build());
    }

    @Test
    @DisplayName("stay where they differ along other dimensions than channels, or add dimensions")
    void otherDimensions() {
        for (ConstantTensor constant :
                List.of(
                        ConstantTensor.floats(List.of(7L), new float[7]),
                        ConstantTensor.floats(List.of(8L, 7L, 1L), new float[56]),
                        ConstantTensor.floats(List.of(2L, 1L, 1L, 1L), new float[2]),
                        ConstantTensor.floats(List.of(1L, 1L, 1L, 1L, 1L), 5f))) {
            assertUntouched(
                    "fold-following",
                    image().weight("w", 8, 4, 3, 3)
                            .constant("s", constant)
                            .node("c = Conv(x, w)")
                            .node("y = Add(c, s)")
                            .output("y")
                            .build());
        }
    }

    @Test
    @DisplayName("of weights that another layer reads too leave that layer's as they are")
    void sharedWeights() {
        OnnxModel model =
                image().weight("w", 4, 4, 3, 3)
                        .floats("s", 0.7f)
                        .node("c = Conv(x, w)", AffineFoldingTest::padded)
                        .node("d = Mul(c, s)")
                        .node("y = Conv(d, w)", AffineFoldingTest::padded)
                        .output("y")
                        .build();

        folds("fold-following", "Conv 2", model, 2, 4, 9, 9);

        OnnxModel large =
                TestGraphs.opset(17)
                        .input("x: Float[N, 40]")
                        .weight("w", 40, 40)
                        .floats("s", 0.7f)
                        .node("c = MatMul(x, w)")
                        .node("d = Mul(c, s)")
                        .node("y = MatMul(d, w)")
                        .output("y")
                        .build();
        assertUntouched("fold-following", large);
        assertUntouched("fold-preceding", large);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 4})
    @DisplayName("before a convolution without padding go into its weights and its bias")
    void beforeConv(int groups) {
        OnnxModel model =
                normalization(image(), 4)
                        .weight("w", 8, 4 / groups, 3, 3)
                        .weight("b", 8)
                        .node("n = BatchNormalization(x, gamma, beta, mean, variance)")
                        .node("y = Conv(n, w, b)", n -> n.with("group", groups))
                        .output("y")
                        .build();

        folds("fold-preceding", "Conv 1", model, 2, 4, 9, 9);
    }

    @Test
    @DisplayName("before a padded convolution go only as far as zero stays zero")
    void beforePaddedConv() {
        TestGraphs graphs =
                image().weight("w", 8, 4, 3, 3)
                        .weight("s", 4, 1, 1)
                        .floats("t", 0.3f)
                        .node("a = Add(x, t)")
                        .node("m = Mul(a, s)")
                        .node("y = Conv(m, w)", AffineFoldingTest::padded)
                        .output("y");

        folds("fold-preceding", "Add 1, Conv 1", graphs.build(), 2, 4, 9, 9);

        OnnxModel automatic =
                image().weight("w", 8, 4, 3, 3)
                        .floats("t", 0.3f)
                        .node("a = Add(x, t)")
                        .node("y = Conv(a, w)", n -> n.with("auto_pad", "SAME_UPPER"))
                        .output("y")
                        .build();
        assertUntouched("fold-preceding", automatic);
    }

    @Test
    @DisplayName("before a transposed convolution go without the shift, which its border lacks")
    void beforeConvTranspose() {
        OnnxModel model =
                image().weight("w", 4, 6, 3, 3)
                        .weight("s", 4, 1, 1)
                        .floats("t", 0.3f)
                        .node("a = Add(x, t)")
                        .node("m = Mul(a, s)")
                        .node("y = ConvTranspose(m, w)")
                        .output("y")
                        .build();

        folds("fold-preceding", "Add 1, ConvTranspose 1", model, 2, 4, 9, 9);
    }

    @Test
    @DisplayName("before several layers go into all of them, or into none")
    void beforeSeveral() {
        TestGraphs graphs =
                image().weight("w", 8, 4, 1, 1)
                        .weight("v", 8, 4, 1, 1)
                        .floats("t", 0.3f)
                        .node("a = Add(x, t)")
                        .node("c = Conv(a, w)")
                        .node("d = Conv(a, v)")
                        .node("y = Add(c, d)")
                        .output("y");
        folds("fold-preceding", "Add 1, Conv 2", graphs.build(), 2, 4, 9, 9);

        assertUntouched(
                "fold-preceding",
                image().weight("w", 4, 4, 1, 1)
                        .floats("t", 0.3f)
                        .node("a = Add(x, t)")
                        .node("c = Conv(a, w)")
                        .node("y = Add(c, a)")
                        .output("y")
                        .build());
    }

    @Test
    @DisplayName("before a Gemm go into its matrix and its bias")
    void beforeGemm() {
        OnnxModel model =
                TestGraphs.opset(13)
                        .input("x: Float[N, 5]")
                        .weight("w", 7, 5)
                        .weight("b", 7)
                        .weight("s", 5)
                        .weight("t", 1, 5)
                        .node("m = Mul(x, s)")
                        .node("a = Add(m, t)")
                        .node(
                                "y = Gemm(a, w, b)",
                                n -> n.with("transB", 1).with("alpha", 0.5f).with("beta", 3f))
                        .output("y")
                        .build();

        folds("fold-preceding", "Gemm 1", model, 3, 5);
    }

    @Test
    @DisplayName("stay where a training BatchNormalization makes them of what it sees")
    void training() {
        assertUntouched(
                "fold-following",
                normalization(image(), 8)
                        .weight("w", 8, 4, 3, 3)
                        .node("c = Conv(x, w)")
                        .node(
                                "y, m, v = BatchNormalization(c, gamma, beta, mean, variance)",
                                n -> n.with("training_mode", 1))
                        .output("y")
                        .build());
    }
}

package io.espalier.onnx.lower;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;

@DisplayName("An operator on libtorch agrees with ONNX Runtime's:")
class OperatorsTest {
    private static final long OPSET = 17;

    private static TestGraphs on(String shape) {
        return TestGraphs.opset(OPSET).input("x: Float[" + shape + "]");
    }

    private static void agree(TestGraphs graph, long... shape) {
        OnnxModel model = graph.output("y").build();
        BothRuntimes.agree(model, Map.of("x", Tensors.randn(shape)));
    }

    private static void agree(
            String shape, String call, UnaryOperator<OnnxNode> attributes, long... extents) {
        agree(on(shape).node(call, attributes), extents);
    }

    @ParameterizedTest(name = "{0}")
    @ValueSource(
            strings = {
                "Abs",
                "Neg",
                "Exp",
                "Sin",
                "Cos",
                "Tan",
                "Atan",
                "Sinh",
                "Cosh",
                "Asinh",
                "Erf",
                "Floor",
                "Ceil",
                "Round",
                "Sign",
                "Relu",
                "LeakyRelu",
                "Elu",
                "Celu",
                "Selu",
                "HardSigmoid",
                "HardSwish",
                "Sigmoid",
                "Softplus",
                "Softsign",
                "Tanh",
                "ThresholdedRelu",
                "Shrink",
                "Identity",
                "Dropout",
                "Softmax",
                "LogSoftmax",
                "Hardmax",
                "Reciprocal",
                "IsNaN",
                "IsInf",
                "LpNormalization",
                "GlobalMaxPool",
                "GlobalAveragePool",
                "GlobalLpPool",
                "MeanVarianceNormalization",
                "Flatten",
                "Transpose",
                "Shape",
                "Size",
                "NonZero",
                "ReduceSum",
                "ReduceMean",
                "ReduceMax",
                "ReduceMin",
                "ReduceProd",
                "ReduceL1",
                "ReduceL2",
                "ReduceLogSumExp",
                "ReduceSumSquare",
                "ArgMax",
                "ArgMin",
                "Trilu",
                "Clip"
            })
    @DisplayName("of one input,")
    void unary(String op) {
        agree("N, 3, 4, 5", "y = " + op + "(x)", node -> node, 2, 3, 4, 5);
    }

    @Test
    @DisplayName("of zeros that are to have one length")
    void zeroLength() {
        agree(on("N, 3, 4").node("zero = Sub(x, x)").node("y = LpNormalization(zero)"), 2, 3, 4);
    }

    @ParameterizedTest(name = "{0}")
    @ValueSource(
            strings = {
                "Add",
                "Sub",
                "Mul",
                "Div",
                "Max",
                "Min",
                "Sum",
                "Mean",
                "Equal",
                "Less",
                "GreaterOrEqual",
                "PRelu"
            })
    @DisplayName("of two inputs, one of them smaller,")
    void binary(String op) {
        agree(on("N, 3, 4").weight("w", 3, 1).node("y = " + op + "(x, w)"), 2, 3, 4);
        agree(on("N, 3, 4").weight("w", 1).node("y = " + op + "(x, w)"), 2, 3, 4);
    }

    @Test
    @DisplayName("arithmetic of integers")
    void integers() {
        OnnxModel model =
                TestGraphs.opset(OPSET)
                        .input("x: Int64[N]")
                        .integers("three", 3)
                        .node("d = Div(x, three)")
                        .node("m = Mod(x, three)")
                        .node("p = Pow(x, three)")
                        .node("a = Add(d, m)")
                        .node("y = Mul(a, p)")
                        .output("y")
                        .build();

        BothRuntimes.agree(model, Map.of("x", Tensors.of(new long[] {-7, -1, 0, 5, 8}, 5)));
    }

    @ParameterizedTest(name = "groups {0}, strides {1}, pads {2}, {3}")
    @CsvSource({
        "1, 1, 0 0 0 0, NOTSET",
        "2, 2, 1 0 2 1, NOTSET",
        "1, 1, 0 0 0 0, SAME_UPPER",
        "1, 1, 0 0 0 0, SAME_LOWER",
        "1, 2, 0 0 0 0, VALID"
    })
    @DisplayName("convolutions and transposed ones, padded unevenly too,")
    void convolutions(long groups, long stride, String pads, String autoPad) {
        List<Long> sides = List.of(pads.split(" ")).stream().map(Long::valueOf).toList();
        UnaryOperator<OnnxNode> with =
                node -> {
                    OnnxNode moved =
                            node.with("group", groups).with("strides", List.of(stride, stride));
                    return autoPad.equals("NOTSET")
                            ? moved.with("pads", sides)
                            : moved.with("auto_pad", autoPad);
                };

        agree(
                on("N, 4, H, W")
                        .weight("w", 6, 4 / groups, 3, 2)
                        .weight("b", 6)
                        .node("y = Conv(x, w, b)", with),
                2,
                4,
                7,
                6);
        agree(
                on("N, 4, H, W").weight("w", 4, 3, 3, 2).node("y = ConvTranspose(x, w)", with),
                2,
                4,
                5,
                6);
    }

    @Test
    @DisplayName("convolutions of one and three dimensions, and of a weight that is computed")
    void otherConvolutions() {
        agree(on("N, 3, L").weight("w", 4, 3, 3).node("y = Conv(x, w)"), 2, 3, 8);
        agree(on("N, 2, D, H, W").weight("w", 4, 2, 2, 3, 1).node("y = Conv(x, w)"), 1, 2, 4, 5, 3);
        agree(
                on("N, 2, 3, 3")
                        .weight("v", 3, 2, 2, 2)
                        .node("m = ReduceMean(x)", node -> node.with("keepdims", 0))
                        .node("w = Mul(v, m)")
                        .node("y = Conv(x, w)"),
                1,
                2,
                3,
                3);
    }

    @Test
    @DisplayName("products of matrices, with constants on either side, turned and scaled")
    void products() {
        agree(on("N, 5, 4").weight("w", 4, 3).node("y = MatMul(x, w)"), 2, 5, 4);
        agree(on("N, 5, 4").weight("w", 3, 5).node("y = MatMul(w, x)"), 2, 5, 4);
        agree(
                on("N, 4")
                        .weight("w", 3, 4)
                        .weight("c", 3)
                        .node("y = Gemm(x, w, c)", OperatorsTest::gemm),
                2,
                4);
        agree(
                on("2, 4")
                        .weight("w", 3, 4)
                        .weight("c", 2, 3)
                        .node("y = Gemm(x, w, c)", OperatorsTest::gemm),
                2,
                4);
        agree(
                on("N, 4")
                        .weight("w", 4, 4)
                        .node("y = Einsum(x, w)", node -> node.with("equation", "bi,ij->bj")),
                2,
                4);
    }

    private static OnnxNode gemm(OnnxNode node) {
        return node.with("transB", 1).with("alpha", 0.5f).with("beta", 2f);
    }

    @Test
    @DisplayName("normalizations")
    void normalizations() {
        agree(
                on("N, 3, 4")
                        .weight("s", 3)
                        .weight("b", 3)
                        .node("y = InstanceNormalization(x, s, b)"),
                2,
                3,
                4);
        agree(
                on("N, 3, 4")
                        .weight("s", 3, 4)
                        .node("y = LayerNormalization(x, s)", node -> node.with("axis", 1)),
                2,
                3,
                4);
        agree(on("N, 3, 4").weight("s", 1).node("y = LayerNormalization(x, s)"), 2, 3, 4);
        agree(on("N, 5, 4, 3").node("y = LRN(x)", node -> node.with("size", 3)), 2, 5, 4, 3);
        agree(
                on("N, 3")
                        .weight("s", 3)
                        .weight("b", 3)
                        .weight("m", 3)
                        .floats("v", 1, 2, 3)
                        .node("y = BatchNormalization(x, s, b, m, v)"),
                2,
                3);
    }

    @ParameterizedTest(name = "{0}")
    @ValueSource(strings = {"MaxPool", "AveragePool", "LpPool"})
    @DisplayName("pooling, padded evenly, unevenly and as much as needed,")
    void pooling(String op) {
        String call = "y = " + op + "(x)";
        UnaryOperator<OnnxNode> kernel = node -> node.with("kernel_shape", List.of(3L, 2L));

        agree("N, 2, H, W", call, kernel, 1, 2, 7, 6);
        agree(
                "N, 2, H, W",
                call,
                node ->
                        kernel.apply(node)
                                .with("pads", List.of(1L, 1L, 1L, 1L))
                                .with("strides", List.of(2L, 2L)),
                1,
                2,
                7,
                6);
        agree(
                "N, 2, 7, 6",
                call,
                node -> kernel.apply(node).with("pads", List.of(2L, 0L, 1L, 1L)),
                1,
                2,
                7,
                6);
        agree(
                "N, 2, 7, 6",
                call,
                node ->
                        kernel.apply(node)
                                .with("auto_pad", "SAME_UPPER")
                                .with("strides", List.of(2L, 2L)),
                1,
                2,
                7,
                6);
    }

    @Test
    @DisplayName("parts, forwards and backwards")
    void parts() {
        agree(
                on("N, L, 6")
                        .integers("s", 1, -1)
                        .integers("e", 4, -5)
                        .integers("a", 1, 2)
                        .integers("t", 2, -2)
                        .node("y = Slice(x, s, e, a, t)"),
                2,
                5,
                6);
        agree(
                on("N, L")
                        .integers("s", 3)
                        .integers("e", Long.MIN_VALUE)
                        .integers("a", 1)
                        .integers("t", -1)
                        .node("y = Slice(x, s, e, a, t)"),
                2,
                5);
        agree(
                on("N, L")
                        .node("a, b = Split(x)", node -> node.with("axis", 1))
                        .node("y = Sub(a, b)"),
                2,
                6);
        agree(on("N, 5").integers("p", 0, 2, 1, 0).node("y = Pad(x, p)"), 2, 5);
        agree(
                on("N, 2, 5, 4")
                        .integers("p", 0, 0, 0, 1, 0, 0, 0, 2)
                        .node("y = Pad(x, p)", node -> node.with("mode", "reflect")),
                2,
                2,
                5,
                4);
    }

    @Test
    @DisplayName("elements at places that are known, or computed and counted from the end")
    void indices() {
        agree(
                on("N, 4").integer("i", -1).node("y = Gather(x, i)", node -> node.with("axis", 1)),
                2,
                4);
        agree(
                on("N, 4")
                        .node("i = ArgMax(x)", node -> node.with("axis", 1).with("keepdims", 0))
                        .weight("t", 4, 3)
                        .node("y = Gather(t, i)"),
                5,
                4);
        agree(
                on("N, 4")
                        .node("i = ArgMin(x)", node -> node.with("axis", 1).with("keepdims", 0))
                        .integer("four", 4)
                        .node("j = Sub(i, four)")
                        .weight("t", 4, 3)
                        .node("y = Gather(t, j)"),
                5,
                4);
        agree(
                on("3, 4")
                        .node("i = ArgMin(x)", node -> node.with("axis", 0))
                        .integer("one", 1)
                        .node("j = Sub(i, one)")
                        .node("y = GatherElements(x, j)"),
                3,
                4);
        agree(
                on("3, 4")
                        .constant("i", ConstantTensor.longs(List.of(2L, 2L), 0, 1, 2, -1))
                        .node("y = GatherND(x, i)"),
                3,
                4);
        agree(
                on("3, 4")
                        .constant("i", ConstantTensor.longs(List.of(2L, 1L), 2, 0))
                        .weight("u", 2, 4)
                        .node("y = ScatterND(x, i, u)"),
                3,
                4);
    }

    @Test
    @DisplayName("sizes that only a run decides, where a shape may be computed")
    void computedShape() {
        OnnxModel model =
                on("2, 6").input("s: Int64[3]").node("y = Reshape(x, s)").output("y").build();

        BothRuntimes.agree(
                model,
                Map.of(
                        "x", Tensors.randn(2, 6),
                        "s", Tensors.of(new long[] {0, 3, -1}, 3)));
    }

    @ParameterizedTest(name = "{0} {1} {2} by {3}")
    @CsvSource({
        "nearest, asymmetric, floor, 2.0",
        "nearest, half_pixel, round_prefer_floor, 3.0",
        "nearest, align_corners, ceil, 1.6",
        "linear, half_pixel, floor, 2.0",
        "linear, align_corners, floor, 1.5",
        "linear, asymmetric, floor, 0.7",
        "cubic, half_pixel, floor, 1.5",
        "cubic, asymmetric, floor, 2.0"
    })
    @DisplayName("resizing")
    void resizing(String mode, String coordinates, String rounding, float scale) {
        agree(
                on("N, 2, 5, 4")
                        .floats("roi")
                        .floats("s", 1, 1, scale, scale)
                        .node(
                                "y = Resize(x, roi, s)",
                                node ->
                                        node.with("mode", mode)
                                                .with("coordinate_transformation_mode", coordinates)
                                                .with("nearest_mode", rounding)),
                1,
                2,
                5,
                4);
    }

    @ParameterizedTest(name = "{0}")
    @ValueSource(strings = {"forward", "reverse", "bidirectional"})
    @DisplayName("recurrent networks in each direction, with states given,")
    void recurrent(String direction) {
        long directions = direction.equals("bidirectional") ? 2 : 1;
        UnaryOperator<OnnxNode> with =
                node -> node.with("hidden_size", 4).with("direction", direction);
        OnnxModel lstm =
                on("L, 2, 3")
                        .weight("w", directions, 16, 3)
                        .weight("r", directions, 16, 4)
                        .weight("b", directions, 32)
                        .weight("h", directions, 2, 4)
                        .weight("c", directions, 2, 4)
                        .node("y, yh, yc = LSTM(x, w, r, b, , h, c)", with)
                        .output("y")
                        .output("yh")
                        .output("yc")
                        .build();
        OnnxModel gru =
                on("L, N, 3")
                        .weight("w", directions, 12, 3)
                        .weight("r", directions, 12, 4)
                        .weight("b", directions, 24)
                        .node(
                                "y, yh = GRU(x, w, r, b)",
                                node -> with.apply(node).with("linear_before_reset", 1))
                        .output("y")
                        .output("yh")
                        .build();
        Map<String, Tensor> inputs = Map.of("x", Tensors.randn(5, 2, 3));

        LoweredModel lowered = BothRuntimes.agree(lstm, inputs);
        BothRuntimes.agree(gru, inputs);

        assertTrue(lowered.module().namedParameters().containsKey("y.weight_ih_l0"));
    }

    @Test
    @DisplayName("numbers rounded to integers and back, by channel too")
    void roundedNumbers() {
        agree(
                on("N, 2, 3")
                        .floats("s", 0.1f, 0.02f)
                        .constant(
                                "z",
                                ConstantTensor.bytes(
                                        ElementType.UINT8, List.of(2L), (byte) 3, (byte) 100))
                        .node("q = QuantizeLinear(x, s, z)")
                        .node("y = DequantizeLinear(q, s, z)"),
                2,
                2,
                3);
    }
}

package io.espalier.onnx.lower;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.UnaryOperator;

@DisplayName("An operator of integers on libtorch agrees with ONNX Runtime's:")
class IntegerOperatorsTest {
    private static final long OPSET = 21;
    private static final Random RANDOM = new Random(5);

    /**
     * A graph with integers {@code q} of its input, and what they stand for: {@code s}, {@code z}.
     */
    private static TestGraphs on(String shape) {
        return affine(TestGraphs.opset(OPSET).input("x: Float[" + shape + "]"), "", 0.03f, 120)
                .node("q = QuantizeLinear(x, s, z)");
    }

    /** A scale and a zero point under names that end so. */
    private static TestGraphs affine(TestGraphs graph, String suffix, float scale, int zeroPoint) {
        return graph.constant("s" + suffix, ConstantTensor.scalar(scale))
                .constant(
                        "z" + suffix,
                        ConstantTensor.bytes(ElementType.UINT8, List.of(), (byte) zeroPoint));
    }

    private static ConstantTensor random(ElementType type, long... shape) {
        int count = (int) Arrays.stream(shape).reduce(1, (a, b) -> a * b);
        var bytes = new byte[(int) type.bytes(count)];
        RANDOM.nextBytes(bytes);
        return ConstantTensor.of(
                type, Arrays.stream(shape).boxed().toList(), MemorySegment.ofArray(bytes));
    }

    private static ConstantTensor scales(int count, float around) {
        var scales = new float[count];
        for (int i = 0; i < count; i++) {
            scales[i] = around * (1 + RANDOM.nextFloat());
        }
        return ConstantTensor.floats(List.of((long) count), scales);
    }

    private static void agree(TestGraphs graph, String call, long... shape) {
        agree(graph, call, node -> node, shape);
    }

    private static void agree(
            TestGraphs graph, String call, UnaryOperator<OnnxNode> attributes, long... shape) {
        OnnxModel model = graph.node(call, attributes).output("y").build();
        BothRuntimes.agreeOnSteps(model, Map.of("x", Tensors.randn(shape)));
    }

    @ParameterizedTest(name = "{0}, scales {1}")
    @CsvSource({"INT8, 1", "INT8, 4", "UINT8, 1"})
    @DisplayName("convolutions with bias, strides and uneven pads,")
    void convolution(ElementType type, int count) {
        TestGraphs graph =
                affine(on("N, 3, 9, 8"), "y", 0.5f, 30)
                        .constant("w", random(type, 4, 3, 3, 2))
                        .constant("sw", scales(count, 0.01f))
                        .constant("zw", zeros(type, count))
                        .constant("b", biases(4));
        agree(
                graph,
                "y = QLinearConv(q, s, z, w, sw, zw, sy, zy, b)",
                node -> node.with("strides", List.of(2L, 1L)).with("pads", List.of(1L, 0L, 2L, 1L)),
                2,
                3,
                9,
                8);
    }

    private static ConstantTensor zeros(ElementType type, int count) {
        var bytes = new byte[count];
        Arrays.fill(bytes, (byte) (type == ElementType.UINT8 ? 128 : 0));
        return ConstantTensor.bytes(type, List.of((long) count), bytes);
    }

    private static ConstantTensor biases(int count) {
        var bytes = new byte[4 * count];
        for (int i = 0; i < count; i++) {
            bytes[4 * i + 1] = (byte) (10 * i - 15);
            bytes[4 * i + 2] = (byte) (10 * i < 15 ? -1 : 0);
            bytes[4 * i + 3] = bytes[4 * i + 2];
        }
        return ConstantTensor.bytes(ElementType.INT32, List.of((long) count), bytes);
    }

    @ParameterizedTest(name = "groups {0}, {1}")
    @CsvSource({"1, NOTSET", "4, NOTSET", "2, SAME_UPPER"})
    @DisplayName("convolutions with channels last, in groups and with strides,")
    void channelsLast(long groups, String padding) {
        TestGraphs graph =
                affine(on("N, 7, 6, 4"), "y", 0.4f, 130)
                        .constant("w", random(ElementType.INT8, 8, 4 / groups, 3, 3))
                        .constant("sw", scales(8, 0.01f))
                        .constant("zw", zeros(ElementType.INT8, 8))
                        .constant("b", biases(8));
        agree(
                graph,
                "y = com.microsoft:QLinearConv(q, s, z, w, sw, zw, sy, zy, b)",
                node -> {
                    OnnxNode last =
                            node.with("channels_last", 1)
                                    .with("group", groups)
                                    .with("strides", List.of(2L, 2L));
                    return padding.equals("NOTSET")
                            ? last.with("pads", List.of(1L, 1L, 1L, 1L))
                            : last.with("auto_pad", padding);
                },
                2,
                7,
                6,
                4);
    }

    @Test
    @DisplayName("sums of convolutions, which are the same to the last digit,")
    void convolutionSums() {
        TestGraphs graph =
                on("N, 40, 5, 5")
                        .constant("w", random(ElementType.UINT8, 3, 40, 3, 3))
                        .constant(
                                "zw", ConstantTensor.bytes(ElementType.UINT8, List.of(), (byte) 9));
        agree(
                graph,
                "y = ConvInteger(q, w, z, zw)",
                node -> node.with("pads", List.of(1L, 1L, 1L, 1L)),
                1,
                40,
                5,
                5);
    }

    @ParameterizedTest(name = "{0} rows")
    @ValueSource(ints = {8, 600})
    @DisplayName("sums of products, which are the same to the last digit,")
    void productSums(int rows) {
        agree(
                on("N, 5, " + rows).constant("w", random(ElementType.INT8, rows, 6)),
                "y = MatMulInteger(q, w, z)",
                2,
                5,
                rows);
        agree(
                on("N, 5, " + rows)
                        .constant("w", random(ElementType.UINT8, rows, 6))
                        .constant(
                                "zw", ConstantTensor.bytes(ElementType.UINT8, List.of(), (byte) 7)),
                "y = MatMulInteger(q, w, z, zw)",
                2,
                5,
                rows);
    }

    @Test
    @DisplayName("products with integers as results, by column too,")
    void quantizedProducts() {
        for (int count : List.of(1, 6)) {
            TestGraphs graph =
                    affine(on("N, 5, 8"), "y", 0.4f, 110)
                            .constant("w", random(ElementType.INT8, 8, 6))
                            .constant("sw", scales(count, 0.01f))
                            .constant("zw", zeros(ElementType.INT8, count));
            agree(graph, "y = QLinearMatMul(q, s, z, w, sw, zw, sy, zy)", 2, 5, 8);
        }
    }

    @Test
    @DisplayName("products of integers with floats as results, and bias,")
    void productsToFloat() {
        TestGraphs graph =
                on("N, 5, 8")
                        .constant("w", random(ElementType.INT8, 8, 6))
                        .constant("sw", scales(6, 0.01f))
                        .weight("b", 6);
        agree(graph, "y = com.microsoft:MatMulIntegerToFloat(q, w, s, sw, z, , b)", 2, 5, 8);
    }

    @Test
    @DisplayName("products of floats that find their own range,")
    void dynamicProducts() {
        TestGraphs graph =
                TestGraphs.opset(OPSET)
                        .input("x: Float[N, 5, 8]")
                        .constant("w", random(ElementType.INT8, 8, 6))
                        .constant("sw", scales(6, 0.01f))
                        .weight("b", 6);
        agree(graph, "y = com.microsoft:DynamicQuantizeMatMul(x, w, sw, , b)", 2, 5, 8);
    }

    @ParameterizedTest(name = "transposed {0}, to integers {1}")
    @CsvSource({"0, true", "1, true", "1, false"})
    @DisplayName("products with sums added,")
    void gemm(long transposed, boolean toIntegers) {
        TestGraphs graph =
                affine(on("N, 8"), "y", 0.4f, 110)
                        .constant(
                                "w",
                                transposed == 1
                                        ? random(ElementType.INT8, 6, 8)
                                        : random(ElementType.INT8, 8, 6))
                        .constant("sw", scales(6, 0.01f))
                        .constant("zw", zeros(ElementType.INT8, 6))
                        .constant("c", biases(6));
        agree(
                graph,
                "y = com.microsoft:QGemm(q, s, z, w, sw, zw, c" + (toIntegers ? ", sy, zy)" : ")"),
                node -> node.with("transB", transposed).with("alpha", 1f),
                5,
                8);
    }

    @ParameterizedTest(name = "{0}")
    @ValueSource(strings = {"QLinearAdd", "QLinearMul"})
    @DisplayName("sums and products by elements,")
    void byElements(String op) {
        TestGraphs graph =
                affine(affine(on("N, 3, 20"), "y", 0.05f, 128), "w", 0.02f, 40)
                        .constant("w", random(ElementType.UINT8, 3, 20));
        agree(graph, "y = com.microsoft:" + op + "(q, s, z, w, sw, zw, sy, zy)", 2, 3, 20);
    }

    @Test
    @DisplayName("a choice by a condition,")
    void where() {
        TestGraphs graph =
                affine(affine(on("N, 20"), "y", 0.05f, 128), "w", 0.02f, 40)
                        .constant("w", random(ElementType.UINT8, 20))
                        .constant("zero", ConstantTensor.scalar(0))
                        .node("c = Less(x, zero)");
        agree(graph, "y = com.microsoft:QLinearWhere(c, q, s, z, w, sw, zw, sy, zy)", 2, 20);
    }

    @ParameterizedTest(name = "{0}")
    @ValueSource(strings = {"QLinearSigmoid", "QLinearLeakyRelu"})
    @DisplayName("activations,")
    void activations(String op) {
        agree(
                affine(on("N, 300"), "y", 0.004f, 3),
                "y = com.microsoft:" + op + "(q, s, z, sy, zy)",
                node -> op.endsWith("Relu") ? node.with("alpha", 0.3f) : node,
                2,
                300);
    }

    @Test
    @DisplayName("a linear function that saturates at both ends,")
    void saturating() {
        TestGraphs graph = affine(affine(on("N, 300"), "a", 0.03f, 100), "y", 0.0235f, 0);
        agree(
                graph,
                "y = com.microsoft:QLinearLeakyRelu(q, sa, za, sy, zy)",
                node -> node.with("alpha", 1f),
                2,
                300);
    }

    @Test
    @DisplayName("softmax,")
    void softmax() {
        agree(
                affine(on("N, 12"), "y", 1 / 256f, 0),
                "y = com.microsoft:QLinearSoftmax(q, s, z, sy, zy)",
                node -> node.with("axis", -1).with("opset", 13),
                4,
                12);
    }

    @Test
    @DisplayName("values of several scales one after the other,")
    void joined() {
        TestGraphs graph =
                affine(affine(on("N, 3, 4"), "y", 0.05f, 128), "w", 0.02f, 40)
                        .constant("w", random(ElementType.UINT8, 2, 3, 5));
        agree(
                graph,
                "y = com.microsoft:QLinearConcat(sy, zy, q, s, z, w, sw, zw)",
                node -> node.with("axis", 2),
                2,
                3,
                4);
    }

    @ParameterizedTest(name = "channels last {0}")
    @ValueSource(longs = {0, 1})
    @DisplayName("means of channels, and of windows,")
    void means(long last) {
        agree(
                affine(on("N, 4, 6, 5"), "y", 0.0213f, 100),
                "y = com.microsoft:QLinearGlobalAveragePool(q, s, z, sy, zy)",
                node -> node.with("channels_last", last),
                2,
                4,
                6,
                5);
        for (long counts : new long[] {0, 1}) {
            agree(
                    affine(on("N, 4, 6, 5"), "y", 0.0213f, 100),
                    "y = com.microsoft:QLinearAveragePool(q, s, z, sy, zy)",
                    node ->
                            node.with("channels_last", last)
                                    .with("kernel_shape", List.of(3L, 3L))
                                    .with("strides", List.of(2L, 1L))
                                    .with("pads", List.of(1L, 1L, 0L, 1L))
                                    .with("count_include_pad", counts),
                    2,
                    4,
                    6,
                    5);
        }
    }

    @Test
    @DisplayName("the largest of windows,")
    void maxima() {
        UnaryOperator<OnnxNode> window =
                node ->
                        node.with("kernel_shape", List.of(3L, 2L))
                                .with("strides", List.of(2L, 1L))
                                .with("pads", List.of(1L, 0L, 0L, 1L));
        agree(on("N, 6, 5, 4"), "y = com.microsoft:NhwcMaxPool(q)", window, 2, 6, 5, 4);
        agree(on("N, 6, 5, 4"), "y = MaxPool(q)", window, 2, 6, 5, 4);
    }

    @Test
    @DisplayName("numbers rounded over their own range, zeros too,")
    void dynamicRounding() {
        OnnxModel model =
                TestGraphs.opset(OPSET)
                        .input("x: Float[N, 50]")
                        .node("y, s, z = DynamicQuantizeLinear(x)")
                        .output("y")
                        .output("s")
                        .output("z")
                        .build();
        for (double factor : List.of(1.0, 0.0)) {
            for (double shift : List.of(0.0, 5.0, -5.0)) {
                Tensor x = Tensors.randn(3, 50).mul(new Scalar(factor)).add(new Scalar(shift));
                BothRuntimes.agreeOnSteps(model, Map.of("x", x));
            }
        }
    }

    @ParameterizedTest(name = "by the operators of {0}")
    @ValueSource(strings = {"", "com.microsoft:"})
    @DisplayName("numbers rounded to signed integers and back, by channel,")
    void byChannel(String domain) {
        TestGraphs graph =
                TestGraphs.opset(OPSET)
                        .input("x: Float[N, 3, 40]")
                        .constant("s", scales(3, 0.01f))
                        .constant("z", random(ElementType.INT8, 3))
                        .node(
                                "q = " + domain + "QuantizeLinear(x, s, z)",
                                node -> node.with("axis", 1));
        agree(
                graph,
                "y = " + domain + "DequantizeLinear(q, s, z)",
                node -> node.with("axis", 1),
                2,
                3,
                40);
    }

    @Test
    @DisplayName("numbers rounded to integers and back, by blocks, the last one shorter,")
    void byBlock() {
        TestGraphs graph =
                TestGraphs.opset(OPSET)
                        .input("x: Float[2, 10, 5]")
                        .weight("s", 2, 3, 5)
                        .constant("z", random(ElementType.INT8, 2, 3, 5))
                        .node(
                                "q = QuantizeLinear(x, s, z)",
                                node -> node.with("axis", 1).with("block_size", 4));
        agree(
                graph,
                "y = DequantizeLinear(q, s, z)",
                node -> node.with("axis", 1).with("block_size", 4),
                2,
                10,
                5);
    }

    @ParameterizedTest(name = "{0} bits, zero points {1}, {2} rows")
    @CsvSource({"4, none, 64", "4, bytes, 80", "8, bytes, 64", "4, floats, 64"})
    @DisplayName("products with blocks of a few bits,")
    void blocks(int bits, String zeroPoints, int rows) {
        int blocks = Math.ceilDiv(rows, 32);
        TestGraphs graph =
                TestGraphs.opset(OPSET)
                        .input("x: Float[N, 3, " + rows + "]")
                        .constant("w", random(ElementType.UINT8, 6, blocks, 32L * bits / 8))
                        .constant("s", scales(6 * blocks, 0.01f))
                        .weight("b", 6)
                        .weight("zf", 6L * blocks)
                        .constant(
                                "zb", random(ElementType.UINT8, 6, Math.ceilDiv(blocks * bits, 8)));
        String zero =
                switch (zeroPoints) {
                    case "bytes" -> "zb";
                    case "floats" -> "zf";
                    default -> "";
                };
        agree(
                graph,
                "y = com.microsoft:MatMulNBits(x, w, s, " + zero + ", , b)",
                node ->
                        node.with("K", rows)
                                .with("N", 6)
                                .with("bits", bits)
                                .with("block_size", 32)
                                .with("accuracy_level", 1),
                2,
                3,
                rows);
    }

    @ParameterizedTest(name = "{0}, zero points {1}")
    @CsvSource({
        "UINT4, true",
        "UINT4, false",
        "INT4, true",
        "INT4, false",
        "UINT8, true",
        "UINT8, false"
    })
    @DisplayName("rows of a table in blocks of a few bits,")
    void rows(ElementType type, boolean zeroPoints) {
        boolean packed = type == ElementType.UINT8;
        TestGraphs graph =
                TestGraphs.opset(OPSET)
                        .input("i: Int64[N, L]")
                        .constant("w", random(type, 10, packed ? 16 : 32))
                        .constant("s", matrix(scales(20, 0.01f), 10, 2))
                        .constant("z", random(type, 10, packed ? 1 : 2))
                        .node(
                                "y = com.microsoft:GatherBlockQuantized(w, i, s"
                                        + (zeroPoints ? ", z)" : ")"),
                                node ->
                                        node.with("gather_axis", 0)
                                                .with("quantize_axis", 1)
                                                .with("block_size", 16))
                        .output("y");
        BothRuntimes.agreeOnSteps(
                graph.build(), Map.of("i", Tensors.of(new long[] {0, 3, 9, 1, 1, 7}, 2, 3)));
    }

    private static ConstantTensor matrix(ConstantTensor row, long... shape) {
        return row.reshaped(Arrays.stream(shape).boxed().toList());
    }
}

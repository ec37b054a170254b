package io.espalier.nn;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

import java.util.Arrays;
import java.util.List;
import java.util.function.BinaryOperator;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;

@DisplayName("On quantized tensors, of different scales where it takes two,")
class QuantizedFunctionsTest {
    private static final long[] TWO = {2, 2};
    private static final long[] ONE = {1, 1};

    /**
     * One function.
     *
     * @param steps how many steps of the coarsest scale its rounding may be off
     */
    record Case(String name, int steps, BinaryOperator<Tensor> function) {
        @Override
        public String toString() {
            return name;
        }
    }

    private static Case one(String name, UnaryOperator<Tensor> function) {
        return new Case(name, 1, (a, b) -> function.apply(a));
    }

    private static Case two(String name, BinaryOperator<Tensor> function) {
        return new Case(name, 1, function);
    }

    private static Tensor floats(Tensor x) {
        return x.is_quantized() ? x.dequantize() : x.to(ScalarType.Float);
    }

    private static Tensor positive(Tensor x) {
        return floats(x).gt(new Scalar(0));
    }

    private static Tensor indices(Tensor x) {
        return positive(x).to(ScalarType.Long);
    }

    static Stream<Case> functions() {
        return Stream.of(
                        elements(), comparisons(), reductions(), shapes(), spatial(), activations())
                .flatMap(cases -> cases);
    }

    private static Stream<Case> elements() {
        return Stream.of(
                two("add", Functional::add),
                one("add number", a -> Functional.add(a, 1.5)),
                two("sub", Functional::sub),
                one("sub number", a -> Functional.sub(a, 1.5)),
                two("mul", Functional::mul),
                one("mul number", a -> Functional.mul(a, 1.5)),
                two("div", Functional::div),
                one("div number", a -> Functional.div(a, 1.5)),
                one("clamp", a -> Functional.clamp(a, -0.5, 0.7)),
                one("pow number", a -> Functional.pow(a, 2)),
                two("pow", Functional::pow),
                one("neg", Functional::neg),
                one("abs", Functional::abs),
                one("sqrt", Functional::sqrt),
                one("rsqrt", Functional::rsqrt),
                one("reciprocal", Functional::reciprocal),
                one("exp", Functional::exp),
                one("log", Functional::log),
                one("sin", Functional::sin),
                one("cos", Functional::cos),
                one("erf", Functional::erf),
                one("floor", Functional::floor),
                one("round", Functional::round),
                two("maximum", Functional::maximum),
                two("minimum", Functional::minimum),
                two("where", (a, b) -> Functional.where(positive(a), a, b)),
                one("masked fill", a -> Functional.maskedFill(a, positive(a), 0.25)),
                one("cast", a -> Functional.cast(a, ScalarType.Float)));
    }

    private static Stream<Case> comparisons() {
        return Stream.of(
                two("eq", Functional::eq),
                one("eq number", a -> Functional.eq(a, 0)),
                two("ne", Functional::ne),
                one("ne number", a -> Functional.ne(a, 0)),
                two("lt", Functional::lt),
                one("lt number", a -> Functional.lt(a, 0.3)),
                two("le", Functional::le),
                one("le number", a -> Functional.le(a, 0.3)),
                two("gt", Functional::gt),
                one("gt number", a -> Functional.gt(a, 0.3)),
                two("ge", Functional::ge),
                one("ge number", a -> Functional.ge(a, 0.3)));
    }

    private static Stream<Case> reductions() {
        return Stream.of(
                two("matmul", Functional::matmul),
                two("bmm", (a, b) -> Functional.bmm(a.select(0, 0), b.select(0, 0))),
                one("sum all", Functional::sum),
                one("sum", a -> Functional.sum(a, TWO, false)),
                one("mean all", Functional::mean),
                one("mean", a -> Functional.mean(a, new long[] {1}, true)),
                one("mean of pictures", a -> Functional.mean(a, new long[] {2, 3}, false)),
                one("var", a -> Functional.var(a, new long[] {1}, 1, false)),
                one("std", a -> Functional.std(a, new long[] {1}, 1, false)),
                one("norm", a -> Functional.norm(a, 2, new long[] {1}, false)),
                one("log sum exp", a -> Functional.logSumExp(a, new long[] {1}, false)),
                one("cumsum", a -> Functional.cumsum(a, 1)),
                one("max all", Functional::max),
                one("min all", Functional::min),
                one("max", a -> Functional.max(a, 1, false).values()),
                one("min", a -> Functional.min(a, 1, false).values()),
                one("topk", a -> Functional.topk(a, 2, 1, true).values()),
                one("sort", a -> Functional.sort(a, 1, true).values()),
                one("amax", a -> Functional.amax(a, new long[] {1}, false)),
                one("amin", a -> Functional.amin(a, new long[] {1}, false)),
                one("argmax", a -> Functional.argmax(a.reshape(-1), 0, false)),
                one("argmin", a -> Functional.argmin(a.reshape(-1), 0, false)));
    }

    private static Stream<Case> shapes() {
        return Stream.of(
                one("reshape", a -> Functional.reshape(a.permute(0, 3, 2, 1), 2, -1)),
                one("flatten", a -> Functional.flatten(a, 1, -1)),
                one("transpose", a -> Functional.transpose(a, 1, 2)),
                one("permute", a -> Functional.permute(a, 3, 1, 0, 2)),
                one("unsqueeze", a -> Functional.unsqueeze(a, 1)),
                one("squeeze", a -> Functional.squeeze(a.unsqueeze(1), 1)),
                one("narrow", a -> Functional.narrow(a, 1, 1, 2)),
                two("cat", (a, b) -> Functional.cat(List.of(a, b), 1)),
                two("stack", (a, b) -> Functional.stack(List.of(a, b), 1)),
                one("split", a -> Functional.split(a, 2, 1).get(1)),
                one("split sizes", a -> Functional.split(a, new long[] {1, 3}, 1).get(1)),
                one("chunk", a -> Functional.chunk(a, 2, 1).get(1)),
                one("unbind", a -> Functional.unbind(a, 1).get(1)),
                one("select", a -> Functional.select(a, 1, 2)),
                one("slice", a -> Functional.slice(a, 1, 1, 4, 2)),
                one(
                        "index select",
                        a -> Functional.indexSelect(a, 1, Tensors.of(new long[] {2, 0}, 2))),
                one("gather", a -> Functional.gather(a, 1, indices(a))),
                one("expand", a -> Functional.expand(a.narrow(1, 0, 1), 2, 3, 6, 6)),
                one("repeat", a -> Functional.repeat(a, 1, 2, 1, 1)),
                one("unflatten", a -> Functional.unflatten(a, 1, 2, 2)),
                one("flip", a -> Functional.flip(a, 1, 2)),
                one("roll", a -> Functional.roll(a, new long[] {1}, new long[] {1})),
                one("contiguous", a -> Functional.contiguous(a.transpose(1, 2))),
                one("tril", a -> Functional.tril(a, 0)),
                one("triu", a -> Functional.triu(a, 0)));
    }

    private static Stream<Case> spatial() {
        return Stream.of(
                two("conv2d", (a, b) -> Functional.conv2d(a, b, null, ONE, TWO, ONE, 1)),
                one(
                        "pad zeros",
                        a -> Functional.pad(a, new long[] {1, 1, 1, 1}, PaddingMode.ZEROS)),
                one(
                        "pad reflect",
                        a -> Functional.pad(a, new long[] {1, 1, 1, 1}, PaddingMode.REFLECT)),
                one(
                        "pad replicate",
                        a -> Functional.pad(a, new long[] {1, 1, 1, 1}, PaddingMode.REPLICATE)),
                one(
                        "pad circular",
                        a -> Functional.pad(a, new long[] {1, 1, 1, 1}, PaddingMode.CIRCULAR)),
                one("pad number", a -> Functional.pad(a, new long[] {1, 1, 1, 1}, 0.5)),
                one("max pool 2d", a -> Functional.maxPool2d(a, TWO, ONE, ONE, ONE, true)),
                one(
                        "max pool 1d",
                        a ->
                                Functional.maxPool1d(
                                        a.flatten(2, 3),
                                        new long[] {2},
                                        new long[] {1},
                                        new long[] {1},
                                        new long[] {1},
                                        true)),
                one("avg pool 2d", a -> Functional.avgPool2d(a, TWO, TWO, ONE, true, true)),
                one("avg pool 2d within", a -> Functional.avgPool2d(a, TWO, TWO, ONE, true, false)),
                one(
                        "avg pool 1d",
                        a ->
                                Functional.avgPool1d(
                                        a.flatten(2, 3),
                                        new long[] {2},
                                        new long[] {2},
                                        new long[] {1},
                                        true,
                                        true)),
                one("adaptive avg pool 1d", a -> Functional.adaptiveAvgPool1d(a.flatten(2, 3), 3)),
                one("adaptive avg pool 2d", a -> Functional.adaptiveAvgPool2d(a, 2, 3)),
                one("adaptive max pool 2d", a -> Functional.adaptiveMaxPool2d(a, 2, 3)),
                one("pixel shuffle", a -> Functional.pixelShuffle(a, 2)),
                one("nearest", a -> up(a, Upsample.Mode.NEAREST, false)),
                one("bilinear", a -> up(a, Upsample.Mode.BILINEAR, false)),
                one("bilinear, corners", a -> up(a, Upsample.Mode.BILINEAR, true)),
                one("bicubic", a -> up(a, Upsample.Mode.BICUBIC, false)));
    }

    private static Tensor up(Tensor a, Upsample.Mode mode, boolean corners) {
        return Functional.interpolate(a, new long[] {9, 9}, new double[0], mode, corners);
    }

    private static Stream<Case> activations() {
        Tensor four = Tensors.rand(4);
        return Stream.of(
                two("linear", (a, b) -> Functional.linear(a, b.select(0, 0).select(0, 0), null)),
                one(
                        "embedding",
                        a ->
                                Functional.embedding(
                                        Tensors.of(new long[] {1, 0}, 2), a.flatten(1, 3))),
                two("attention", (a, b) -> Functional.scaledDotProductAttention(a, b, a, null, 0)),
                one(
                        "batch norm",
                        a -> Functional.batchNorm(a, four, four, null, null, false, 0.1, 1e-5)),
                one("layer norm", a -> Functional.layerNorm(a, new long[] {6}, null, null, 1e-5)),
                one("group norm", a -> Functional.groupNorm(a, 2, null, null, 1e-5)),
                one("rms norm", a -> Functional.rmsNorm(a, new long[] {6}, null, 1e-5)),
                one("normalize", a -> Functional.normalize(a, 2, 1, 1e-12)),
                one("relu", Functional::relu),
                one("relu6", Functional::relu6),
                one("leaky relu", a -> Functional.leakyRelu(a, 0.1)),
                one("prelu", a -> Functional.prelu(a, four)),
                one("elu", a -> Functional.elu(a, 1)),
                one("gelu", Functional::gelu),
                one("gelu tanh", Functional::geluTanh),
                one("silu", Functional::silu),
                one("hardswish", Functional::hardswish),
                one("hardsigmoid", Functional::hardsigmoid),
                one("sigmoid", Functional::sigmoid),
                one("tanh", Functional::tanh),
                one("softplus", a -> Functional.softplus(a, 1, 20)),
                one("mish", Functional::mish),
                one("hardtanh", a -> Functional.hardtanh(a, -0.5, 0.7)),
                one("selu", Functional::selu),
                one("log sigmoid", Functional::logSigmoid),
                one("glu", a -> Functional.glu(a, 1)),
                one("softmax", a -> Functional.softmax(a, 1)),
                one("log softmax", a -> Functional.logSoftmax(a, 1)),
                one("dropout", a -> Functional.dropout(a, 0.5, false)));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("functions")
    @DisplayName("a function is right, or refused")
    void rightOrRefused(Case function) {
        Libtorch.seed(4);
        Tensor a =
                torch.quantize_per_tensor(Tensors.randn(2, 4, 6, 6), 0.031, 117, ScalarType.QUInt8);
        Tensor b =
                torch.quantize_per_tensor(
                        Tensors.randn(2, 4, 6, 6).mul(new Scalar(10)),
                        0.27,
                        100,
                        ScalarType.QUInt8);
        Tensor actual;
        try {
            actual = function.function().apply(a, b);
        } catch (RuntimeException refused) {
            return;
        }
        Tensor expected = floats(function.function().apply(a.dequantize(), b.dequantize()));
        assertTrue(
                Arrays.equals(Tensors.shape(expected), Tensors.shape(actual)),
                function + " has shape " + Arrays.toString(Tensors.shape(actual)));
        double step = actual.is_quantized() ? actual.q_scale() : 1e-5;
        float off = floats(actual).sub(expected).abs().max().item_float();
        assertTrue(off <= 1.01 * step * function.steps(), "off by " + off + ", a step is " + step);
    }
}

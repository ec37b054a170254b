package io.espalier.nn;

import static io.espalier.TensorAssertions.assertClose;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Operators;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.stream.Stream;

class RecordedFunctionsTest {
    /** A function of a tensor [2, 4, 6], under the name by which a failing test is found. */
    record Case(String name, Function<Tensor, Tensor> function) {
        @Override
        public String toString() {
            return name;
        }
    }

    private record Call(List<Tensor> results, String operator, List<@Nullable Object> arguments) {}

    /** Keeps what it is told. */
    private static final class Calls implements CallRecorder {
        final List<Call> all = new ArrayList<>();

        @Override
        public List<Tensor> module(
                Module module, List<Tensor> inputs, Supplier<List<Tensor>> forward) {
            return forward.get();
        }

        @Override
        public void function(
                List<Tensor> results, String operator, List<@Nullable Object> arguments) {
            all.add(new Call(results, operator, arguments));
        }

        @Override
        public void parameter(Module owner, String name, Tensor value) {}
    }

    static Stream<Case> functions() {
        Tensor other = Tensors.rand(2, 4, 6).add(Tensors.of(0.1f));
        long[] last = {-1};
        return Stream.of(
                new Case("linear", x -> Functional.linear(x, Tensors.randn(5, 6), null)),
                new Case("matmul", x -> Functional.matmul(x, Tensors.randn(6, 3))),
                new Case("bmm", x -> Functional.bmm(x, other.transpose(1, 2))),
                new Case("add", x -> Functional.add(x, other)),
                new Case("add number", x -> Functional.add(x, 2)),
                new Case("sub", x -> Functional.sub(x, other)),
                new Case("sub number", x -> Functional.sub(x, 2)),
                new Case("mul", x -> Functional.mul(x, other)),
                new Case("mul number", x -> Functional.mul(x, 2)),
                new Case("div", x -> Functional.div(x, other)),
                new Case("div number", x -> Functional.div(x, 2)),
                new Case("pow", x -> Functional.pow(other, x)),
                new Case("pow number", x -> Functional.pow(x, 2)),
                new Case("neg", Functional::neg),
                new Case("abs", Functional::abs),
                new Case("sqrt", x -> Functional.sqrt(other)),
                new Case("rsqrt", x -> Functional.rsqrt(other)),
                new Case("reciprocal", x -> Functional.reciprocal(other)),
                new Case("exp", Functional::exp),
                new Case("log", x -> Functional.log(other)),
                new Case("sin", Functional::sin),
                new Case("cos", Functional::cos),
                new Case("erf", Functional::erf),
                new Case("floor", Functional::floor),
                new Case("round", Functional::round),
                new Case("clamp", x -> Functional.clamp(x, -1, 0.5)),
                new Case("maximum", x -> Functional.maximum(x, other)),
                new Case("minimum", x -> Functional.minimum(x, other)),
                new Case("where", x -> Functional.where(Functional.gt(x, 0), x, other)),
                new Case("maskedFill", x -> Functional.maskedFill(x, Functional.lt(x, 0), 3)),
                new Case("cast", x -> Functional.cast(x, ScalarType.Double)),
                new Case("eq", x -> Functional.eq(x, other)),
                new Case("eq number", x -> Functional.eq(x, 1)),
                new Case("ne", x -> Functional.ne(x, other)),
                new Case("ne number", x -> Functional.ne(x, 1)),
                new Case("lt", x -> Functional.lt(x, other)),
                new Case("le", x -> Functional.le(x, other)),
                new Case("le number", x -> Functional.le(x, 1)),
                new Case("gt", x -> Functional.gt(x, other)),
                new Case("ge", x -> Functional.ge(x, other)),
                new Case("ge number", x -> Functional.ge(x, 1)),
                new Case("sum", Functional::sum),
                new Case("sum of dims", x -> Functional.sum(x, new long[] {0, 2}, true)),
                new Case("mean", Functional::mean),
                new Case("mean of dims", x -> Functional.mean(x, last, false)),
                new Case("var", x -> Functional.var(x, last, 1, true)),
                new Case("std", x -> Functional.std(x, last, 0, false)),
                new Case("norm", x -> Functional.norm(x, 2, last, true)),
                new Case("normalize", x -> Functional.normalize(x, 2, -1, 1e-12)),
                new Case("logSumExp", x -> Functional.logSumExp(x, last, false)),
                new Case("cumsum", x -> Functional.cumsum(x, 1)),
                new Case("max", Functional::max),
                new Case("min", Functional::min),
                new Case("amax", x -> Functional.amax(x, last, false)),
                new Case(
                        "adaptiveMaxPool2d",
                        x -> Functional.adaptiveMaxPool2d(Functional.unsqueeze(x, 0), 1, 1)),
                new Case("amin", x -> Functional.amin(x, last, true)),
                new Case("argmax", x -> Functional.argmax(x, 1, false)),
                new Case("argmin", x -> Functional.argmin(x, 1, true)),
                new Case("max of dim", x -> Functional.max(x, 1, false).indices()),
                new Case("min of dim", x -> Functional.min(x, 1, true).values()),
                new Case("topk", x -> Functional.topk(x, 2, -1, true).values()),
                new Case("sort", x -> Functional.sort(x, 1, true).indices()),
                new Case("split", x -> Functional.split(x, 3, 1).getLast()),
                new Case("split sizes", x -> Functional.split(x, new long[] {1, 3}, 1).getLast()),
                new Case("chunk", x -> Functional.chunk(x, 2, 2).getFirst()),
                new Case("unbind", x -> Functional.unbind(x, 1).getLast()),
                new Case("reshape", x -> Functional.reshape(x, 2, -1)),
                new Case("flatten", x -> Functional.flatten(x, 1, -1)),
                new Case("unflatten", x -> Functional.unflatten(x, 2, 3, 2)),
                new Case("transpose", x -> Functional.transpose(x, 0, 2)),
                new Case("permute", x -> Functional.permute(x, 2, 0, 1)),
                new Case("squeeze", x -> Functional.squeeze(Functional.unsqueeze(x, 1), 1)),
                new Case("narrow", x -> Functional.narrow(x, 1, 1, 2)),
                new Case("select", x -> Functional.select(x, 1, -1)),
                new Case("slice", x -> Functional.slice(x, 2, 1, 100, 2)),
                new Case("indexSelect", x -> Functional.indexSelect(x, 1, indices(3, 0))),
                new Case("gather", x -> Functional.gather(x, 0, indices(1, 0).view(2, 1, 1))),
                new Case("cat", x -> Functional.cat(List.of(x, other), 1)),
                new Case("stack", x -> Functional.stack(List.of(x, other), -1)),
                new Case("expand", x -> Functional.expand(x, 3, -1, -1, -1)),
                new Case("repeat", x -> Functional.repeat(x, 1, 2, 1)),
                new Case("flip", x -> Functional.flip(x, 0, 1)),
                new Case("roll", x -> Functional.roll(x, new long[] {1}, new long[] {2})),
                new Case("contiguous", x -> Functional.contiguous(x.transpose(0, 1))),
                new Case("tril", x -> Functional.tril(x, 0)),
                new Case("triu", x -> Functional.triu(x, 1)),
                new Case("pad", x -> Functional.pad(x, new long[] {1, 2}, 0.5)),
                new Case(
                        "pad mode", x -> Functional.pad(x, new long[] {1, 2}, PaddingMode.REFLECT)),
                new Case(
                        "pixelShuffle",
                        x -> Functional.pixelShuffle(x.unsqueeze(0).view(1, 8, 2, 3), 2)),
                new Case("softplus", x -> Functional.softplus(x, 2, 20)),
                new Case("mish", Functional::mish),
                new Case("hardtanh", x -> Functional.hardtanh(x, -1, 0.5)),
                new Case("selu", Functional::selu),
                new Case("logSigmoid", Functional::logSigmoid),
                new Case("glu", x -> Functional.glu(x, 1)),
                new Case("geluTanh", Functional::geluTanh),
                new Case("elu", x -> Functional.elu(x, 0.5)),
                new Case("softmax", x -> Functional.softmax(x, -1)),
                new Case("logSoftmax", x -> Functional.logSoftmax(x, 0)),
                new Case(
                        "rmsNorm",
                        x -> Functional.rmsNorm(x, new long[] {6}, Tensors.rand(6), 1e-6)),
                new Case(
                        "layerNorm",
                        x -> Functional.layerNorm(x, new long[] {6}, null, null, 1e-5)));
    }

    private static Tensor indices(long... values) {
        return Tensors.of(values, values.length);
    }

    @ParameterizedTest(name = "{0}")
    @DisplayName("the operator and arguments that a function records compute its result again")
    @MethodSource("functions")
    void replay(Case each) {
        Libtorch.seed(3);
        Calls calls = new Calls();
        Tensor x = Tensors.randn(2, 4, 6);
        Tensor result =
                ScopedValue.where(CallRecorder.CURRENT, calls).call(() -> each.function.apply(x));
        assertTrue(
                calls.all.getLast().results.stream()
                        .anyMatch(given ->
                                given.unsafeGetTensorImpl().address()
                                        == result.unsafeGetTensorImpl().address()));
        for (Call call : calls.all) {
            List<Object> given = Operators.find(call.operator).call(call.arguments.toArray());
            List<?> again = given.getFirst() instanceof List<?> list ? list : given;
            assertEquals(call.results.size(), again.size());
            for (int i = 0; i < again.size(); i++) {
                Tensor before = call.results.get(i);
                Tensor now = (Tensor) again.get(i);
                assertEquals(Tensors.type(before), Tensors.type(now));
                assertClose(before.to(ScalarType.Float), now.to(ScalarType.Float), 0);
            }
        }
    }
}

package io.espalier.onnx.slim;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.slim.Group;
import io.espalier.slim.Unit;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

@DisplayName("The width inside heads of a file's attention")
class InsideHeadsTest {
    @ParameterizedTest
    @ValueSource(longs = {4, 0})
    @DisplayName(
            "goes exactly, beside heads, and scores are divided by the root of what the width was")
    void narrowsInsideHeads(long heads) {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, L, 6]")
                        .weight("wq", 6, 32)
                        .weight("wk", 6, 32)
                        .weight("wv", 6, 32)
                        // The heads are counted, or follow from the rest.
                        .integers("to", 0, 0, heads == 0 ? -1 : heads, 8)
                        .node("fq = MatMul(x, wq)")
                        .node("fk = MatMul(x, wk)")
                        .node("fv = MatMul(x, wv)")
                        .node("rq = Reshape(fq, to)")
                        .node("rk = Reshape(fk, to)")
                        .node("rv = Reshape(fv, to)")
                        .node("q = Transpose(rq)", n -> n.with("perm", List.of(0L, 2L, 1L, 3L)))
                        .node("k = Transpose(rk)", n -> n.with("perm", List.of(0L, 2L, 3L, 1L)))
                        .node("v = Transpose(rv)", n -> n.with("perm", List.of(0L, 2L, 1L, 3L)))
                        .node("a = MatMul(q, k)")
                        .node("shape = Shape(q)")
                        .integer("last", -1)
                        .node("width = Gather(shape, last)")
                        .node("float = Cast(width)", n -> n.with("to", 1))
                        .node("root = Sqrt(float)")
                        .node("b = Div(a, root)")
                        .node("s = Softmax(b)")
                        .node("c = MatMul(s, v)")
                        .node("d = Transpose(c)", n -> n.with("perm", List.of(0L, 2L, 1L, 3L)))
                        .integers("back", 0, 0, 32)
                        .node("e = Reshape(d, back)")
                        .weight("wo", 32, 6)
                        .node("y = MatMul(e, wo)")
                        .output("y")
                        .build();
        var slimmer = OnnxSlimmer.of(model);
        List<Group> all = slimmer.groups().all();

        assertEquals(List.of(4, 8, 8), all.stream().map(group -> group.units().size()).toList());
        List<Unit> units = new ArrayList<>(all.get(0).units().subList(1, 2));
        units.addAll(all.get(1).units().subList(2, 5));
        units.addAll(all.get(2).units().subList(0, 4));
        OnnxModel slim = slimmer.remove(units);
        assertEquals(List.of(6L, 3L * 5), constant(slim, "wq").shape());
        assertEquals(List.of(3L * 4, 6L), constant(slim, "wo").shape());
        OnnxModel zeroed = ZeroedModel.of(slimmer, slimmer.groups().choose(units));
        Slimmed.assertSlim(model, zeroed, slim, 1e-5);
        OnnxModel without = OnnxSlimmer.removePruned(zeroed);
        for (String weight : List.of("wq", "wk", "wv", "wo")) {
            assertEquals(constant(slim, weight).shape(), constant(without, weight).shape());
        }
    }

    private static ConstantTensor constant(OnnxModel model, String name) {
        return Objects.requireNonNull(model.graph().constant(name));
    }
}

package io.espalier.onnx.quant.matmul;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.quant.accuracy.ChannelRanges;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.List;
import java.util.Map;
import java.util.Set;

@DisplayName("Shifted channels")
class ChannelShiftTest {
    private final PointerScope scope = new PointerScope();
    private final List<Map<String, Tensor>> data = Blocks.data(2, 4, 16, Blocks.WIDTH);

    @AfterEach
    void free() {
        scope.close();
    }

    private ChannelShift shifted(OnnxModel model) {
        List<SiteGroup> groups = SiteGroup.of(model.graph(), MatMulSettings.DEFAULT);
        return ChannelShift.apply(model, groups, ActivationStatistics.gather(model, groups, data));
    }

    private void assertSame(OnnxModel model, OnnxModel other) {
        Map<String, Tensor> unseen = Blocks.data(1, 3, 16, Blocks.WIDTH).getFirst();
        double error = Blocks.error(Blocks.run(model, unseen), Blocks.run(other, unseen));
        assertTrue(error < 1e-5, () -> "error " + error);
    }

    private ChannelRanges ranges(OnnxModel model, String value) {
        List<SiteGroup> groups = SiteGroup.of(model.graph(), MatMulSettings.DEFAULT);
        return ActivationStatistics.gather(model, groups, data).ranges(value);
    }

    @Test
    @DisplayName("lie about zero, and a residual connection gets back what was taken")
    void residual() {
        OnnxModel model = Blocks.postNorm().build();

        ChannelShift shift = shifted(model);

        assertEquals(Set.of("h"), shift.shifts().keySet());
        assertSame(model, shift.model());
        ChannelRanges ranges = ranges(shift.model(), "h");
        for (float centre : ranges.centres()) {
            assertEquals(0, centre, 1e-4);
        }
        assertEquals(model.graph().nodes().size(), shift.model().graph().nodes().size());
    }

    @Test
    @DisplayName("give a product without a vector one")
    void withoutVector() {
        OnnxModel model = Blocks.preNorm().build();

        ChannelShift shift = shifted(model);

        assertEquals(Set.of("h"), shift.shifts().keySet());
        assertSame(model, shift.model());
    }

    @Test
    @DisplayName("come from an Add and go into a Gemm")
    void addAndGemm() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, L, 32]")
                        .weight("b", 1, 1, Blocks.WIDTH)
                        .weight("w", Blocks.INNER, Blocks.WIDTH)
                        .weight("c", Blocks.INNER)
                        .weight("v", Blocks.INNER, Blocks.WIDTH)
                        .integers("rows", -1, Blocks.WIDTH)
                        .node("flat = Reshape(x, rows)")
                        .weight("offset", Blocks.WIDTH)
                        .node("h = Add(offset, flat)")
                        .node(
                                "g = Gemm(h, w, c)",
                                node -> node.with("transB", 1).with("alpha", 2f).with("beta", 0.5f))
                        .node("y = MatMul(g, v)")
                        .output("y")
                        .build();

        ChannelShift shift = shifted(model);

        assertEquals(Set.of("h"), shift.shifts().keySet());
        assertSame(model, shift.model());
    }

    @Test
    @DisplayName("are left where the value is a result, or read by what can't take it back")
    void left() {
        OnnxModel result = Blocks.postNorm().output("h: Float[N, L, 32]").build();
        OnnxModel read = Blocks.postNorm().node("e = Exp(h)").output("e: Float[N, L, 32]").build();
        OnnxModel sumRead =
                Blocks.postNorm().node("e = Exp(a2)").output("e: Float[N, L, 32]").build();

        for (OnnxModel model : List.of(result, read, sumRead)) {
            assertEquals(Map.of(), shifted(model).shifts());
        }
    }

    @Test
    @DisplayName("leave other readers of a shared constant their own")
    void sharedConstant() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, L, 32]")
                        .weight("b", Blocks.WIDTH)
                        .weight("w", Blocks.WIDTH, Blocks.WIDTH)
                        .node("h = Add(x, b)")
                        .node("p = MatMul(h, w)")
                        .node("q = Add(p, b)")
                        .node("y = Mul(q, b)")
                        .output("y")
                        .build();

        ChannelShift shift = shifted(model);

        assertEquals(Set.of("h"), shift.shifts().keySet());
        assertSame(model, shift.model());
    }
}

package io.espalier.onnx.tune;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.lower.LoweredModel;
import io.espalier.onnx.lower.Lowering;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.run.OnnxSession;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;

@DisplayName("Training in integers")
class IntegerTrainingTest {
    private final List<Map<String, Tensor>> batches = new ArrayList<>();

    @BeforeEach
    void data() {
        Libtorch.seed(1);
        for (int i = 0; i < 4; i++) {
            batches.add(Map.of("x", Tensors.randn(8, 4, 8, 8)));
        }
    }

    private Inputs inputs() {
        return Inputs.of(batches);
    }

    /** Convolutions with each activation, a pool, a sum, and products. */
    private static OnnxModel network() {
        return TestGraphs.opset(17)
                .input("x: Float[N, 4, 8, 8]")
                .weight("c0.weight", 8, 4, 3, 3)
                .weight("c0.bias", 8)
                .weight("c1.weight", 8, 1, 3, 3)
                .weight("c2.weight", 8, 8, 1, 1)
                .weight("c3.weight", 16, 8, 1, 1)
                .weight("head", 16, 12)
                .weight("head_bias", 12)
                .weight("last", 12, 5)
                .node("a = Conv(x, c0.weight, c0.bias)", IntegerTrainingTest::padded)
                .node("b = Relu(a)")
                .node(
                        "c = MaxPool(b)",
                        node ->
                                node.with("kernel_shape", List.of(2L, 2L))
                                        .with("strides", List.of(2L, 2L)))
                .node("d = Conv(c, c1.weight)", node -> padded(node).with("group", 8))
                .node("e = HardSwish(d)")
                .node("f = Conv(e, c2.weight)")
                .node("g = Add(f, c)")
                .node("h = Conv(g, c3.weight)")
                .node("i = Sigmoid(h)")
                .node("j = Mul(h, i)")
                .node("k = GlobalAveragePool(j)")
                .node("l = Flatten(k)")
                .node("m = MatMul(l, head)")
                .node("n = Add(m, head_bias)")
                .node("o = Relu(n)")
                .node("y = MatMul(o, last)")
                .output("y")
                .build();
    }

    private static OnnxNode padded(OnnxNode node) {
        return node.with("pads", List.of(1L, 1L, 1L, 1L));
    }

    private OnnxModel inIntegers(OnnxModel model) {
        return FineTuner.distilling(model).toIntegers().threads(1).tune(model, inputs()).model();
    }

    @Test
    @DisplayName("computes in floats what the file computes in integers, within a step or two")
    void simulates() {
        OnnxModel integers = inIntegers(network());
        var file = new IntegerFile(integers, false);
        LoweredModel lowered = Lowering.lower(file.lowerable());
        TrainableWeights weights = TrainableWeights.of(lowered, file::held);
        file.prepare(weights);
        lowered.module().eval();

        try (var session = OnnxSession.open(integers);
                var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            Tensor expected = Objects.requireNonNull(session.run(batches.getFirst()).get("y"));
            Tensor found = lowered.run(batches.getFirst()).firstEntry().getValue();
            double size = expected.abs().max().item_double();
            assertEquals(0, found.sub(expected).abs().max().item_double(), size / 50);
            assertEquals(0, found.sub(expected).abs().mean().item_double(), size / 500);
        }
        assertEquals(List.of(), weights.frozen());
        // Nothing was trained, so nothing changes.
        assertEquals(integers.toProto(), file.with(weights).toProto());
    }

    @Test
    @DisplayName("brings a model nearer to its teacher than layers that were only fitted")
    void nearer() {
        OnnxModel model = network();
        TunedModel fitted =
                FineTuner.distilling(model).toIntegers().threads(1).tune(model, inputs());

        TunedModel trained =
                FineTuner.distilling(model)
                        .trainingIntegers()
                        .epochs(20)
                        .learningRate(0.01)
                        .threads(1)
                        .tune(model, inputs());

        assertEquals(80, trained.steps());
        assertTrue(
                trained.dropAfter().orElseThrow() < fitted.dropAfter().orElseThrow(),
                fitted.dropAfter() + " " + trained.dropAfter());
        assertEquals(operators(fitted.model()), operators(trained.model()));
        assertTrue(operators(trained.model()).contains("QLinearConv"));
    }

    private static List<String> operators(OnnxModel model) {
        return model.graph().nodes().stream().map(OnnxNode::op).toList();
    }

    @Test
    @DisplayName("keeps what was fitted where training makes it no better")
    void neverWorse() {
        OnnxModel model = network();
        OnnxModel fitted = inIntegers(model);

        TunedModel ruined =
                FineTuner.distilling(model)
                        .trainingIntegers()
                        .epochs(2)
                        .learningRate(50)
                        .threads(1)
                        .tune(model, inputs());

        assertEquals(fitted.toProto(), ruined.model().toProto());
    }

    @Test
    @DisplayName("keeps a pruned model's zeros")
    void zeros() {
        OnnxModel model = network();
        OnnxModel pruned = OnnxPruner.l1(0.5).perLayer().prune(model).model();

        OnnxModel trained =
                FineTuner.distilling(model)
                        .trainingIntegers()
                        .epochs(10)
                        .learningRate(0.01)
                        .threads(1)
                        .tune(pruned, inputs())
                        .model();

        float[] before = constant(pruned, "c0.weight");
        float[] after = codes(trained, List.of(8L, 4L, 3L, 3L));
        int zeros = 0;
        for (int i = 0; i < before.length; i++) {
            if (before[i] == 0) {
                assertEquals(0, after[i]);
                zeros++;
            }
        }
        assertEquals(144, zeros);
        assertNotEquals(
                inIntegers(pruned).toProto().getGraph().getInitializerList(),
                trained.toProto().getGraph().getInitializerList());
    }

    private static float[] constant(OnnxModel model, String name) {
        return Objects.requireNonNull(model.graph().constant(name)).toFloats();
    }

    private static float[] codes(OnnxModel model, List<Long> shape) {
        return model.graph().constants().values().stream()
                .filter(held -> held.type() == ElementType.INT8 && held.shape().equals(shape))
                .map(ConstantTensor::toFloats)
                .findFirst()
                .orElseThrow();
    }

    @Test
    @DisplayName("names the node that computes with integers in another way")
    void refuses() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, 4]")
                        .constant("scale", ConstantTensor.scalar(0.1f))
                        .constant(
                                "zero",
                                ConstantTensor.bytes(ElementType.UINT8, List.of(), (byte) 0))
                        .node("q = QuantizeLinear(x, scale, zero)")
                        .node("s = Cast(q)", node -> node.with("to", 1))
                        .output("s")
                        .build();

        var refused = assertThrows(EspalierException.class, () -> new IntegerFile(model, false));

        assertTrue(String.valueOf(refused.getMessage()).contains("(Cast)"), refused.getMessage());
    }

    @Test
    @DisplayName("raises the version of old operators, or says what to do where it can't")
    void oldOperators() {
        OnnxModel old = old().node("s = Softmax(c)").node("y = Conv(s, v)").output("y").build();
        OnnxModel older =
                old().node("n = RandomNormalLike(c)", n -> n.with("scale", 1e-20f))
                        .node("s = Add(c, n)")
                        .node("y = Conv(s, v)")
                        .output("y")
                        .build();
        Inputs images = Inputs.of(List.of(Map.of("x", Tensors.randn(2, 3, 6, 6))));

        TunedModel trained =
                FineTuner.distilling(old).trainingIntegers().epochs(1).threads(1).tune(old, images);

        assertEquals(1, trained.steps());
        var error =
                assertThrows(
                        EspalierException.class,
                        () ->
                                FineTuner.distilling(older)
                                        .trainingIntegers()
                                        .epochs(1)
                                        .threads(1)
                                        .tune(older, images));
        assertTrue(String.valueOf(error.getMessage()).contains("toIntegers()"), error.getMessage());
    }

    private static TestGraphs old() {
        return TestGraphs.opset(8)
                .input("x: Float[N, 3, 6, 6]")
                .weight("w", 16, 3, 3, 3)
                .weight("v", 8, 16, 1, 1)
                .node("c = Conv(x, w)");
    }
}

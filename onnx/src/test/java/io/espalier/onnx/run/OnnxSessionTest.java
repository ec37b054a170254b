package io.espalier.onnx.run;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.RealModels;
import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.proto.GraphProto;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Objects;

@DisplayName("ONNX Runtime")
class OnnxSessionTest {
    @TempDir Path folder;

    @Test
    @DisplayName("runs a model from a file, and the same results come with taps on values inside")
    void runsWithTaps() {
        OnnxModel model = OnnxModel.load(RealModels.ocr(folder));
        String inside = model.graph().nodes().get(5).output();
        try (var scope = new PointerScope();
                var plain = OnnxSession.open(model);
                var tapped = OnnxSession.open(model, s -> s.threads(1).tapping(List.of(inside)))) {
            Map<String, Tensor> inputs = Map.of("x", Tensors.randn(2, 3, 48, 64));

            Map<String, Tensor> expected = plain.run(inputs);
            Map<String, Tensor> results = tapped.run(inputs);

            String output = model.graph().outputs().getFirst().getName();
            assertEquals(List.of(output, inside), List.copyOf(results.keySet()));
            assertArrayEquals(
                    Tensors.floats(List.copyOf(expected.values()).getFirst()),
                    Tensors.floats(List.copyOf(results.values()).getFirst()),
                    1e-5f);
        }
    }

    @Test
    @DisplayName("opens no transposed convolution of 0 groups, which would end the process")
    void noGroups() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, 4, 8, 8]")
                        .weight("w", 4, 4, 3, 3)
                        .node("y = ConvTranspose(x, w)", node -> node.with("group", 0))
                        .output("y")
                        .build();

        assertEquals(
                "The node 'y/ConvTranspose' convolves in 0 groups, at which ONNX Runtime ends the"
                        + " whole process; mend the model.",
                assertThrows(EspalierException.class, () -> OnnxSession.open(model).close())
                        .getMessage());
    }

    @Test
    @DisplayName("runs no model that has no outputs")
    void noOutputs() {
        OnnxModel model = TestGraphs.opset(17).input("x: Float[N]").node("y = Relu(x)").build();
        try (var session = OnnxSession.open(model)) {
            assertEquals(
                    "The model has no outputs; there is nothing to run it for.",
                    assertThrows(
                                    EspalierException.class,
                                    () -> session.run(Map.of("x", Tensors.zeros(2))))
                            .getMessage());
        }
    }

    @Test
    @DisplayName("says which extents of an input are others than the model's")
    void refusesExtents() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, 3, 4]")
                        .node("y = Relu(x)")
                        .output("y")
                        .build();
        try (var scope = new PointerScope();
                var session = OnnxSession.open(model)) {
            var refused =
                    assertThrows(
                            EspalierException.class,
                            () -> session.run(Map.of("x", Tensors.rand(1, 2, 5))));

            assertTrue(
                    String.valueOf(refused.getMessage())
                            .endsWith(
                                    "for input: x for the following indices: index: 1 Got: 2"
                                            + " Expected: 3; index: 2 Got: 5 Expected: 4"),
                    refused::getMessage);
        }
    }

    @Test
    @DisplayName("refuses what is larger than one buffer of Java's, with what to do")
    void tooLarge() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: UInt8[N]")
                        .node("y = Identity(x)")
                        .output("y")
                        .build();
        try (var session = OnnxSession.open(model);
                var scope = new PointerScope()) {
            // Nothing is written to it, so that it takes no memory.
            Tensor large = Tensors.empty(ScalarType.Byte, 1L << 31);

            var refused =
                    assertThrows(EspalierException.class, () -> session.run(Map.of("x", large)));

            assertEquals(
                    "'x' has 2,147,483,648 bytes, more than ONNX Runtime takes from Java or gives"
                        + " it at once (2,147,483,647); take fewer examples at once, on the command"
                        + " line by --batch N.",
                    refused.getMessage());
        }
    }

    @Test
    @DisplayName("is closed when what runs has ended, and refuses what comes later")
    void closedMeanwhile() throws InterruptedException {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, 64]")
                        .weight("w", 64, 64)
                        .node("y = MatMul(x, w)")
                        .output("y")
                        .build();
        List<String> ends = Collections.synchronizedList(new ArrayList<>());
        for (int round = 0; round < 10; round++) {
            OnnxSession session = OnnxSession.open(model);
            List<Thread> threads = new ArrayList<>();
            for (int i = 0; i < 3; i++) {
                threads.add(Thread.ofPlatform().start(() -> ends.add(refusal(session))));
            }
            Thread.sleep(10);
            session.close();
            for (Thread thread : threads) {
                thread.join();
            }
        }
        assertEquals(Collections.nCopies(30, "The session is closed; open another."), ends);
    }

    private static String refusal(OnnxSession session) {
        try (var scope = new PointerScope()) {
            Map<String, Tensor> batch = Map.of("x", Tensors.zeros(8, 64));
            while (true) {
                session.runOnly(batch);
            }
        } catch (EspalierException e) {
            return String.valueOf(e.getMessage());
        }
    }

    @Test
    @DisplayName("runs some nodes of a model by themselves")
    void runsFragments() {
        OnnxModel model = OnnxModel.load(RealModels.ocr(folder));
        var relu = OnnxNode.of("Relu", List.of("a"), "b");
        var sum = OnnxNode.of("Add", List.of("b", "c"), "d");
        OnnxModel fragment =
                model.fragment(
                        List.of(sum, relu),
                        Map.of("c", ConstantTensor.scalar(2)),
                        Map.of("a", ElementType.FLOAT),
                        List.of("d"));
        try (var scope = new PointerScope();
                var session = OnnxSession.open(fragment)) {
            Map<String, Tensor> results = session.run(Map.of("a", Tensors.of(-1, 3)));

            assertArrayEquals(
                    new float[] {2, 5}, Tensors.floats(List.copyOf(results.values()).getFirst()));
        }
    }

    @Test
    @DisplayName("names inputs that are missing or of the wrong shape in one sentence")
    void wrongInputs() {
        OnnxModel model = OnnxModel.load(RealModels.ocr(folder));
        try (var scope = new PointerScope();
                var session = OnnxSession.open(model)) {
            var name =
                    assertThrows(
                            EspalierException.class,
                            () -> session.run(Map.of("y", Tensors.randn(1, 3, 48, 64))));
            var shape =
                    assertThrows(
                            EspalierException.class,
                            () -> session.run(Map.of("x", Tensors.randn(1, 5))));

            assertEquals("The model wants the inputs [x]; given were [y].", name.getMessage());
            assertEquals(1, String.valueOf(shape.getMessage()).lines().count());
            assertTrue(String.valueOf(shape.getMessage()).contains("x"), shape.getMessage());
        }
    }

    @Test
    @DisplayName("runs what it would move integers' floats into: a graph within a node")
    void capturedFloatsOfIntegers() {
        GraphProto branch = TestGraphs.opset(17).node("b = Relu(h)").output("b").graph();
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, 3, 4, 4]")
                        .constant("s", ConstantTensor.scalar(0.05f))
                        .constant(
                                "zero",
                                ConstantTensor.bytes(ElementType.UINT8, List.of(), (byte) 128))
                        .constant("none", ConstantTensor.scalar(0))
                        .node("most = ReduceMax(x)", n -> n.with("keepdims", 0))
                        .node("flag = Greater(most, none)")
                        .node("q = QuantizeLinear(x, s, zero)")
                        .node("d = DequantizeLinear(q, s, zero)")
                        .node("h = MaxPool(d)", n -> n.with("kernel_shape", List.of(1L, 1L)))
                        .node(
                                "y = If(flag)",
                                n -> n.with("then_branch", branch).with("else_branch", branch))
                        .output("y")
                        .build();
        try (var scope = new PointerScope();
                var session = OnnxSession.open(model)) {
            Tensor y =
                    Objects.requireNonNull(
                            session.run(Map.of("x", Tensors.ones(1, 3, 4, 4))).get("y"));

            assertEquals(1, y.max().item_float(), 1e-6);
        }
    }

    @Test
    @DisplayName("closes once, and says so to whoever runs it then")
    void closed() {
        OnnxModel model =
                TestGraphs.opset(17).input("x: Float[N]").node("y = Relu(x)").output("y").build();
        var session = OnnxSession.open(model);
        session.close();
        session.close();
        assertEquals(
                "The session is closed; open another.",
                assertThrows(
                                EspalierException.class,
                                () -> session.run(Map.of("x", Tensors.ones(1))))
                        .getMessage());
    }
}

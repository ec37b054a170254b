package io.espalier.onnx.slim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.run.OnnxSession;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.List;
import java.util.Map;
import java.util.Objects;

@DisplayName("Of a teacher, what is left of values inside is")
class ValuesLeftTest {
    private static final Inputs DATA = Inputs.random().size("N", 64).batch(64).limit(64);

    /** Channels on their way through a layer for each of them. */
    private static OnnxModel model() {
        return TestGraphs.opset(17)
                .input("x: Float[N, 3, 6, 6]")
                .weight("w1", 8, 3, 3, 3)
                .weight("b1", 8)
                .node("c = Conv(x, w1, b1)")
                .node("r = Relu(c)")
                .weight("w2", 8, 1, 3, 3)
                .node("d = Conv(r, w2)", n -> n.with("group", 8))
                .node("f = Flatten(d)")
                .weight("w3", 32, 5)
                .weight("b3", 5)
                .node("y = Gemm(f, w3, b3)")
                .output("y")
                .build();
    }

    @Test
    @DisplayName(
            "as wide as in the slim model, of the same channels, with the results as they were")
    void narrowed() {
        OnnxModel model = model();
        SlimResult result =
                OnnxSlimmer.of(model).ratio(0.5).importance(Importance.magnitude()).run();

        OnnxModel teacher = result.values().of(model);

        List<String> inside = List.of("c", "r", "d");
        try (var scope = new PointerScope()) {
            Map<String, Tensor> wanted = run(model, inside);
            Map<String, Tensor> taught = run(teacher, inside);
            Map<String, Tensor> found = run(result.model(), inside);
            assertTrue(Tensors.equal(of(wanted, "y"), of(taught, "y")));
            for (String value : inside) {
                assertArrayEquals(
                        Tensors.shape(of(found, value)), Tensors.shape(of(taught, value)), value);
                assertEquals(4, of(taught, value).size(1));
                // Nothing before them is solved anew by magnitude.
                assertTrue(Tensors.equal(of(found, value), of(taught, value)), value);
            }
        }
    }

    @Test
    @DisplayName("left whole where it is something else in the teacher")
    void others() {
        OnnxModel model = model();
        SlimResult result =
                OnnxSlimmer.of(model).ratio(0.5).importance(Importance.magnitude()).run();
        OnnxModel other = OnnxSlimmer.of(model).ratio(0.75).run().model();

        OnnxModel teacher = result.values().of(other);

        try (var scope = new PointerScope()) {
            assertEquals(6, of(run(teacher, List.of("c")), "c").size(1));
        }
    }

    @Test
    @DisplayName("narrowed again by each part of a slimming")
    void again() {
        OnnxModel model = model();
        Slimming slimming = OnnxSlimmer.of(model).parameters(0.3);
        SlimResult first = slimming.part(model, 0, 0.5).run();
        SlimResult second = slimming.part(first.model(), 0.5, 1).run();

        OnnxModel teacher = second.values().of(first.values().of(model));

        try (var scope = new PointerScope()) {
            assertArrayEquals(
                    Tensors.shape(of(run(second.model(), List.of("c")), "c")),
                    Tensors.shape(of(run(teacher, List.of("c")), "c")));
        }
    }

    private static Tensor of(Map<String, Tensor> values, String name) {
        return Objects.requireNonNull(values.get(name), name);
    }

    private static Map<String, Tensor> run(OnnxModel model, List<String> inside) {
        try (var session = OnnxSession.open(model, s -> s.threads(1).tapping(inside));
                var batches = DATA.checkedFor(model).iterator()) {
            return session.run(batches.next());
        }
    }
}

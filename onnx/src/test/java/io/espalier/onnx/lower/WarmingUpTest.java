package io.espalier.onnx.lower;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.run.OnnxSession;
import io.espalier.onnx.run.PairedTime;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;

class WarmingUpTest {
    @Test
    @DisplayName(
            "is done once before a model on libtorch is timed, until Java has compiled its way")
    void once() {
        OnnxModel model =
                TestGraphs.opset(17)
                        .input("x: Float[N, 8]")
                        .weight("w", 8, 4)
                        .node("y = MatMul(x, w)")
                        .output("y")
                        .build();
        LoweredModel lowered = Lowering.lower(model);
        var runs = new AtomicInteger();
        lowered.module()
                .onOutput((module, tensors) -> {
                    runs.incrementAndGet();
                    return tensors;
                });
        var session = new LibtorchSession(lowered);
        Map<String, Tensor> inputs = Map.of("x", Tensors.randn(2, 8));

        try (var reference = OnnxSession.open(model, settings -> settings)) {
            PairedTime.of(reference, session, inputs, 1);
            int first = runs.getAndSet(0);
            PairedTime.of(reference, session, inputs, 1);

            assertTrue(first > 40, "runs: " + first);
            assertEquals(4, runs.get());
        }
    }
}

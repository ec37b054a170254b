package io.espalier.tensor;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.OnlyEngines;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.List;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Supplier;

class EngineTest {
    @Test
    @DisplayName("Each available engine can be chosen, and the one before comes back")
    void choosesEngines() {
        Engine before = Engine.current();
        for (Engine engine : Engine.available()) {
            assertEquals(engine, engine.during(Engine::current));
            assertEquals(before, Engine.current());
        }
        assertTrue(Engine.available().contains(before));
    }

    @Test
    @DisplayName("The engine before comes back when the work fails")
    void restoresAfterFailure() {
        Engine before = Engine.current();
        Engine other = before == Engine.QNNPACK ? Engine.X86 : Engine.QNNPACK;
        assertThrows(
                IllegalStateException.class,
                () ->
                        other.during(() -> {
                            throw new IllegalStateException("in the middle");
                        }));
        assertEquals(before, Engine.current());
    }

    @Test
    @DisplayName(
            "What one thread does with an engine of its own, others neither see nor compute by")
    void unseenByOthers() throws Exception {
        Engine before = Engine.current();
        Engine other = before == Engine.QNNPACK ? Engine.X86 : Engine.QNNPACK;
        Tensor a = torch.quantize_per_tensor(Tensors.randn(999), 0.031, 117, ScalarType.QUInt8);
        Tensor b = torch.quantize_per_tensor(Tensors.randn(999), 0.027, 120, ScalarType.QUInt8);
        Supplier<Tensor> sum =
                () -> Operators.call("quantized::add", "", a, b, 0.05, 128L).dequantize();
        Tensor expected = sum.get();
        assertFalse(Tensors.equal(expected, other.during(sum)), "both engines compute the same");
        try (var pool = Executors.newFixedThreadPool(2)) {
            CountDownLatch inside = new CountDownLatch(1);
            Future<Engine> during =
                    pool.submit(() ->
                            other.during(() -> {
                                inside.countDown();
                                LockSupport.parkNanos(50_000_000);
                                return Engine.current();
                            }));
            inside.await();
            Future<Engine> seen = pool.submit(Engine::current);
            assertTrue(Tensors.equal(expected, sum.get()));
            assertEquals(before, seen.get());
            assertEquals(other, during.get());
        }
    }

    @Test
    @DisplayName("An engine is chosen inside what another does")
    void nests() {
        Engine before = Engine.current();
        assertEquals(
                List.of(Engine.ONEDNN, Engine.FBGEMM),
                Engine.FBGEMM.during(() -> {
                    Engine inner = Engine.ONEDNN.during(Engine::current);
                    return List.of(inner, Engine.current());
                }));
        assertEquals(before, Engine.current());
    }

    @Test
    @DisplayName("An engine's name is PyTorch's; another name lists those there are")
    void names() {
        assertEquals(Engine.ONEDNN, Engine.of("onednn"));
        assertEquals(
                "No engine 'tensorrt'; there are: fbgemm, x86, qnnpack, onednn.",
                messageOf(() -> Engine.of("tensorrt")));
    }

    @Test
    @DisplayName("An engine that the platform does not have is refused, with those it has")
    void missing() {
        Engine before = Engine.current();
        try (var platform = OnlyEngines.of("qnnpack,onednn")) {
            assertEquals(Set.of(Engine.QNNPACK, Engine.ONEDNN), Engine.available());
            String message =
                    "The engine fbgemm is not in this platform's libtorch; choose one that is:"
                            + " qnnpack, onednn.";
            assertEquals(message, messageOf(Engine.FBGEMM::use));
            assertEquals(message, messageOf(() -> Engine.FBGEMM.during(() -> 1)));
            assertEquals(message, messageOf(Engine.FBGEMM::required));
            assertEquals(Engine.QNNPACK, Engine.QNNPACK.required());
        }
        assertEquals(before, Engine.current());
        try (var platform = OnlyEngines.of("fbgem")) {
            assertEquals(
                    "No engine 'fbgem'; there are: fbgemm, x86, qnnpack, onednn.",
                    messageOf(Engine::available));
        }
    }
}

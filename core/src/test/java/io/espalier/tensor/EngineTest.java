package io.espalier.tensor;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.OnlyEngines;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.Set;

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

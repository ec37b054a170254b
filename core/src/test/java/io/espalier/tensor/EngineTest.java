package io.espalier.tensor;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

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
}

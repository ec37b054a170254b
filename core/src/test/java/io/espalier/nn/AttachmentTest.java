package io.espalier.nn;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.Map;
import java.util.Optional;

class AttachmentTest {
    private record Note(String text) implements Attachment {}

    private record Plan(String text) implements Recipe {}

    @Test
    @DisplayName("a module carries one note of each kind, and says where there shall be none")
    void kinds() {
        Linear layer = new Linear(2, 2);
        assertFalse(layer.isAttached(Note.class));
        assertEquals(Optional.empty(), layer.attachment(Note.class));
        layer.attach(Note.class, new Note("a"));
        layer.attach(Note.class, new Note("b"));
        layer.qconfig(new Plan("int8"));
        assertEquals(Optional.of(new Note("b")), layer.attachment(Note.class));
        assertEquals(Optional.of(new Plan("int8")), layer.qconfig());
        assertEquals(Optional.of(new Plan("int8")), layer.attachment(Recipe.class));
        layer.qconfig(null);
        assertTrue(layer.hasQconfig());
        assertEquals(Optional.empty(), layer.qconfig());
    }

    @Test
    @DisplayName("copies, aliases and layers made of a layer keep its notes, each for itself")
    void copies() {
        Linear layer = new Linear(2, 2);
        layer.attach(Note.class, new Note("a"));
        Linear copy = layer.copy();
        Linear alias = layer.alias();
        Linear chosen = layer.withOutputs(1);
        Linear given = layer.withTensors(Map.of());
        copy.attach(Note.class, new Note("copy"));
        for (Linear same : new Linear[] {layer, alias, chosen, given}) {
            assertEquals(Optional.of(new Note("a")), same.attachment(Note.class));
        }
        assertEquals(Optional.of(new Note("copy")), copy.attachment(Note.class));
    }

    @Test
    @DisplayName("what takes a layer's place takes over its notes, also that there is none")
    void takingOver() {
        Linear layer = new Linear(2, 2);
        layer.attach(Note.class, new Note("a"));
        layer.qconfig(null);
        Identity other = new Identity();
        other.qconfig(new Plan("int8"));
        other.takeAttachments(layer);
        assertEquals(Optional.of(new Note("a")), other.attachment(Note.class));
        assertTrue(other.hasQconfig());
        assertEquals(Optional.empty(), other.qconfig());
    }
}

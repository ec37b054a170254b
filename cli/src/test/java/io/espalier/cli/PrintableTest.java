package io.espalier.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import tools.jackson.databind.json.JsonMapper;

@DisplayName("Text from outside")
class PrintableTest {
    @Test
    @DisplayName("reaches a terminal with what would steer it spelled out, and the rest as it is")
    void spelledOut() {
        assertEquals(
                "a\\u001b[31mb\\u009bc\\u202ed\\u000d\\u000a层 $1\\",
                Printable.line("a\u001b[31mb\u009bc\u202ed\r\n层 $1\\"));
        assertEquals("\\udb40\\udc01", Printable.line("\udb40\udc01"));
    }

    @Test
    @DisplayName("keeps its lines where it has several")
    void lines() {
        assertEquals("a\n  b\\u0007", Printable.lines("a\n  b\u0007"));
    }

    @Test
    @DisplayName("is the same text in JSON, escaped as JSON has it")
    void json() {
        String name = "w\u001b]0;\u009b2J\u202e\udb40\udc01\\";
        String json = Json.line(name);

        assertEquals(Printable.line(json), json);
        assertEquals(name, JsonMapper.builder().build().readValue(json, String.class));
    }
}

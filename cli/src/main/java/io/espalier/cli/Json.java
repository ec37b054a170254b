package io.espalier.cli;

import tools.jackson.databind.json.JsonMapper;

/**
 * What {@code --json} prints: one object, in one line. Characters that would steer a terminal are
 * JSON's own escapes.
 */
final class Json {
    private static final JsonMapper MAPPER = JsonMapper.builder().build();

    private Json() {}

    static String line(Object value) {
        return Printable.line(MAPPER.writeValueAsString(value));
    }
}

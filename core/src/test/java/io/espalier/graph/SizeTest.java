package io.espalier.graph;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.graph.Size.Fixed;
import io.espalier.graph.Size.Free;
import io.espalier.graph.Size.OfOperand;
import io.espalier.graph.Size.Over;
import io.espalier.graph.Size.Plus;
import io.espalier.graph.Size.Times;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.List;
import java.util.Map;

@DisplayName("A size that depends on others")
class SizeTest {
    @Test
    @DisplayName("prints as arithmetic, reads back as itself, and is computed")
    void arithmetic() {
        Map<Size, String> sizes =
                Map.of(
                        new Fixed(7), "7",
                        new Free("batch"), "batch",
                        new OfOperand(2), "size(2)",
                        new Plus(new Free("h"), -3), "h - 3",
                        new Times(new Free("batch"), new Fixed(4)), "batch * 4",
                        new Over(new Plus(new OfOperand(0), 1), 2), "(size(0) + 1) / 2",
                        new Times(
                                        new Times(new Free("h"), new Free("w")),
                                        new Over(new Free("h"), 2)),
                                "h * w * (h / 2)");
        Map<String, Long> free = Map.of("batch", 5L, "h", 9L, "w", 2L);
        Map<String, Long> values =
                Map.of(
                        "7", 7L,
                        "batch", 5L,
                        "size(2)", 12L,
                        "h - 3", 6L,
                        "batch * 4", 20L,
                        "(size(0) + 1) / 2", 5L,
                        "h * w * (h / 2)", 72L);

        sizes.forEach((size, text) -> {
            assertEquals(text, size.toString());
            assertEquals(size, Size.parse(text));
            assertEquals(values.get(text), size.resolve(free::get, dim -> dim + 10));
        });
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "-1",
                "h +",
                "h / 0",
                "h / w",
                "(h",
                "h)",
                "size(",
                "size(-1)",
                "h ? 2",
                "99999999999999999999",
                "size",
                "h + w"
            })
    @DisplayName("is refused where it is written wrongly")
    void wrong(String text) {
        assertTrue(messageOf(() -> Size.parse(text)).length() > 10);
    }

    @Test
    @DisplayName("is named by letters")
    void names() {
        for (String name : List.of("a b", "1", "size", "é")) {
            assertTrue(messageOf(() -> FreeDimensions.of(name)).contains("is named by letters"));
        }
    }
}

package io.espalier.graph;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.graph.Size.Fixed;
import io.espalier.graph.Size.Free;
import io.espalier.graph.Size.Join;
import io.espalier.graph.Size.Joined;
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
                                "h * w * (h / 2)",
                        new Joined(Join.SUM, new Free("h"), new Times(new Free("w"), new Fixed(2))),
                                "sum(h, w * 2)",
                        new Times(new Joined(Join.MAX, new Free("h"), new Free("w")), new Fixed(3)),
                                "max(h, w) * 3",
                        new Joined(
                                        Join.MIN,
                                        new Joined(Join.DIFFERENCE, new Free("w"), new Free("h")),
                                        new Joined(Join.QUOTIENT, new Free("h"), new Free("w"))),
                                "min(difference(w, h), quotient(h, w))");
        Map<String, Long> free = Map.of("batch", 5L, "h", 9L, "w", 2L);
        Map<String, Long> values =
                Map.of(
                        "7", 7L,
                        "batch", 5L,
                        "size(2)", 12L,
                        "h - 3", 6L,
                        "batch * 4", 20L,
                        "(size(0) + 1) / 2", 5L,
                        "h * w * (h / 2)", 72L,
                        "sum(h, w * 2)", 13L,
                        "max(h, w) * 3", 27L,
                        "min(difference(w, h), quotient(h, w))", -7L);

        sizes.forEach((size, text) -> {
            assertEquals(text, size.toString());
            assertEquals(size, Size.parse(text));
            assertEquals(values.get(text), size.resolve(free::get, dim -> dim + 10));
        });
    }

    @Test
    @DisplayName("is not divided by a size of 0")
    void divisionByZero() {
        Size size = Size.parse("quotient(h, w - 2)");

        assertTrue(
                messageOf(() -> size.resolve(Map.of("h", 9L, "w", 2L)::get, dim -> 0))
                        .contains("divided by a size of 0"));
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
                "h + w",
                "sum(h)",
                "sum(h, w",
                "sum(h, w, h)",
                "power(h, 2)"
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

package io.espalier.graph;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.util.List;
import java.util.stream.Stream;

@DisplayName("Names in a graph")
class NamesTest {
    @Test
    @DisplayName("get the least number that is free, where a number was asked for too")
    void numbers() {
        var names = new Names();

        List<String> given =
                Stream.of("a", "a", "a_2", "a", "a_1", "b.c", "b_c")
                        .map(wanted -> names.fresh(wanted).name())
                        .toList();

        assertEquals(List.of("a", "a_1", "a_2", "a_3", "a_1_1", "b_c", "b_c_1"), given);
    }

    @Test
    @Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
    @DisplayName("are found at once among very many of one kind")
    void many() {
        var names = new Names();
        Value last = names.fresh("relu");
        for (int i = 1; i <= 200_000; i++) {
            last = names.fresh("relu");
        }

        assertEquals("relu_200000", last.name());
    }
}

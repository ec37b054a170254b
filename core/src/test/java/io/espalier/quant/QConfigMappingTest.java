package io.espalier.quant;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import io.espalier.nn.Conv2d;
import io.espalier.nn.Linear;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.List;

class QConfigMappingTest {
    private final Sequential model =
            new Sequential(
                    new Conv2d(1, 1, 1),
                    new Linear(2, 2),
                    new Sequential(new Linear(2, 2), new ReLU(), new Conv2d(1, 1, 1)));

    @Test
    @DisplayName("A path goes before a class, a class before the rest, and null leaves out")
    void decides() {
        QConfig rest = QConfig.forBackend("x86");
        QConfig own = QConfig.forBackend("qnnpack");
        QConfigMapping.of(rest).type(Linear.class, own).path("2", null).applyTo(model);
        List<Site> sites = Site.of(model);
        assertEquals(List.of("0", "1"), sites.stream().map(Site::path).toList());
        assertEquals(List.of(rest, own), sites.stream().map(Site::qconfig).toList());
    }

    @Test
    @DisplayName("A path that is not there is a clear error, and nothing is set")
    void refusesUnknownPaths() {
        assertEquals(
                "No module '7' in Sequential; it has: 0, 1, 2.",
                messageOf(() -> QConfigMapping.of(null).path("7", null).applyTo(model)));
        assertFalse(model.hasQconfig());
    }
}

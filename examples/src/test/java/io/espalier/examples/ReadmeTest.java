package io.espalier.examples;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Pattern;

@DisplayName("What the README tells a project of one's own to use")
class ReadmeTest {
    private static final Path HOME = Path.of("..");

    @ParameterizedTest
    @ValueSource(strings = {"README.md", "README.zh-CN.md"})
    @DisplayName("are the plugins' versions of this build, for Maven")
    void plugins(String readme) throws IOException {
        Map<String, String> here = plugins(HOME.resolve("pom.xml"));
        Map<String, String> told = plugins(HOME.resolve(readme));

        assertFalse(told.isEmpty());
        told.forEach((plugin, version) -> assertEquals(here.get(plugin), version, plugin));
    }

    private static Map<String, String> plugins(Path file) throws IOException {
        var versions = new TreeMap<String, String>();
        Pattern.compile("<artifactId>([\\w-]+-plugin)</artifactId>\\s*<version>([^<]*)</version>")
                .matcher(Files.readString(file))
                .results()
                .forEach(plugin -> versions.put(plugin.group(1), plugin.group(2)));
        return versions;
    }

    @ParameterizedTest
    @ValueSource(strings = {"README.md", "README.zh-CN.md"})
    @DisplayName("are the libraries' versions of this build, for Gradle")
    void libraries(String readme) throws IOException {
        String pom = Files.readString(HOME.resolve("pom.xml"));
        String text = Files.readString(HOME.resolve(readme));
        for (String library : new String[] {"javacpp", "openblas", "pytorch"}) {
            String version = found("<" + library + "\\.version>([^<]*)<", pom);

            assertEquals(version, found("\"" + library + "\" to \"([^\"]*)\"", text), library);
        }
        String own = found("<version>([^<]*)</version>", pom);
        assertEquals(own, found("io\\.espalier:espalier-core:([^\"]*)\"", text));
        assertEquals(
                own, found("<artifactId>espalier-core</artifactId>\\s*<version>([^<]*)<", text));
    }

    private static String found(String pattern, String text) {
        return Pattern.compile(pattern)
                .matcher(text)
                .results()
                .findFirst()
                .orElseThrow(() -> new AssertionError("nothing like " + pattern))
                .group(1);
    }
}

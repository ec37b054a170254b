package io.espalier.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import static java.nio.charset.StandardCharsets.UTF_8;

import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/** The script {@code espalier} in a clone of its own, with a JDK and a Maven that only say so. */
@DisplayName("The launcher")
@DisabledOnOs(OS.WINDOWS)
class LauncherTest {
    private static final Path SCRIPT = Path.of("..", "espalier");

    @TempDir Path folder;
    private Path clone;
    private Path jdk;

    private record Launch(int code, String out) {}

    @BeforeEach
    void prepareClone() throws IOException {
        clone = Files.createDirectories(folder.resolve("clone"));
        Files.copy(SCRIPT, clone.resolve("espalier"));
        Files.writeString(clone.resolve("pom.xml"), "");
        Files.createDirectories(clone.resolve("cli/src/main"));
        jdk = Files.createDirectories(folder.resolve("jdk"));
        Files.writeString(jdk.resolve("release"), "JAVA_VERSION=\"25.0.1\"\n");
        program("jdk/bin/javac", "");
        program("jdk/bin/java", "echo \"java ${@: -2}\"");
        Files.writeString(folder.resolve("library.jar"), "");
        program(
                "bin/mvn",
                """
                echo mvn >>"$(dirname "$0")/../builds"
                mkdir -p clone/cli/target
                : >clone/cli/target/espalier-cli.jar
                printf %s "$PWD/library.jar" >clone/cli/target/class-path
                : >library.jar
                """);
    }

    private void program(String name, String body) throws IOException {
        Path file = folder.resolve(name);
        Files.createDirectories(file.getParent());
        Files.writeString(file, "#!/usr/bin/env bash\n" + body);
        assertTrue(file.toFile().setExecutable(true));
    }

    private Launch launch(String... arguments) throws IOException, InterruptedException {
        return launchIn(null, arguments);
    }

    private Launch launchIn(@Nullable String locale, String... arguments)
            throws IOException, InterruptedException {
        List<String> command =
                new ArrayList<>(List.of("bash", clone.resolve("espalier").toString()));
        command.addAll(List.of(arguments));
        var process = new ProcessBuilder(command).directory(folder.toFile());
        process.environment().remove("HOME");
        if (locale != null) {
            process.environment().put("LC_ALL", locale);
        }
        process.environment().put("JAVA_HOME", jdk.toString());
        process.environment().compute("PATH", (name, path) -> folder.resolve("bin") + ":" + path);
        Process started = process.redirectErrorStream(true).start();
        String out = new String(started.getInputStream().readAllBytes(), UTF_8);
        return new Launch(started.waitFor(), out);
    }

    private long builds() throws IOException {
        try (Stream<String> lines = Files.lines(folder.resolve("builds"))) {
            return lines.count();
        }
    }

    @Test
    @DisplayName("builds once, and starts then, without HOME too")
    void buildsOnce() throws Exception {
        Launch first = launch("--help");
        Launch second = launch("--help");

        assertTrue(first.out().endsWith("java io.espalier.cli.Espalier --help\n"), first.out());
        assertEquals(new Launch(0, "java io.espalier.cli.Espalier --help\n"), second);
        assertEquals(1, builds());
    }

    @Test
    @DisplayName("lets Java read names that are not ASCII in a locale that is, and keeps others")
    void locale() throws Exception {
        program("jdk/bin/java", "echo \"in $LC_ALL\"");
        program("bin/locale", "[ \"$LC_ALL\" = zh_CN.GBK ] && echo GBK || echo ANSI_X3.4-1968");

        launch("--help");

        assertEquals("in C.UTF-8\n", launchIn("C", "--help").out());
        assertEquals("in C.UTF-8\n", launchIn("POSIX", "--help").out());
        assertTrue(launchIn("xx_XX.UTF-8", "--help").out().endsWith("in C.UTF-8\n"));
        assertTrue(launchIn("zh_CN.GBK", "--help").out().contains("in zh_CN.GBK\n"));
    }

    @Test
    @DisplayName("builds again where a library that it was built with is gone")
    void missingLibrary() throws Exception {
        launch("--help");
        Files.delete(folder.resolve("library.jar"));

        Launch again = launch("--help");

        assertEquals(0, again.code(), again.out());
        assertEquals(2, builds());
        assertEquals(new Launch(0, "java io.espalier.cli.Espalier --help\n"), launch("--help"));
    }

    @Test
    @DisplayName("says in one line that it can't build in a clone that can't be written")
    void unwritableClone() throws Exception {
        Files.writeString(clone.resolve("cli/target"), "");

        Launch launch = launch("--help");

        assertEquals(1, launch.code());
        assertEquals(1, launch.out().lines().count(), launch.out());
        assertTrue(launch.out().contains("can't be written"), launch.out());
        assertFalse(launch.out().contains("mkdir"), launch.out());
    }

    @Test
    @DisplayName("gives a program to Java at once, and anything else to the command")
    void programs() throws Exception {
        launch("--help");
        Files.writeString(folder.resolve("Main.java"), "void main() {}");
        Files.writeString(folder.resolve("Empty.java"), "");
        Files.writeString(folder.resolve("notes.txt"), "void main() {}");

        assertEquals("java Main.java argument\n", launch("run", "Main.java", "argument").out());
        assertEquals("java run Empty.java\n", launch("run", "Empty.java").out());
        assertEquals("java run notes.txt\n", launch("run", "notes.txt").out());
    }
}

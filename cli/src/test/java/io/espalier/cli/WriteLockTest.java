package io.espalier.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;

@DisplayName("The place of a result")
class WriteLockTest {
    @TempDir Path folder;
    private Path out;

    @BeforeEach
    void model() {
        OnnxFile.ofConvolutions(folder.resolve("m.onnx"));
        out = folder.resolve("out.onnx");
    }

    private CommandLineRun run(String line) {
        return CommandLineRun.of(
                Arrays.stream(line.split(" "))
                        .map(word ->
                                word.startsWith("@")
                                        ? folder.resolve(word.substring(1)).toString()
                                        : word)
                        .toArray(String[]::new));
    }

    private List<String> names() throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.map(file -> file.getFileName().toString()).sorted().toList();
        }
    }

    @ParameterizedTest(name = "{0}")
    @DisplayName("is one run's until it has ended, whatever it is written by:")
    @ValueSource(
            strings = {
                "quantize @m.onnx --random -o @out.onnx",
                "quantize @m.onnx --random -o @link.onnx",
                "quantize @m.onnx --random -o @out.onnx --journal @j",
                "quantize @m.onnx --random -o @out.onnx --mode static",
                "quantize @m.onnx -o @out.onnx --mode float16",
                "optimize @m.onnx -o @out.onnx",
                "prune @m.onnx -o @out.onnx",
                "finetune @m.onnx --random --int8 -o @out.onnx",
            })
    void oneRunAtATime(String line) throws IOException {
        Files.createSymbolicLink(folder.resolve("link.onnx"), out);
        List<String> before = names();
        CommandLineRun second;
        try (var first = WriteLock.ofFile(out)) {
            second = run(line + " --force");
        }

        assertEquals(1, second.code(), second.out());
        String named = line.contains("@link") ? "link.onnx" : "out.onnx";
        assertEquals(
                "espalier: Another run writes to %s; wait until it has ended, or name another file with -o."
                        .formatted(folder.resolve(named)),
                second.err().strip());
        assertEquals(before, names());
    }

    @Test
    @DisplayName("for libtorch is one run's, too")
    void oneGraphAtATime() throws IOException {
        CommandLineRun second;
        try (var first = WriteLock.ofFile(folder.resolve("g.safetensors"))) {
            second = run("quantize @m.onnx --random --runtime libtorch -o @g.safetensors");
        }

        assertEquals(1, second.code(), second.out());
        assertEquals(List.of("m.onnx"), names());
    }

    @Test
    @DisplayName("is free again after a run that was killed, and nothing is left beside it")
    void afterKill() throws IOException {
        Files.createFile(folder.resolve(".out.onnx.lock"));

        CommandLineRun run = run("prune @m.onnx -o @out.onnx");

        assertEquals(0, run.code(), run.err());
        assertEquals(List.of("m.onnx", "out.onnx"), names());
    }
}

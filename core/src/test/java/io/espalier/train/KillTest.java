package io.espalier.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.data.Dataset;
import io.espalier.state.SafeTensors;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.TimeUnit;

/** What is left of a training whose process dies. */
class KillTest {
    @TempDir Path directory;

    private Process start(String... shell) throws IOException {
        var command = new ArrayList<>(List.of(shell));
        command.addAll(
                List.of(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "--enable-native-access=ALL-UNNAMED",
                        "-XX:-UsePerfData",
                        "-XX:TieredStopAtLevel=1",
                        "-cp",
                        System.getProperty(
                                "surefire.test.class.path", System.getProperty("java.class.path")),
                        KilledTraining.class.getName(),
                        checkpoint().toString(),
                        weights().toString()));
        return new ProcessBuilder(command).redirectErrorStream(true).start();
    }

    private Path checkpoint() {
        return directory.resolve("training.safetensors");
    }

    private Path weights() {
        return directory.resolve("weights.safetensors");
    }

    /** Reads what the process prints until it has made so many steps; the last line. */
    private static String awaitSteps(Process process, BufferedReader output, int steps)
            throws IOException {
        String line = "nothing printed";
        for (int made = 0; made < steps; ) {
            String next = output.readLine();
            if (next == null) {
                throw new AssertionError("the process ended with: " + line + " " + process);
            }
            line = next;
            made += line.startsWith("step ") ? 1 : 0;
        }
        return line;
    }

    private static Map<String, Tensor> uninterrupted() {
        int threads = Libtorch.threads();
        Libtorch.threads(1);
        try {
            SmallNet net = SmallNet.masked();
            Dataset data = SmallNet.examples(70);
            Libtorch.seed(13);
            KilledTraining.trainer(net).train(data, KilledTraining.EPOCHS);
            return net.stateDict();
        } finally {
            Libtorch.threads(threads);
        }
    }

    @Test
    @DisplayName(
            "a training killed twice in mid-epoch and resumed ends bit for bit as one that was not")
    void killed() throws Exception {
        for (int steps : new int[] {32, 61}) {
            Process process = start();
            try (BufferedReader output = process.inputReader()) {
                awaitSteps(process, output, steps);
                process.destroyForcibly();
                assertTrue(process.waitFor(60, TimeUnit.SECONDS));
                assertNotEquals(0, process.exitValue(), "ended of itself");
            }
        }
        Process process = start();
        try (BufferedReader output = process.inputReader()) {
            String first = awaitSteps(process, output, 1);
            int step = Integer.parseInt(first.substring("step ".length()));
            assertTrue(step > 32 && step % 3 == 1, "went on behind a checkpoint: " + first);
            output.readAllLines();
            assertEquals(0, process.waitFor());
        }
        Map<String, Tensor> expected = uninterrupted();
        Map<String, Tensor> resumed = SafeTensors.read(weights()).tensors();
        assertEquals(expected.keySet(), resumed.keySet());
        expected.forEach((name, tensor) ->
                assertTrue(Tensors.equal(tensor, Objects.requireNonNull(resumed.get(name))), name));
    }

    @Test
    @EnabledOnOs(OS.LINUX)
    @DisplayName("a checkpoint that the disk has no room for is one sentence; the last one stays")
    void diskFull() throws Exception {
        SmallNet net = SmallNet.masked();
        KilledTraining.trainer(net)
                .checkpointEvery(3, checkpoint())
                .train(SmallNet.examples(70), 1);
        byte[] before = Files.readAllBytes(checkpoint());

        Process process = start("sh", "-c", "ulimit -f 8; exec \"$0\" \"$@\"");
        List<String> lines;
        try (BufferedReader output = process.inputReader()) {
            lines = output.readAllLines();
        }
        assertEquals("error Can't write " + checkpoint() + ": File too large.", lines.getLast());
        assertEquals(0, process.waitFor());
        assertArrayEquals(before, Files.readAllBytes(checkpoint()));
        try (var files = Files.list(directory)) {
            assertEquals(List.of(checkpoint()), files.toList());
        }
    }
}

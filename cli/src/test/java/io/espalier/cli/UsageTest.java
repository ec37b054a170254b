package io.espalier.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;

@DisplayName("A command line")
class UsageTest {
    @TempDir Path folder;

    @BeforeEach
    void model() {
        OnnxFile.ofConvolutions(folder.resolve("m.onnx"));
        OnnxFile.ofConvolutions(folder.resolve("r.onnx"));
    }

    /** Runs with names of files in the folder in the place of words that begin with @. */
    private CommandLineRun run(String line) {
        return CommandLineRun.of(
                Arrays.stream(line.split(" "))
                        .map(word ->
                                word.startsWith("@")
                                        ? folder.resolve(word.substring(1)).toString()
                                        : word)
                        .toArray(String[]::new));
    }

    /** Commands that run a model, all in its place but the inputs. */
    private static final List<String> RUNNING =
            List.of(
                    "quantize @m.onnx -o @o.onnx",
                    "quantize @m.onnx -o @o.onnx --mode float16",
                    "sensitivity @m.onnx",
                    "compare @m.onnx @r.onnx",
                    "finetune @m.onnx -o @o.onnx --int8");

    private static final List<String> WRONG_INPUTS =
            List.of(
                    "--random --batch 0",
                    "--random --batch two",
                    "--random --limit -1",
                    "--random --seed x",
                    "--random --dimension N=0",
                    "--random --dimension N",
                    "--random --image-size 16",
                    "--random --image-size 0x16",
                    "--random --max-length 8",
                    "--data @ --channels 2",
                    "--data @ --mean NaN",
                    "--data @ --mean a",
                    "--data @ --std 0",
                    "--data @ --std 1,1",
                    "--data @t.txt --tokenizer @t.json --max-length 1",
                    "--random --threads 0x",
                    "--random --threads 1025",
                    "--random --threads -1");

    private static Stream<String> wrongInputs() {
        return RUNNING.stream()
                .flatMap(command -> WRONG_INPUTS.stream().map(wrong -> command + " " + wrong));
    }

    @ParameterizedTest(name = "{0}")
    @DisplayName("with a value that no option takes ends with 2, in a line and where the help is:")
    @MethodSource("wrongInputs")
    @ValueSource(
            strings = {
                "quantize @m.onnx -o @o.onnx --random --mode int3",
                "quantize @m.onnx -o @o.onnx --random --runtime tensorrt",
                "quantize @m.onnx -o @o.onnx --random --max-drop 0",
                "quantize @m.onnx -o @o.onnx --random --max-drop NaN",
                "quantize @m.onnx -o @o.onnx --random --mode weight-only --bits 3",
                "quantize @m.onnx -o @o.onnx --random --mode weight-only --bits 4 --block-size 17",
                "quantize @m.onnx -o @o.onnx --random --mode weight-only --bits 4 --rounding up",
                "quantize @m.onnx -o @o.onnx --random --embeddings int2",
                "quantize @m.onnx -o @o.onnx --random --mode static --embeddings int4 --portable",
                "compare @m.onnx @r.onnx --random --layers -1",
                "compare @m.onnx @r.onnx --random --runtime tensorrt",
                "optimize @m.onnx -o @o.onnx --passes none-such",
                "optimize @m.onnx -o @o.onnx --size N=0",
                "optimize @m.onnx -o @o.onnx --size N=x",
                "prune @m.onnx -o @o.onnx --amount 2",
                "prune @m.onnx -o @o.onnx --amount NaN",
                "prune @m.onnx -o @o.onnx --n-m 4:2",
                "prune @m.onnx -o @o.onnx --n-m 0:0",
                "prune @m.onnx -o @o.onnx --n-m 2",
                "prune @m.onnx -o @o.onnx --method l3",
                "slim @m.onnx -o @o.onnx",
                "slim @m.onnx -o @o.onnx --ratio 0",
                "slim @m.onnx -o @o.onnx --ratio NaN",
                "slim @m.onnx -o @o.onnx --ratio 0.5 --pruned",
                "slim @m.onnx -o @o.onnx --pruned --keep w0",
                "finetune @m.onnx -o @o.onnx --random --int8 --epochs -1",
                "finetune @m.onnx -o @o.onnx --random --int8 --minutes 0",
                "finetune @m.onnx -o @o.onnx --random --int8 --lr -1",
                "finetune @m.onnx -o @o.onnx --random --int8 --lr NaN",
                "finetune @m.onnx -o @o.onnx --random --int8 --resume",
                "inspect @m.onnx --input image=3x",
                "inspect @m.onnx --input image=99999999999999999999",
                "inspect @m.onnx --runtime tensorrt",
                "demo --seed x",
                "none-such",
            })
    void wrongValue(String line) {
        CommandLineRun run = run(line);

        assertEquals(2, run.code(), run.err());
        List<String> lines = run.err().lines().toList();
        assertTrue(lines.getFirst().startsWith("espalier: "), run.err());
        assertTrue(lines.getLast().endsWith(" --help'."), run.err());
    }

    @ParameterizedTest(name = "{0}")
    @DisplayName("that fails at what files hold ends with 1, in one line:")
    @ValueSource(
            strings = {
                "quantize @none.onnx -o @o.onnx --random",
                "quantize @m.onnx -o @o.onnx --random --keep-float none*",
                "quantize @m.onnx -o @o.onnx --data @none",
                "quantize @m.onnx -o @o.onnx --data @",
                "quantize @m.onnx -o @m.onnx --random",
                "quantize @m.onnx -o @o.onnx --recipe @none.yaml",
                "sensitivity @m.onnx --data @none.npz",
                "compare @m.onnx @none.onnx --random",
                "optimize @none.onnx -o @o.onnx",
                "optimize @m.onnx -o @none/o.onnx",
                "prune @m.onnx -o @o.onnx --keep none*",
                "finetune @m.onnx -o @o.onnx --random --teacher @none.onnx",
                "inspect @none.onnx",
                "inspect @m.onnx --input none=1x2",
                "conformance @none",
            })
    void wrongFile(String line) {
        CommandLineRun run = run(line);

        assertEquals(1, run.code(), run.err());
        assertEquals(
                1,
                run.err().lines().filter(text -> !text.contains(" WARNING: ")).count(),
                run.err());
    }
}

package io.espalier.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.state.SafeTensors;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

@DisplayName("The runner of reference cases")
class ConformanceTest {
    private static final Path KEPT = Path.of("vectors");

    /** A weight [1, 2, 3, 4] whose two smallest entries are pruned. */
    private static final String CASE =
            """
            {"id": "prune-000", "op": "l1_unstructured", "params": {"amount": 2},
             "inputs": {"weight": {"tensor": "w"}}, "expect": {"mask": {"tensor": "m"}}}
            """;

    @TempDir Path directory;
    private final List<String> lines = new ArrayList<>();

    @Test
    @DisplayName("passes every kept case of every group")
    void keptCasesPass() {
        Summary summary = Conformance.run(KEPT, lines::add);

        assertEquals(List.of(), lines);
        assertEquals(new Summary(524, 0, 0), summary);
    }

    @Test
    @DisplayName("fails a case whose expected mask has one other entry, and says which")
    void tamperedMaskFails() throws IOException {
        Map<String, Tensor> tensors = tensors(0, 1, 0, 1);
        write("prune", "[" + CASE + "]", tensors);

        Summary summary = Conformance.run(directory, lines::add);

        assertEquals(new Summary(0, 1, 0), summary);
        assertEquals(
                List.of(
                        "FAILED prune-000: mask[1]: expected 1.0, came 0.0 (2 of 4 elements"
                                + " differ)"),
                lines);
    }

    @Test
    @DisplayName("fails exactly the one kept case that is tampered with")
    void tamperedKeptCaseFails() throws IOException {
        Files.copy(KEPT.resolve("prune.json"), directory.resolve("prune.json"));
        Map<String, Tensor> tensors =
                new LinkedHashMap<>(SafeTensors.read(KEPT.resolve("prune.safetensors")).tensors());
        Tensor mask = Objects.requireNonNull(tensors.get("prune-001/out.mask"));
        tensors.put(
                "prune-001/out.mask",
                mask.eq(new org.bytedeco.pytorch.Scalar(0)).to(mask.scalar_type()));
        SafeTensors.write(directory.resolve("prune.safetensors"), tensors, Map.of());

        Summary summary = Conformance.run(directory, lines::add);

        assertEquals(1, summary.failed());
        assertTrue(lines.getFirst().startsWith("FAILED prune-001: mask["), lines.toString());
    }

    @ParameterizedTest(name = "{1}")
    @DisplayName("fails a case that it can't run, and goes on with the next")
    @CsvSource(
            delimiter = '|',
            textBlock =
                    """
                    "op": "l1_unstructured" | "op": "hack" | the operation 'hack' is not known
                    "amount": 2 | "amount": 2, "power": 3 | does not know params.power
                    "amount": 2 | "amount": "two" | params.amount is not a number
                    "amount": 2 | "quantity": 2 | params.amount is missing
                    "tensor": "w" | "tensor": "x" | the tensor 'x', which is not there
                    "mask" | "musk" | the result 'musk' is not known
                    "amount": 2 | "amount": 5 | EspalierException
                    "amount": 2 | "amount": 2, "name": "nope" | EspalierException
                    """)
    void strangeCaseFails(String part, String strange, String reason) throws IOException {
        String broken = CASE.replace(part, strange);
        write("prune", "[" + broken + "," + CASE + "]", tensors(0, 0, 1, 1));

        Summary summary = Conformance.run(directory, lines::add);

        assertEquals(new Summary(1, 1, 0), summary, lines.toString());
        assertTrue(lines.getFirst().startsWith("FAILED prune-000: "), lines.toString());
        assertTrue(lines.getFirst().contains(reason), lines.toString());
    }

    @ParameterizedTest(name = "{0} against \"{1}\": {2} passed")
    @DisplayName("passes an error case only where our error names the same fault")
    @CsvSource(
            delimiter = '|',
            textBlock =
                    """
                    1.5 | amount=1.5 should either be a float in the range [0, 1] or a count | 1
                    0.5 | amount=1.5 should either be a float in the range [0, 1] or a count | 0
                    9 | amount=9 should be smaller than the number of parameters to prune=4 | 1
                    9 | amount=9 should be smaller than the number of parameters to prune=40 | 0
                    9 | The 'Holder' object has no attribute 'nope' | 0
                    """)
    void errorsAreCompared(String amount, String theirs, int passed) throws IOException {
        String error =
                """
                [{"id": "prune-000", "op": "l1_unstructured", "params": {"amount": %s},
                  "inputs": {"weight": {"tensor": "w"}}, "expect": {},
                  "expect_error": {"type": "ValueError", "message": "%s"}}]
                """
                        .formatted(amount, theirs);
        write("prune", error, tensors(0, 0, 1, 1));

        Summary summary = Conformance.run(directory, lines::add);

        assertEquals(new Summary(passed, 1 - passed, 0), summary, lines.toString());
    }

    @ParameterizedTest(name = "{0}")
    @DisplayName("counts a file that is not what it should be as one failure in one line")
    @ValueSource(strings = {"[{\"id\": ", "[1, 2", "{\"a\": 1, \"a\": 2}", "", "\u0000\u0001"})
    void malformedFileFails(String json) throws IOException {
        write("prune", json, tensors(0, 0, 1, 1));

        Summary summary = Conformance.run(directory, lines::add);

        assertEquals(new Summary(0, 1, 0), summary);
        assertEquals(1, lines.size());
        assertTrue(lines.getFirst().startsWith("FAILED "), lines.toString());
        assertTrue(lines.getFirst().contains("prune.json"), lines.toString());
    }

    @Test
    @DisplayName("survives JSON that nests without end")
    void deepNestingFails() throws IOException {
        write("prune", "[".repeat(100_000), tensors(0, 0, 1, 1));

        assertEquals(new Summary(0, 1, 0), Conformance.run(directory, lines::add));
    }

    @Test
    @DisplayName("fails cases whose tensors are missing, and a group whose tensors are cut off")
    void missingTensorsFail() throws IOException {
        Files.writeString(directory.resolve("prune.json"), "[" + CASE + "]");
        assertEquals(new Summary(0, 1, 0), Conformance.run(directory, lines::add));

        Files.write(directory.resolve("prune.safetensors"), new byte[] {9, 0, 0});
        assertEquals(new Summary(0, 1, 0), Conformance.run(directory, lines::add));
        assertTrue(lines.getLast().contains("prune.safetensors"), lines.toString());
    }

    @Test
    @DisplayName("skips groups that are not supported and counts their cases")
    void unknownGroupIsSkipped() throws IOException {
        write("astrology", "[" + CASE + "," + CASE + "]", tensors(0, 0, 1, 1));

        Summary summary = Conformance.run(directory, lines::add);

        assertEquals(new Summary(0, 0, 2), summary);
        assertEquals("0 passed, 0 failed, 2 skipped", summary.toString());
    }

    @Test
    @DisplayName("lets no control character of a file reach the terminal")
    void controlCharactersAreReplaced() throws IOException {
        write("prune", "[" + CASE.replace("prune-000", "p\\u001b[2J") + "]", tensors(1, 1, 1, 1));

        Conformance.run(directory, lines::add);

        assertTrue(lines.getFirst().startsWith("FAILED p?[2J: "), lines.toString());
    }

    @Test
    @DisplayName("says so where there is no such directory, or nothing in it")
    void nothingToRun() {
        Path nowhere = directory.resolve("nowhere");

        assertTrue(errorOf(nowhere).contains("No directory " + nowhere));
        assertTrue(errorOf(directory).contains("No reference cases in " + directory));
    }

    private String errorOf(Path place) {
        var error = assertThrows(EspalierException.class, () -> Conformance.run(place, lines::add));
        return String.valueOf(error.getMessage());
    }

    private static Map<String, Tensor> tensors(float... mask) {
        return Map.of("w", Tensors.of(1, 2, 3, 4), "m", Tensors.of(mask));
    }

    private void write(String group, String json, Map<String, Tensor> tensors) throws IOException {
        Files.writeString(directory.resolve(group + ".json"), json);
        SafeTensors.write(directory.resolve(group + ".safetensors"), tensors, Map.of());
    }
}

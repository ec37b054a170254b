package io.espalier.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.bytedeco.pytorch.Tensor;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Writes a case as the files hold it, and runs it. */
final class CaseWriter {
    private static final JsonMapper JSON = new JsonMapper();

    private final Map<String, Object> params = new LinkedHashMap<>();
    private final Map<String, Object> inputs = new LinkedHashMap<>();
    private final Map<String, Object> expect = new LinkedHashMap<>();
    private final Map<String, Tensor> tensors = new LinkedHashMap<>();
    private final String op;

    CaseWriter(String op) {
        this.op = op;
    }

    CaseWriter param(String name, Object value) {
        params.put(name, value);
        return this;
    }

    CaseWriter input(String name, Tensor tensor) {
        inputs.put(name, stored(tensor));
        return this;
    }

    CaseWriter input(String name, List<Tensor> list) {
        inputs.put(name, list.stream().map(this::stored).toList());
        return this;
    }

    CaseWriter expect(String name, Tensor tensor) {
        expect.put(name, stored(tensor));
        return this;
    }

    CaseWriter expect(String name, List<Tensor> list) {
        expect.put(name, list.stream().map(this::stored).toList());
        return this;
    }

    /** A text, a list of numbers, or an object. */
    CaseWriter expectPlain(String name, Object value) {
        expect.put(name, value);
        return this;
    }

    private Map<String, String> stored(Tensor tensor) {
        String name = "t" + tensors.size();
        tensors.put(name, tensor);
        return Map.of("tensor", name);
    }

    /** The arguments as a group reads them. */
    Values params() {
        return values("params", params);
    }

    /** The inputs as a group reads them. */
    Values inputs() {
        return values("inputs", inputs);
    }

    /** Runs the case; a difference, or a value that the group did not look at, fails the test. */
    void passes(Group group) {
        var reference =
                new Case(
                        op,
                        op,
                        values("params", params),
                        values("inputs", inputs),
                        values("expect", expect),
                        Optional.empty());
        var check = new Check();
        group.run(reference, check);
        assertEquals(List.of(), check.differences(), () -> op + " " + params);
        assertEquals(List.of(), reference.unread());
    }

    private Values values(String path, Map<String, Object> members) {
        JsonNode node = JSON.valueToTree(members);
        return new Values(path, node, tensors);
    }
}

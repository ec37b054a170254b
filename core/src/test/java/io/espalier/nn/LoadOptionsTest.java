package io.espalier.nn;

import static io.espalier.Errors.messageOf;
import static io.espalier.TensorAssertions.assertSameTensors;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.state.SafeTensors;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SequencedMap;

class LoadOptionsTest {
    @TempDir Path folder;

    private static Sequential net() {
        return new Sequential(new Linear(3, 4), new BatchNorm1d(4), new Linear(4, 2));
    }

    private Path file() {
        return folder.resolve("model.safetensors");
    }

    private static Tensor tensor(Map<String, Tensor> state, String name) {
        return Objects.requireNonNull(state.get(name), name);
    }

    private static SequencedMap<String, Tensor> copies(Module model) {
        SequencedMap<String, Tensor> copies = new LinkedHashMap<>();
        model.stateDict().forEach((name, tensor) -> copies.put(name, tensor.clone()));
        return copies;
    }

    @Test
    @DisplayName(
            "not strict, what is missing stays, what is not expected is left out, and both are"
                    + " told")
    void notStrict() {
        Sequential model = net();
        var before = copies(model);
        var state = net().stateDict();
        state.remove("2.bias");
        state.put("head.weight", Tensors.ones(1));
        LoadReport report = model.loadStateDict(state, o -> o.strict(false));
        assertEquals(List.of("2.bias"), report.missing());
        assertEquals(List.of("head.weight"), report.unexpected());
        var after = model.stateDict();
        assertTrue(Tensors.equal(tensor(before, "2.bias"), tensor(after, "2.bias")));
        assertTrue(Tensors.equal(tensor(state, "0.weight"), tensor(after, "0.weight")));
    }

    @Test
    @DisplayName("not strict, another shape is an error all the same")
    void misshapen() {
        Sequential model = net();
        var before = copies(model);
        var state = net().stateDict();
        state.put("2.weight", Tensors.ones(2, 5));
        assertTrue(
                messageOf(() -> model.loadStateDict(state, o -> o.strict(false)))
                        .contains("2.weight is Float [2, 5] for Float [2, 4]"));
        assertSameTensors(before, model.stateDict());
    }

    @Test
    @DisplayName("a prefix is taken off the names, and an error proposes it")
    void prefix() {
        Sequential model = net();
        var state = new LinkedHashMap<String, Tensor>();
        net().stateDict().forEach((name, tensor) -> state.put("module." + name, tensor));
        SafeTensors.write(file(), state, Map.of());
        assertTrue(
                messageOf(() -> model.load(file()))
                        .endsWith("; o -> o.prefix(\"module.\") takes it off the names."));
        assertEquals(
                new LoadReport(List.of(), List.of()), model.load(file(), o -> o.prefix("module.")));
        assertTrue(
                Tensors.equal(
                        tensor(state, "module.0.weight"), tensor(model.stateDict(), "0.weight")));
        state.put("0.weight", Tensors.ones(4, 3));
        assertTrue(
                messageOf(() -> model.loadStateDict(state, o -> o.prefix("module.")))
                        .contains("not in the model: 0.weight"));
    }

    @Test
    @DisplayName("16-bit floats are widened where that is asked, and an error proposes it")
    void types() {
        Sequential model = net();
        var state = new LinkedHashMap<String, Tensor>();
        net().stateDict()
                .forEach((name, tensor) ->
                        state.put(
                                name,
                                tensor.is_floating_point()
                                        ? tensor.to(
                                                name.startsWith("0")
                                                        ? ScalarType.Half
                                                        : ScalarType.BFloat16)
                                        : tensor));
        SafeTensors.write(file(), state, Map.of());
        assertTrue(
                messageOf(() -> model.load(file()))
                        .endsWith("; o -> o.convertTypes(true) converts floating-point numbers."));
        model.load(file(), o -> o.convertTypes(true));
        model.stateDict()
                .forEach((name, tensor) ->
                        assertTrue(
                                Tensors.equal(tensor(state, name).to(Tensors.type(tensor)), tensor),
                                name));
        assertEquals(ScalarType.Float, Tensors.type(tensor(model.stateDict(), "0.weight")));
        state.put("1.num_batches_tracked", Tensors.zeros());
        assertTrue(
                messageOf(() -> model.loadStateDict(state, o -> o.convertTypes(true)))
                        .contains("1.num_batches_tracked is Float [] for Long []"));
    }

    @Test
    @DisplayName(
            "a state of before batches were counted leaves the count, one without statistics is"
                    + " refused")
    void oldNormalization() {
        Sequential model = net();
        model.call(Tensors.randn(5, 3));
        var state = net().stateDict();
        state.remove("1.num_batches_tracked");
        model.loadStateDict(state);
        assertEquals(1, tensor(model.stateDict(), "1.num_batches_tracked").item_long());
        state.remove("1.running_var");
        assertTrue(
                messageOf(() -> model.loadStateDict(state))
                        .contains("missing: 1.running_var, 1.num_batches_tracked"));
    }

    @Test
    @DisplayName("a file of six gibibytes that does not fit is refused by its header")
    void headerFirst() throws IOException {
        byte[] header =
                "{\"weight\":{\"dtype\":\"F32\",\"shape\":[1610612736],\"data_offsets\":[0,6442450944]}}    "
                        .getBytes(StandardCharsets.UTF_8);
        try (var file = new RandomAccessFile(file().toFile(), "rw")) {
            file.write(header.length);
            file.seek(8);
            file.write(header);
            file.setLength(8 + header.length + 6442450944L);
        }
        assertEquals(
                "The state in "
                        + file()
                        + " does not fit Linear, which is left as it was: missing: bias; of another"
                        + " shape or type: weight is Float [1610612736] for Float [4, 10].",
                messageOf(() -> new Linear(10, 4).load(file())));
        Files.delete(file());
    }

    @Test
    @DisplayName("damage that only the last tensor's checksum shows leaves the model as it was")
    void wholeOrNot() throws IOException {
        net().save(file());
        byte[] bytes = Files.readAllBytes(file());
        bytes[bytes.length - 1] ^= 1;
        Files.write(file(), bytes);
        Sequential model = net();
        var before = copies(model);
        assertTrue(
                messageOf(() -> model.load(file())).contains("is damaged: the data of '2.bias'"));
        assertSameTensors(before, model.stateDict());
    }

    /** Two layers that share one weight. */
    private static final class Tied extends Module {
        final Embedding words = add("words", new Embedding(5, 3));
        final Linear head = add("head", new Linear(3, 5, o -> o.bias(false)));

        Tied() {
            head.adopt(words);
        }

        @Override
        protected Tensor forward(Tensor x) {
            return head.call(words.call(x));
        }
    }

    @Test
    @DisplayName(
            "of a weight with two names one is enough, both must be the same, and it stays one")
    void tied() {
        var model = new Tied();
        var other = new Tied();
        other.save(file());
        model.load(file());
        assertSameTensors(other.stateDict(), model.stateDict());
        assertEquals(List.of("words.weight"), List.copyOf(model.namedParameters().keySet()));

        var once = other.stateDict();
        once.remove("head.weight");
        new Tied().loadStateDict(once);
        once.put("head.weight", Tensors.ones(5, 3));
        var before = copies(model);
        assertTrue(
                messageOf(() -> model.loadStateDict(once))
                        .contains("different values for 'words.weight' and 'head.weight'"));
        assertSameTensors(before, model.stateDict());
    }
}

package io.espalier.train;

import static io.espalier.Errors.messageOf;
import static io.espalier.train.SmallTraining.assertSame;
import static io.espalier.train.SmallTraining.stateOf;
import static io.espalier.train.SmallTraining.stopAt;
import static io.espalier.train.SmallTraining.trainer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.data.DataLoader;
import io.espalier.data.Dataset;
import io.espalier.state.SafeTensors;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;
import io.espalier.train.SmallTraining.UpdateRule;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.function.Consumer;

/** Checkpoints that say what no training wrote, whatever their checksums. */
class DamagedCheckpointTest {
    private static final String DESCRIPTION = "espalier.checkpoint";
    private static final String GROUPS = "espalier.checkpoint.optimizer";
    private static final String VERSION = "espalier.checkpoint.version";
    private static final JsonMapper JSON = new JsonMapper();

    @TempDir Path directory;
    private final Dataset data = SmallNet.examples(50);

    private Path file() {
        return directory.resolve("training.safetensors");
    }

    /** The checkpoint of a training stopped in its second epoch. */
    private SafeTensors.Contents checkpoint(UpdateRule rule) {
        stopAt(trainer(SmallNet.masked(), rule).keepBest().checkpointEvery(100, file()), 9)
                .train(data, 2);
        return SafeTensors.read(file());
    }

    private void write(SafeTensors.Contents good, Consumer<Map<String, Tensor>> change) {
        Map<String, Tensor> tensors = new LinkedHashMap<>(good.tensors());
        change.accept(tensors);
        SafeTensors.write(file(), tensors, good.metadata());
    }

    private void describe(SafeTensors.Contents good, String key, String json) {
        Map<String, String> metadata = new LinkedHashMap<>(good.metadata());
        metadata.put(key, json);
        SafeTensors.write(file(), good.tensors(), metadata);
    }

    private static String text(SafeTensors.Contents contents, String key) {
        return Objects.requireNonNull(contents.metadata().get(key));
    }

    private static Tensor tensor(Map<String, Tensor> tensors, String name) {
        return Objects.requireNonNull(tensors.get(name));
    }

    /** Why a training can't go on from the file; nothing has changed then. */
    private String refusal(UpdateRule rule) {
        SmallNet net = SmallNet.masked();
        Map<String, Tensor> before = stateOf(net);
        Trainer trainer = trainer(net, rule).keepBest();
        String message = messageOf(() -> trainer.resume(file()).train(data, 2));
        assertSame(before, net.stateDict());
        return message;
    }

    @Test
    @DisplayName("a file that is missing or a model is named")
    void none() {
        assertEquals(
                "Can't read " + file() + ": no such file or folder.", refusal(UpdateRule.ADAM));
        SmallNet.masked().save(file());
        assertEquals(
                file() + " is no training's checkpoint; load a model's weights with load(Path).",
                refusal(UpdateRule.ADAM));
    }

    @Test
    @DisplayName("a checkpoint of another version is refused, the first with the reason")
    void versions() {
        SafeTensors.Contents good = checkpoint(UpdateRule.ADAM);
        describe(good, VERSION, "3");
        assertEquals(
                file() + " is a checkpoint of version 3; this release reads version 2.",
                refusal(UpdateRule.ADAM));
        Map<String, Tensor> tensors = new LinkedHashMap<>(good.tensors());
        tensors.keySet().removeIf(name -> name.startsWith("optimizer."));
        tensors.put("optimizer", Tensors.zeros(ScalarType.Byte, 6747));
        String json = text(good, DESCRIPTION).replaceFirst("\\{", "{\"version\":1,");
        SafeTensors.write(file(), tensors, Map.of(DESCRIPTION, json));
        assertEquals(
                file()
                        + " is a checkpoint of version 1, which holds the optimizer as libtorch's"
                        + " own archive; this release reads version 2.",
                refusal(UpdateRule.ADAM));
    }

    @Test
    @DisplayName("a description that no training wrote is damage")
    void description() {
        SafeTensors.Contents good = checkpoint(UpdateRule.ADAM);
        Map<String, String> wrongs =
                Map.of("\"epoch\":1", "\"epoch\":-1", "\"best\":", "\"best\":7", "{", "[");
        wrongs.forEach((right, wrong) -> {
            describe(good, DESCRIPTION, text(good, DESCRIPTION).replace(right, wrong));
            assertEquals(
                    file()
                            + " is damaged: its description can't be read; use an older"
                            + " checkpoint.",
                    refusal(UpdateRule.ADAM));
        });
    }

    @Test
    @DisplayName("options, counts and tensors that the optimizer can't have are named")
    void optimizer() {
        SafeTensors.Contents good = checkpoint(UpdateRule.AMSGRAD);
        Map<String, String> wrongs = new LinkedHashMap<>();
        wrongs.put("\"amsgrad\":true", "\"amsgrad\":1");
        wrongs.put("\"betas\":[0.8,0.99]", "\"betas\":[0.8]");
        wrongs.put("\"lr\":0.01", "\"lr\":-0.01");
        wrongs.put("\"eps\":1.0E-8", "\"eps\":1e999");
        wrongs.put("\"step\":9", "\"step\":-9");
        List<String> reasons =
                List.of(
                        "its option amsgrad is 1",
                        "its option betas is [0.8]",
                        "its learning rate is -0.01",
                        "its option eps is Infinity",
                        "of first.bias it counts {step=-9}");
        List<String> found = new ArrayList<>();
        wrongs.forEach((right, wrong) -> {
            String json = text(good, GROUPS);
            assertTrue(json.contains(right), json);
            describe(good, GROUPS, json.replace(right, wrong));
            found.add(refusal(UpdateRule.AMSGRAD));
        });
        write(good, tensors -> tensors.remove("optimizer.0.0.max_exp_avg_sq"));
        found.add(refusal(UpdateRule.AMSGRAD));
        write(good, tensors -> tensors.put("optimizer.0.1.exp_avg", Tensors.zeros(3)));
        found.add(refusal(UpdateRule.AMSGRAD));
        write(good, tensors -> tensors.put("optimizer.0.9.exp_avg", Tensors.zeros(3)));
        found.add(refusal(UpdateRule.AMSGRAD));
        List<String> all = new ArrayList<>(reasons);
        all.add("of first.bias it has [exp_avg, exp_avg_sq] alone");
        all.add("its exp_avg of first.weight is Float [3], the parameter Float [16, 6]");
        all.add("it has tensors of no parameter");
        assertEquals(
                all.stream()
                        .map(reason ->
                                "Can't resume from "
                                        + file()
                                        + ": the optimizer's state is damaged: "
                                        + reason
                                        + "; use an older checkpoint.")
                        .toList(),
                found);
    }

    @Test
    @DisplayName("a random generator whose next number does not exist is refused")
    void generator() {
        SafeTensors.Contents good = checkpoint(UpdateRule.SGD);
        write(good, tensors -> tensors.put("generator", Tensors.zeros(ScalarType.Byte, 3)));
        String message = refusal(UpdateRule.SGD);
        assertTrue(message.startsWith("Restoring the random generator: "), message);
        Tensor generator = tensor(good.tensors(), "generator").clone();
        MemorySegment state = Tensors.segment(generator);
        state.set(ValueLayout.JAVA_INT, 8, 600);
        state.set(ValueLayout.JAVA_LONG, 16, 624);
        write(good, tensors -> tensors.put("generator", generator));
        assertEquals(
                "Restoring the random generator: number 624 can't be next with 600 left of 624; use"
                        + " an older checkpoint.",
                refusal(UpdateRule.SGD));
    }

    @Test
    @DisplayName("whatever is null or missing in what it says, it is named and nothing changes")
    void nulls() {
        SafeTensors.Contents good = checkpoint(UpdateRule.ADAM);
        int refused = 0;
        for (String key : List.of(DESCRIPTION, GROUPS)) {
            JsonNode whole = JSON.readTree(text(good, key));
            for (String place : JsonPlaces.in(whole)) {
                for (boolean removed : new boolean[] {false, true}) {
                    describe(good, key, JsonPlaces.changed(whole, place, removed ? "" : "null"));
                    refused += resumesOrNot(UpdateRule.ADAM) ? 0 : 1;
                }
            }
        }
        assertTrue(refused > 60, refused + " refused");
    }

    @ParameterizedTest
    @EnumSource(UpdateRule.class)
    @DisplayName("one of many changes loads, or is refused whole; the process goes on")
    void changed(UpdateRule rule) {
        SafeTensors.Contents good = checkpoint(rule);
        var random = new Random(rule.name().hashCode());
        int refused = 0;
        for (int i = 0; i < 50; i++) {
            Map<String, Tensor> tensors = new LinkedHashMap<>(good.tensors());
            Map<String, String> metadata = new LinkedHashMap<>(good.metadata());
            if (random.nextBoolean()) {
                change(tensors, random);
            } else {
                String key = random.nextInt(3) > 0 ? GROUPS : DESCRIPTION;
                metadata.put(key, changed(text(good, key), random));
            }
            SafeTensors.write(file(), tensors, metadata);
            refused += resumesOrNot(rule) ? 0 : 1;
        }
        assertTrue(refused > 20 && refused < 50, refused + " refused");
    }

    /** Tries to go on, with one more step; where that is refused, nothing has changed. */
    private boolean resumesOrNot(UpdateRule rule) {
        SmallNet net = SmallNet.masked();
        Map<String, Tensor> before = stateOf(net);
        Trainer trainer = trainer(net, rule);
        var loader = new DataLoader(data, 8).shuffled(2);
        try {
            new Resumption(file(), trainer, true, loader).restore(new BestModel());
        } catch (EspalierException e) {
            assertSame(before, net.stateDict());
            if (rule != UpdateRule.ADAGRAD) {
                assertEquals(Map.of(), OptimizerArchive.read(trainer.optimizer).tensors());
            }
            return false;
        }
        trainer.optimizer.zero_grad();
        net.call(Tensors.rand(8, 6)).sum().backward();
        trainer.optimizer.step();
        return true;
    }

    private static void change(Map<String, Tensor> tensors, Random random) {
        List<String> names =
                tensors.keySet().stream().filter(name -> !name.startsWith("best.")).toList();
        String name = names.get(random.nextInt(names.size()));
        Tensor old = tensor(tensors, name);
        switch (random.nextInt(6)) {
            case 0 -> tensors.remove(name);
            case 1 -> tensors.put(name, old.unsqueeze(0).contiguous());
            case 2 -> tensors.put(name, old.to(ScalarType.Double));
            case 3 -> tensors.put(name, old.flatten().narrow(0, 0, old.numel() / 2).clone());
            case 4 -> tensors.put("optimizer." + random.nextInt(3) + ".1.step", old);
            default -> tensors.put(name, scrambled(old, random));
        }
    }

    private static Tensor scrambled(Tensor old, Random random) {
        Tensor tensor = old.clone();
        MemorySegment bytes = Tensors.segment(tensor);
        for (int i = 0; i < 4; i++) {
            long at = random.nextLong(bytes.byteSize());
            bytes.set(ValueLayout.JAVA_BYTE, at, (byte) random.nextInt());
        }
        return tensor;
    }

    private static String changed(String json, Random random) {
        JsonNode whole = JSON.readTree(json);
        List<String> places = JsonPlaces.in(whole);
        List<String> values =
                List.of(
                        "",
                        "null",
                        "-1",
                        "0",
                        "1",
                        "1.5",
                        "1e308",
                        "1e999",
                        "true",
                        "\"x\"",
                        "[]",
                        "{}",
                        "[0.5,2.0]",
                        "[null,[]]",
                        "9223372036854775807",
                        "1e-320");
        return JsonPlaces.changed(
                whole,
                places.get(random.nextInt(places.size())),
                values.get(random.nextInt(values.size())));
    }
}

package io.espalier.train;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.data.DataLoader;
import io.espalier.data.Dataset;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.state.SafeTensors;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

class CheckpointTest {
    @TempDir Path directory;
    private int threads;

    @BeforeEach
    void oneThread() {
        threads = Libtorch.threads();
        Libtorch.threads(1);
    }

    @AfterEach
    void threadsAsBefore() {
        Libtorch.threads(threads);
    }

    enum Kind {
        SGD,
        MOMENTUM,
        ADAM,
        AMSGRAD,
        ADAMW;

        Optimizer over(Module model) {
            List<Tensor> parameters = model.parameters();
            return switch (this) {
                case SGD -> Optimizers.sgd(parameters, 0.05);
                case MOMENTUM ->
                        Optimizers.sgd(parameters, 0.05, s -> s.momentum(0.9).nesterov(true));
                case ADAM -> Optimizers.adam(parameters, 0.01);
                case AMSGRAD -> Optimizers.adam(parameters, 0.01, s -> s.amsgrad(true));
                case ADAMW -> Optimizers.adamW(parameters, 0.01);
            };
        }
    }

    private Path file() {
        return directory.resolve("training.safetensors");
    }

    private static Trainer trainer(SmallNet net, Kind kind) {
        return Trainer.of(net, Losses.crossEntropy(), kind.over(net))
                .batchSize(8)
                .seed(2)
                .learningRate(LearningRate.cosine().warmUp(4))
                .evaluateEvery(4, SmallNet.examples(20), Metrics.accuracy());
    }

    /** A network set up as the others, with other weights and an empty mask. */
    private static SmallNet otherwise() {
        SmallNet net = SmallNet.masked();
        net.stateDict().values().forEach(Tensor::zero_);
        return net;
    }

    private static Trainer stopAt(Trainer trainer, long step) {
        return trainer.listen(event -> {
            if (event instanceof TrainingEvent.Step made && made.step() == step) {
                trainer.stop();
            }
        });
    }

    private static Map<String, Tensor> copyOf(Module model) {
        Map<String, Tensor> copy = new LinkedHashMap<>();
        model.stateDict().forEach((name, tensor) -> copy.put(name, tensor.clone()));
        return copy;
    }

    private static void assertSame(Map<String, Tensor> expected, Map<String, Tensor> actual) {
        assertEquals(expected.keySet(), actual.keySet());
        expected.forEach((name, tensor) ->
                assertTrue(Tensors.equal(tensor, Objects.requireNonNull(actual.get(name))), name));
    }

    @ParameterizedTest
    @EnumSource(Kind.class)
    @DisplayName("a training stopped in mid-epoch and resumed elsewhere ends as one never stopped")
    void resumesExactly(Kind kind) {
        Dataset data = SmallNet.examples(50);
        SmallNet straight = SmallNet.masked();
        Trainer straightTrainer = trainer(straight, kind).keepBest();
        Libtorch.seed(5);
        TrainingResult expected = straightTrainer.train(data, 3);

        SmallNet stopped = SmallNet.masked();
        Trainer first = trainer(stopped, kind).keepBest().checkpointEvery(100, file());
        Libtorch.seed(5);
        assertEquals(TrainingResult.End.STOPPED, stopAt(first, 10).train(data, 3).end());

        SmallNet resumed = otherwise();
        Trainer second = trainer(resumed, kind).keepBest().resume(file());
        Libtorch.seed(99);
        TrainingResult result = second.train(data, 3);
        assertEquals(expected, result);
        assertEquals(21, result.steps());
        assertSame(straight.stateDict(), resumed.stateDict());
    }

    @Test
    @DisplayName("a checkpoint of an ended training is its end")
    void ended() {
        Dataset data = SmallNet.examples(50);
        SmallNet net = SmallNet.masked();
        var seen = new ArrayList<Long>();
        TrainingResult result =
                trainer(net, Kind.ADAM)
                        .checkpointEvery(4, file())
                        .listen(event -> {
                            if (event instanceof TrainingEvent.Checkpointed written) {
                                seen.add(written.step());
                            }
                        })
                        .train(data, 2);
        assertEquals(List.of(4L, 8L, 12L, 14L), seen);
        SmallNet again = SmallNet.masked();
        assertEquals(result, trainer(again, Kind.ADAM).resume(file()).train(data, 2));
        assertSame(net.stateDict(), again.stateDict());
        assertEquals(
                21, trainer(again, Kind.ADAM).resume(file()).train(data, 3).steps(), "goes on");
    }

    @Test
    @DisplayName("an interrupted training writes its checkpoint too")
    void interrupted() {
        SmallNet net = SmallNet.masked();
        TrainingResult result =
                trainer(net, Kind.SGD)
                        .checkpointEvery(100, file())
                        .listen(event -> Thread.currentThread().interrupt())
                        .train(new DataLoader(SmallNet.examples(50), 8).shuffled(2).ahead(2), 1);
        assertTrue(Thread.interrupted());
        assertEquals(TrainingResult.End.STOPPED, result.end());
        assertEquals(1, result.steps());
        SmallNet resumed = otherwise();
        assertEquals(
                7,
                trainer(resumed, Kind.SGD).resume(file()).train(SmallNet.examples(50), 1).steps());
    }

    @Test
    @DisplayName("a checkpoint that does not fit is refused with the reason, and nothing changes")
    void misfits() {
        Dataset data = SmallNet.examples(50);
        trainer(SmallNet.masked(), Kind.ADAM).checkpointEvery(4, file()).train(data, 1);
        SmallNet net = SmallNet.masked();
        SmallNet unmasked = new SmallNet();
        Map<String, Tensor> before = copyOf(net);
        Map<String, Trainer> wrong = new LinkedHashMap<>();
        wrong.put(
                "is on 50 examples in batches of 5 shuffled with seed 2, that one was on 50"
                        + " examples in batches of 8 shuffled with seed 2",
                trainer(net, Kind.ADAM).batchSize(5));
        wrong.put("is moved by SGD, that one was by Adam", trainer(net, Kind.SGD));
        wrong.put("keeps the best model, that one did not", trainer(net, Kind.ADAM).keepBest());
        wrong.put(
                "moves first.weight [16, 6] where that one moved first.bias [16]",
                trainer(unmasked, Kind.ADAM));
        wrong.put(
                "moves 1 parameters in 1 groups, that one moved 6 in 1",
                Trainer.of(
                                net,
                                Losses.crossEntropy(),
                                Optimizers.adam(List.of(net.last.parameter("bias")), 0.1))
                        .batchSize(8)
                        .seed(2));
        Libtorch.seed(8);
        Tensor random = Tensors.rand(3);
        Libtorch.seed(8);
        wrong.forEach((reason, trainer) ->
                assertEquals(
                        "Can't resume from "
                                + file()
                                + ": this training "
                                + reason
                                + "; set it up the same, or start anew.",
                        messageOf(() -> trainer.resume(file()).train(data, 1))));
        assertSame(before, net.stateDict());
        assertTrue(Tensors.equal(random, Tensors.rand(3)), "the generator");
    }

    @Test
    @DisplayName("a checkpoint of another model is refused with the reason")
    void otherModel() {
        final class Frozen extends Module {
            final Linear fc = add("fc", new Linear(6, 3));

            Frozen(int size) {
                add("more", new Linear(size, size));
            }

            @Override
            protected Tensor forward(Tensor x) {
                return fc.call(x);
            }

            Trainer trainer() {
                return Trainer.of(
                        this,
                        Losses.crossEntropy(),
                        Optimizers.sgd(List.of(fc.parameter("weight"), fc.parameter("bias")), 0.1));
            }
        }
        Dataset data = SmallNet.examples(16);
        new Frozen(3).trainer().checkpointEvery(1, file()).train(data, 1);
        var larger = new Frozen(4);
        Map<String, Tensor> before = copyOf(larger);
        String message = messageOf(() -> larger.trainer().resume(file()).train(data, 1));
        assertTrue(message.startsWith("Can't resume from " + file() + ": "), message);
        assertTrue(message.contains("more.weight"), message);
        assertSame(before, larger.stateDict());
    }

    @Test
    @DisplayName("what is no checkpoint, damaged or missing is named")
    void damaged() throws IOException {
        Dataset data = SmallNet.examples(50);
        SmallNet net = SmallNet.masked();
        Trainer trainer = trainer(net, Kind.ADAM);
        assertEquals(
                "Can't read " + file() + ": no such file or folder.",
                messageOf(() -> trainer.resume(file()).train(data, 1)));
        net.save(file());
        assertEquals(
                file() + " is no training's checkpoint; load a model's weights with load(Path).",
                messageOf(() -> trainer.resume(file()).train(data, 1)));

        trainer(net, Kind.ADAM).checkpointEvery(4, file()).train(data, 1);
        SafeTensors.Contents good = SafeTensors.read(file());
        Map<String, String> metadata = new LinkedHashMap<>(good.metadata());
        String json = Objects.requireNonNull(metadata.get("espalier.checkpoint"));
        for (var wrong :
                Map.of(
                                "\"version\":1", "\"version\":2",
                                "\"epoch\":1", "\"epoch\":-1",
                                "\"best\":", "\"best\":7",
                                "{", "[")
                        .entrySet()) {
            metadata.put("espalier.checkpoint", json.replace(wrong.getKey(), wrong.getValue()));
            SafeTensors.write(file(), good.tensors(), metadata);
            String message = messageOf(() -> trainer.resume(file()).train(data, 1));
            assertTrue(
                    message.equals(
                                    file()
                                            + " is damaged: its description can't be read; use an"
                                            + " older checkpoint.")
                            || message.equals(
                                    file()
                                            + " is a checkpoint of version 2; this release reads"
                                            + " version 1."),
                    message);
        }
        Map<String, Tensor> tensors = new LinkedHashMap<>(good.tensors());
        Tensor archive = Objects.requireNonNull(tensors.get("optimizer")).clone();
        archive.narrow(0, 1000, 1).add_(new Scalar(1));
        tensors.put("optimizer", archive);
        SafeTensors.write(file(), tensors, good.metadata());
        assertEquals(
                file() + " is damaged: the optimizer's checksum is wrong; use an older checkpoint.",
                messageOf(() -> trainer.resume(file()).train(data, 1)));
        tensors.put("optimizer", Objects.requireNonNull(good.tensors().get("optimizer")));
        tensors.put("generator", Tensors.zeros(3).to(Tensors.type(archive)));
        SafeTensors.write(file(), tensors, good.metadata());
        assertTrue(
                messageOf(() -> trainer.resume(file()).train(data, 1))
                        .startsWith("Restoring the random generator: "));
    }

    @Test
    @DisplayName("a folder that is not there is named before anything is trained")
    void noFolder() {
        SmallNet net = SmallNet.masked();
        Map<String, Tensor> before = copyOf(net);
        Path nowhere = directory.resolve("no").resolve("c.safetensors");
        assertEquals(
                "Can't write checkpoints to "
                        + nowhere
                        + ": no folder "
                        + nowhere.getParent()
                        + " that may be written to.",
                messageOf(() ->
                        trainer(net, Kind.SGD)
                                .checkpointEvery(1, nowhere)
                                .train(SmallNet.examples(16), 1)));
        assertSame(before, net.stateDict());
        assertFalse(Files.exists(nowhere));
    }

    @Test
    @DisplayName("whatever is null or missing in its description, it is named and nothing changes")
    void descriptions() {
        Dataset data = SmallNet.examples(50);
        SmallNet net = SmallNet.masked();
        trainer(net, Kind.SGD).checkpointEvery(4, file()).train(data, 1);
        SafeTensors.Contents good = SafeTensors.read(file());
        Map<String, String> metadata = new LinkedHashMap<>(good.metadata());
        var json = new JsonMapper();
        JsonNode whole = json.readTree(metadata.get("espalier.checkpoint"));
        List<String> places = new ArrayList<>(List.of(""));
        places(whole, "", places);
        assertTrue(places.size() > 15);
        Map<String, Tensor> before = copyOf(net);
        int refused = 0;
        for (String place : places) {
            for (boolean removed : new boolean[] {false, true}) {
                JsonNode damaged = whole.deepCopy();
                String parent = place.substring(0, Math.max(0, place.lastIndexOf('/')));
                if (!place.isEmpty() && damaged.at(parent) instanceof ObjectNode object) {
                    String name = place.substring(place.lastIndexOf('/') + 1);
                    if (removed) {
                        object.remove(name);
                    } else {
                        object.putNull(name);
                    }
                }
                metadata.put("espalier.checkpoint", place.isEmpty() ? "null" : damaged.toString());
                SafeTensors.write(file(), good.tensors(), metadata);
                try {
                    trainer(net, Kind.SGD).resume(file()).train(data, 1);
                } catch (EspalierException e) {
                    refused++;
                }
                assertSame(before, net.stateDict());
            }
        }
        assertTrue(refused > 20, refused + " refused");
    }

    private static void places(JsonNode node, String path, List<String> places) {
        if (node instanceof ObjectNode object) {
            object.propertyNames()
                    .forEach(name -> {
                        places.add(path + "/" + name);
                        places(object.get(name), path + "/" + name, places);
                    });
        }
    }

    @Test
    @DisplayName("an optimizer's state that can't be read changes nothing, whatever its checksum")
    void unreadableOptimizer() {
        Dataset data = SmallNet.examples(50);
        SmallNet net = SmallNet.masked();
        trainer(net, Kind.SGD).checkpointEvery(4, file()).train(data, 1);
        SafeTensors.Contents good = SafeTensors.read(file());
        Map<String, Tensor> tensors = new LinkedHashMap<>(good.tensors());
        Tensor archive = Objects.requireNonNull(tensors.get("optimizer"));
        Tensor half = archive.narrow(0, 0, archive.numel() / 2).clone();
        tensors.put("optimizer", half);
        Map<String, String> metadata = new LinkedHashMap<>(good.metadata());
        String json = Objects.requireNonNull(metadata.get("espalier.checkpoint"));
        long sum = Checkpoint.checksum(Tensors.segment(half).toArray(ValueLayout.JAVA_BYTE));
        metadata.put(
                "espalier.checkpoint", json.replaceAll("\"checksum\":\\d+", "\"checksum\":" + sum));
        SafeTensors.write(file(), tensors, metadata);
        SmallNet other = SmallNet.masked();
        Map<String, Tensor> before = copyOf(other);

        String message = messageOf(() -> trainer(other, Kind.SGD).resume(file()).train(data, 1));

        assertTrue(message.startsWith("The optimizer's state is damaged"), message);
        assertSame(before, other.stateDict());
    }
}

package io.espalier.onnx.tune;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.quant.CalibrationData;
import io.espalier.onnx.quant.ReferenceOutputs;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Set;

@DisplayName("Short trainings at several rates")
class RateTrialsTest {
    private static final RateTrials TRIALS = new RateTrials(List.of(1e-8, 0.01, 1e3), 0.2, 0);

    @TempDir Path folder;
    private final Set<String> stages = new HashSet<>();
    private OnnxModel teacher = model();
    private OnnxModel student = teacher;

    @BeforeEach
    void moveWeights() {
        Libtorch.seed(3);
        teacher = model();
        ConstantTensor weight = Objects.requireNonNull(teacher.graph().constant("one"));
        float[] moved = weight.toFloats();
        for (int i = 0; i < moved.length; i++) {
            moved[i] *= i % 3 == 0 ? 1.2f : 0.9f;
        }
        student =
                teacher.rewritten(graph ->
                        graph.setConstant("one", ConstantTensor.floats(weight.shape(), moved)));
    }

    private static OnnxModel model() {
        return TestGraphs.opset(17)
                .input("x: Float[N, 6]")
                .weight("one", 6, 12)
                .weight("two", 12, 3)
                .node("a = MatMul(x, one)")
                .node("b = Relu(a)")
                .node("y = MatMul(b, two)")
                .output("y")
                .build();
    }

    private FineTuningSettings settings() {
        return new FineTuningSettings()
                .with(s -> {
                    s.teacher = Optional.of(teacher);
                    s.minutes = OptionalDouble.of(0.05);
                    s.listener = (stage, done, total) -> stages.add(stage);
                });
    }

    private FineTuningSettings settled(FineTuningSettings settings, Checkpoint checkpoint) {
        Tensor x = Tensors.randn(16, 6);
        try (var data = CalibrationData.read(student, Inputs.of(List.of(Map.of("x", x))), 16)) {
            var judge = new Judge(List.of(ReferenceOutputs.of(teacher, data.batches(), 1)));
            var work =
                    new RateTrials.Work(
                            student, TrainableFile.Floats.of(student), judge.beside(student), data);
            return TRIALS.settled(settings, work, checkpoint);
        }
    }

    @Test
    @DisplayName("say which rate brings most, and how much of the time is left")
    void best() {
        FineTuningSettings settled = settled(settings(), Checkpoint.none());

        assertEquals(OptionalDouble.of(0.01), settled.learningRate);
        assertEquals(0.02, settled.minutes.orElseThrow(), 1e-9);
        assertTrue(stages.contains("trying the rate 1000.0"), stages.toString());
    }

    @Test
    @DisplayName("are left out where a rate is set, time doesn't end training, or there is little")
    void none() {
        FineTuningSettings set = settings().with(s -> s.learningRate = OptionalDouble.of(1e-3));
        FineTuningSettings epochs = settings().with(s -> s.minutes = OptionalDouble.empty());

        assertSame(set, settled(set, Checkpoint.none()));
        assertSame(epochs, settled(epochs, Checkpoint.none()));
        assertTrue(stages.isEmpty(), stages.toString());
    }

    @Test
    @DisplayName("are done once: what they say is kept, and refused if it is damaged")
    void kept() throws IOException {
        try (var checkpoint = checkpoint()) {
            settled(settings(), checkpoint);
        }
        assertFalse(stages.isEmpty());
        stages.clear();
        try (var checkpoint = checkpoint()) {
            assertEquals(OptionalDouble.of(0.01), settled(settings(), checkpoint).learningRate);
        }
        assertTrue(stages.isEmpty(), stages.toString());

        for (String damage : List.of("", "0.5")) {
            Files.writeString(folder.resolve("rate.json"), damage);
            try (var checkpoint = checkpoint()) {
                var refused =
                        assertThrows(
                                EspalierException.class, () -> settled(settings(), checkpoint));
                assertTrue(
                        String.valueOf(refused.getMessage()).contains("rate.json is damaged"),
                        refused.getMessage());
            }
        }
    }

    private Checkpoint checkpoint() {
        var checkpoint = Checkpoint.open(folder, Checkpoint.Start.GOING_ON);
        checkpoint.of("work");
        return checkpoint;
    }
}

package io.espalier.onnx.inputs;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

@DisplayName("A task")
class TaskTest {
    @TempDir Path folder;

    private Task.Texts texts(String... lines) throws IOException {
        Path file = folder.resolve("characters.txt");
        Files.write(file, List.of(lines));
        return (Task.Texts) Task.texts(file);
    }

    /** Scores [1, T, C] whose largest are of these classes. */
    private static Tensor reading(int classes, int... steps) {
        var scores = new float[steps.length * classes];
        for (int t = 0; t < steps.length; t++) {
            scores[t * classes + steps[t]] = 1;
        }
        return Tensors.of(scores, 1, steps.length, classes);
    }

    private static String refusal(Executable wrong) {
        return String.valueOf(assertThrows(EspalierException.class, wrong).getMessage());
    }

    @Test
    @DisplayName("of classes counts the results whose largest score is the label's")
    void classes() {
        Tensor scores = Tensors.of(new float[] {0, 2, 1, 5, 1, 1}, 2, 3);

        assertEquals(2, Task.classes().right(scores, List.of("1", "0")));
        assertEquals(1, Task.classes().right(scores, List.of("1", " 2")));
        assertEquals(
                "The label 3 is no class of the model, which has 3, from 0 on.",
                refusal(() -> Task.classes().right(scores, List.of("1", "3"))));
        assertTrue(
                refusal(() -> Task.classes().right(scores, List.of("1", "cat")))
                        .startsWith("The label 'cat' is no class number"));
        assertTrue(
                refusal(() -> Task.classes().right(scores.unsqueeze(0), List.of("1")))
                        .contains("[1, 2, 3]"));
    }

    @Test
    @DisplayName("of texts reads steps of one character as one, and blanks as nothing")
    void reads() throws IOException {
        Task task = texts("a", "b");

        assertEquals(1, task.right(reading(3, 1, 1, 0, 1, 2, 2, 0), List.of("aab")));
        assertEquals(0, task.right(reading(3, 1, 1, 1, 1, 2, 2, 0), List.of("aab")));
        assertEquals(1, task.right(reading(4, 1, 3, 2), List.of("a b")));
        assertEquals(
                1, task.right(reading(3, 1, 0, 2).transpose(0, 1).contiguous(), List.of("ab")));
    }

    @Test
    @DisplayName("of texts has the class of each character, and says what can't be written")
    void codes() throws IOException {
        Task.Texts task = texts("a", "b");

        assertArrayEquals(new long[] {2, 1, 3, 1}, task.codes("ba a", 4, 4));
        assertTrue(refusal(() -> task.codes("a b", 4, 3)).contains("the character ' '"));
        assertEquals(
                "The text 'aab' needs 4 steps, and the model's result has 3.",
                refusal(() -> task.codes("aab", 3, 3)));
        assertTrue(refusal(() -> task.codes("a", 3, 9)).contains("The model has 9 classes"));
        assertTrue(
                refusal(() -> task.right(reading(3, 1), List.of("a", "b", "a")))
                        .contains("[1, 1, 3] for 3 examples"));
        assertTrue(
                refusal(() -> Task.texts(folder.resolve("none.txt")))
                        .startsWith("Can't read the characters"));
    }
}

package io.espalier.onnx.inputs;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import static java.util.Objects.requireNonNull;

import io.espalier.data.Npy;
import io.espalier.data.Npz;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.stream.IntStream;

@DisplayName("Arrays as a model's inputs")
class ArrayInputsTest {
    private static final OnnxModel TWO = ModelsTaking.of("a: float [N, 2]", "b: int64 [N]");
    private static final OnnxModel ONE = ModelsTaking.of("x: float [N, 2]");

    @TempDir Path folder;

    private static Tensor counted(long... shape) {
        int count = (int) java.util.Arrays.stream(shape).reduce(1, (a, b) -> a * b);
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = i;
        }
        return Tensors.of(values, shape);
    }

    private Path npz(String name, Map<String, Tensor> arrays) {
        Path file = folder.resolve(name);
        Npz.write(file, arrays);
        return file;
    }

    /** Each batch's inputs, as {@code name[shape] first}. */
    private static List<String> run(Inputs inputs, OnnxModel model) {
        var seen = new ArrayList<String>();
        for (Map<String, Tensor> batch : inputs.checkedFor(model)) {
            var line = new StringBuilder();
            batch.forEach((name, tensor) ->
                    line.append(name)
                            .append(List.of(tensor.size(0)))
                            .append((int) Tensors.floats(tensor)[0])
                            .append(' '));
            seen.add(line.toString().strip());
        }
        return seen;
    }

    @Test
    @DisplayName("are one batch a file, in the model's order, of a file or a folder")
    void files() {
        npz("1.npz", Map.of("b", Tensors.of(new long[] {7, 8, 9}, 3), "a", counted(3, 2)));
        npz("2.npz", Map.of("a", counted(1, 2), "b", Tensors.of(new long[] {5}, 1)));

        assertEquals(List.of("a[3]0 b[3]7", "a[1]0 b[1]5"), run(Inputs.arrays(folder), TWO));
        assertEquals(List.of("a[3]0 b[3]7"), run(Inputs.arrays(folder.resolve("1.npz")), TWO));
        assertEquals(OptionalInt.of(2), Inputs.arrays(folder).checkedFor(TWO).count());
    }

    @Test
    @DisplayName("are cut to the batch that is asked for, or to the one example the model takes")
    void cut() {
        Path file = folder.resolve("x.npy");
        Npy.write(file, counted(5, 2));

        assertEquals(List.of("x[5]0"), run(Inputs.arrays(file), ONE));
        assertEquals(List.of("x[2]0", "x[2]4", "x[1]8"), run(Inputs.arrays(file).batch(2), ONE));
        assertEquals(List.of("x[2]0", "x[1]4"), run(Inputs.arrays(file).batch(2).limit(3), ONE));
        assertEquals(List.of("x[3]0"), run(Inputs.arrays(file).limit(3), ONE));
        assertEquals(
                List.of("x[1]0", "x[1]2", "x[1]4"),
                run(Inputs.arrays(file).limit(3), ModelsTaking.of("x: float [1, 2]")));
        assertEquals(
                List.of("x[2]0", "x[2]4"),
                run(Inputs.arrays(file).batch(2), ModelsTaking.of("x: float [2, 2]")));
    }

    @Test
    @DisplayName("say how many of their examples differ, as far as one wants to know")
    void different() {
        OnnxModel model = ModelsTaking.of("x: float [N, 2]");
        Path alike = npz("alike.npz", Map.of("x", Tensors.zeros(5, 2)));
        Path two = npz("two.npz", Map.of("x", Tensors.of(new float[] {1, 2, 1, 2, 2, 1}, 3, 2)));

        assertEquals(1, Inputs.arrays(alike).checkedFor(model).different(4));
        assertEquals(2, Inputs.arrays(two).batch(1).checkedFor(model).different(4));
        assertEquals(1, Inputs.arrays(two).checkedFor(model).different(1));
    }

    @Test
    @DisplayName("are shuffled file by file, alike for the same seed")
    void shuffled() throws IOException {
        for (int i = 0; i < 9; i++) {
            Npy.write(folder.resolve(i + ".npy"), Tensors.of(new float[] {i, i}, 1, 2));
        }
        Files.writeString(folder.resolve("notes.txt"), "no array");

        List<String> plain = run(Inputs.arrays(folder), ONE);
        List<String> shuffled = run(Inputs.arrays(folder).shuffled(1), ONE);

        assertEquals(IntStream.range(0, 9).mapToObj(i -> "x[1]" + i).toList(), plain);
        assertEquals(plain, shuffled.stream().sorted().toList());
        assertTrue(!plain.equals(shuffled), shuffled.toString());
        assertEquals(shuffled, run(Inputs.arrays(folder).shuffled(1), ONE));
    }

    @Test
    @DisplayName("of NumPy's usual types stand for the model's, as long as their numbers fit")
    void converted() {
        OnnxModel model = ModelsTaking.of("x: float16 [N]", "i: int32 [N]");
        Tensor doubles = counted(2).to(ScalarType.Double);
        Path fits = npz("fits.npz", Map.of("x", doubles, "i", Tensors.of(new long[] {-1, 2}, 2)));
        Path wide =
                npz("wide.npz", Map.of("x", doubles, "i", Tensors.of(new long[] {1L << 40, 2}, 2)));
        Path large =
                npz(
                        "large.npz",
                        Map.of("x", Tensors.of(1e6f, 2), "i", Tensors.of(new long[] {1, 2}, 2)));
        Path real = npz("real.npz", Map.of("x", doubles, "i", doubles));

        assertEquals(List.of("x[2]0 i[2]-1"), run(Inputs.arrays(fits), model));
        assertRefused(" which int32 can't hold.", Inputs.arrays(wide), model);
        assertRefused(" which float16 can't hold.", Inputs.arrays(large), model);
        assertRefused("gives i: double [2], x: double [2].", Inputs.arrays(real), model);
    }

    @Test
    @DisplayName("with other names, shapes or types are refused, with what is wanted and given")
    void refused() throws IOException {
        Path lacking = npz("lacking.npz", Map.of("a", counted(2, 2)));
        Path more =
                npz(
                        "more.npz",
                        Map.of(
                                "a", counted(2, 2),
                                "b", Tensors.of(new long[] {1, 2}, 2),
                                "c", counted(1)));
        Path uneven =
                npz(
                        "uneven.npz",
                        Map.of("a", counted(2, 2), "b", Tensors.of(new long[] {1, 2, 3}, 3)));
        Path none = folder.resolve("none.npy");
        Npy.write(none, counted(0, 2));

        assertEquals(
                "The model wants a: float [N, 2], b: int64 [N]. "
                        + lacking
                        + " gives a: float [2, 2].",
                messageOf(Inputs.arrays(lacking), TWO));
        assertRefused("c: float [1].", Inputs.arrays(more), TWO);
        assertRefused("'N' can't be both 2 and 3.", Inputs.arrays(uneven), TWO);
        assertRefused("no common first dimension", Inputs.arrays(uneven).batch(1), TWO);
        assertRefused("has no examples.", Inputs.arrays(none), ONE);
        assertRefused(".npy files are one input.", Inputs.arrays(none), TWO);
        assertRefused(
                "The model takes batches of 9; ",
                Inputs.arrays(lacking).batch(9),
                ModelsTaking.of("a: float [9, 2]"));
        assertEquals(
                "No file or folder " + folder.resolve("gone.npz") + ".",
                messageOf(Inputs.arrays(folder.resolve("gone.npz")), ONE));
        assertEquals(
                "No .npz or .npy files in " + Files.createDirectory(folder.resolve("e")) + ".",
                messageOf(Inputs.arrays(folder.resolve("e")), ONE));
        Files.writeString(lacking, "damaged");
        assertRefused(
                "lacking.npz is not an .npz file, or is damaged", Inputs.arrays(lacking), ONE);
        assertRefused("1 or more examples, not 0.", () -> Inputs.arrays(more).batch(0));
        assertRefused("1 or more examples, not -1.", () -> Inputs.arrays(more).limit(-1));
    }

    @Test
    @DisplayName("need no name for a model that takes one input, but none that is another's")
    void names() {
        assertEquals(
                List.of("x[2]0"),
                run(Inputs.arrays(npz("1.npz", Map.of("arr_0", counted(2, 2)))), ONE));
        assertRefused(
                "2.npz gives z: float [2, 2].",
                Inputs.arrays(npz("2.npz", Map.of("z", counted(2, 2)))),
                ONE);
        assertRefused(
                "Batch 1 of the program gives z: float [2, 2].",
                Inputs.of(List.of(Map.of("z", counted(2, 2)))),
                ONE);
    }

    @Test
    @DisplayName("made by a program are used batch by batch, also where it makes them on the way")
    void given() {
        Iterable<Map<String, Tensor>> made =
                () ->
                        IntStream.range(0, 3)
                                .mapToObj(i -> Map.of("x", counted(2, 2).add_(Tensors.of(i))))
                                .iterator();

        assertEquals(List.of("x[2]0", "x[2]1", "x[2]2"), run(Inputs.of(made), ONE));
        assertEquals(
                List.of("x[1]0", "x[1]2", "x[1]1"), run(Inputs.of(made).batch(1).limit(3), ONE));
        assertRefused(
                "Batch 1 of the program gives x: float [2, 2].",
                Inputs.of(made),
                ModelsTaking.of("x: float [N, 3]"));
        assertRefused("The program has no examples.", Inputs.of(List.of()), ONE);
        assertRefused("shuffle them there.", () -> Inputs.of(made).shuffled(1));
    }

    @Test
    @SuppressWarnings("NullAway") // what users do
    @DisplayName("that are no more, or are none, are one sentence each")
    void noTensors() {
        Tensor freed = counted(2, 2);
        freed.close();
        Map<String, Tensor> none = new HashMap<>();
        none.put("x", null);

        assertRefused(
                "Taking 'x' of Batch 1 of the program: a tensor was used after it was freed",
                Inputs.of(List.of(Map.of("x", freed))),
                ONE);
        assertRefused("Null was given for a tensor", Inputs.of(List.of(none)), ONE);
        assertRefused(
                "A function gave null for the iterator of the batches; it has to return it.",
                Inputs.of(() -> null),
                ONE);
    }

    @Test
    @DisplayName("that the program keeps stay its own")
    void kept() {
        List<Map<String, Tensor>> kept = List.of(Map.of("x", counted(2, 2)));

        run(Inputs.of(kept), ONE);
        run(Inputs.of(kept).batch(1), ONE);

        assertArrayEquals(
                new float[] {0, 1, 2, 3}, Tensors.floats(requireNonNull(kept.getFirst().get("x"))));
    }

    private static void assertRefused(String words, Inputs inputs, OnnxModel model) {
        assertRefused(words, () -> inputs.checkedFor(model));
    }

    private static void assertRefused(
            String words, org.junit.jupiter.api.function.Executable call) {
        String message = String.valueOf(assertThrows(EspalierException.class, call).getMessage());
        assertTrue(message.contains(words), message);
        assertEquals(1, message.lines().count(), message);
    }

    private static String messageOf(Inputs inputs, OnnxModel model) {
        return String.valueOf(
                assertThrows(EspalierException.class, () -> inputs.checkedFor(model)).getMessage());
    }
}

package io.espalier.onnx.inputs;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import static java.util.Objects.requireNonNull;

import io.espalier.onnx.model.OnnxModel;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;

import javax.imageio.ImageIO;

@DisplayName("Images as a model's inputs")
class ImageInputsTest {
    private static final OnnxModel ANY = ModelsTaking.of("x: float [N, 3, H, W]");

    @TempDir Path folder;

    /** Writes an image of one colour. */
    private void image(String name, int type, int width, int height, int rgb) throws IOException {
        var image = new BufferedImage(width, height, type);
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                if (type == BufferedImage.TYPE_BYTE_GRAY) {
                    image.getRaster().setSample(x, y, 0, rgb & 0xFF);
                } else {
                    image.setRGB(x, y, rgb);
                }
            }
        }
        Path file = folder.resolve(name);
        Files.createDirectories(file.getParent());
        ImageIO.write(image, "png", file.toFile());
    }

    private void colours(int... rgbs) throws IOException {
        for (int i = 0; i < rgbs.length; i++) {
            image("%02d.png".formatted(i), BufferedImage.TYPE_INT_RGB, 4, 2, rgbs[i]);
        }
    }

    private static List<float[]> values(Inputs inputs, OnnxModel model) {
        var values = new ArrayList<float[]>();
        for (Map<String, Tensor> batch : inputs.checkedFor(model)) {
            values.add(Tensors.floats(batch.values().iterator().next()));
        }
        return values;
    }

    private static long[] shape(Inputs inputs, OnnxModel model) {
        try (var loop = inputs.checkedFor(model).iterator()) {
            return Tensors.shape(requireNonNull(loop.next().get("x")));
        }
    }

    @Test
    @DisplayName("are stretched, normalized and batched, in the order of their names")
    void stretched() throws IOException {
        colours(0xFF0000, 0x00FF00, 0x0000FF);
        Files.writeString(folder.resolve("notes.txt"), "no image");

        Inputs inputs = Inputs.images(folder, 1, 1).channels(3).normalize(0.5, 0.5).batch(2);

        List<float[]> batches = values(inputs, ANY);
        assertArrayEquals(new float[] {1, -1, -1, -1, 1, -1}, batches.get(0), 1e-6f);
        assertArrayEquals(new float[] {-1, -1, 1}, batches.get(1), 1e-6f);
        assertEquals(OptionalInt.of(2), inputs.checkedFor(ANY).count());
        assertEquals(2, values(inputs, ANY).size(), "the same again");
    }

    @Test
    @DisplayName("grey ones give the same in three channels; blue comes first when asked for")
    void channelOrder() throws IOException {
        image("a.png", BufferedImage.TYPE_BYTE_GRAY, 3, 2, 102);
        image("b.png", BufferedImage.TYPE_INT_RGB, 3, 2, 0xFF3300);

        List<float[]> batches = values(Inputs.images(folder, 1, 1).bgr(), ANY);

        assertArrayEquals(new float[] {0.4f, 0.4f, 0.4f, 0, 0.2f, 1}, batches.getFirst(), 1e-6f);
    }

    @Test
    @DisplayName("that are fitted keep their proportions, with zeros after normalizing beside them")
    void fitted() throws IOException {
        image("a.png", BufferedImage.TYPE_BYTE_GRAY, 4, 4, 255);

        float[] values =
                values(
                                Inputs.images(folder, 2, 5).channels(1).normalize(0.5, 0.5).fit(),
                                ModelsTaking.of("x: float [N, 1, 2, W]"))
                        .getFirst();

        assertArrayEquals(new float[] {1, 1, 0, 0, 0, 1, 1, 0, 0, 0}, values, 1e-6f);
    }

    @Test
    @DisplayName("have the size, channels and number that the model takes, if it takes only those")
    void asTheModelSays() throws IOException {
        colours(1, 2, 3, 4, 5);

        OnnxModel model = ModelsTaking.of("x: float [2, 1, 6, 7]");

        assertArrayEquals(new long[] {2, 1, 6, 7}, shape(Inputs.images(folder), model));
        assertEquals(2, values(Inputs.images(folder), model).size(), "the fifth is left over");
        assertArrayEquals(new long[] {5, 3, 2, 4}, shape(Inputs.images(folder), ANY));
        assertArrayEquals(
                new long[] {5, 6, 7, 3},
                shape(
                        Inputs.images(folder).channelsLast(),
                        ModelsTaking.of("x: float [N, 6, 7, 3]")));
        assertTrue(
                messageOf(Inputs.images(folder).batch(4), model)
                        .startsWith("The model takes batches of 2; asked for batches of 4."));
    }

    @Test
    @DisplayName("become half as precise for a model that wants so")
    void halves() throws IOException {
        colours(0xFFFFFF);

        try (var loop =
                Inputs.images(folder)
                        .checkedFor(ModelsTaking.of("x: float16 [N, 3, H, W]"))
                        .iterator()) {
            assertEquals("float16", Elements.describe(requireNonNull(loop.next().get("x"))));
        }
    }

    @Test
    @DisplayName("are limited and shuffled with their labels, alike for the same seed")
    void labelled() throws IOException {
        int[] reds = new int[20];
        var lines = new StringBuilder("file\ttext\n");
        for (int i = 0; i < reds.length; i++) {
            reds[i] = i << 16;
            lines.append("%02d.png\t%d%n".formatted(i, i));
        }
        colours(reds);
        Path tsv = Files.writeString(folder.resolve("labels.tsv"), lines);
        Inputs inputs = Inputs.images(folder, 1, 1).labels(tsv).shuffled(7).limit(6).batch(1);

        InputBatches batches = inputs.checkedFor(ANY);

        List<Long> shown = values(inputs, ANY).stream().map(v -> Math.round(v[0] * 255.0)).toList();
        assertEquals(shown.stream().map(String::valueOf).toList(), batches.labels());
        assertEquals(6, shown.size());
        assertTrue(!shown.equals(shown.stream().sorted().toList()), shown.toString());
        assertEquals(batches.labels(), inputs.checkedFor(ANY).labels());
        assertTrue(Inputs.images(folder).checkedFor(ANY).labels().isEmpty());
    }

    @Test
    @DisplayName("that can't be given are refused in one sentence")
    void refused() throws IOException {
        assertEquals(
                "No PNG or JPEG images in " + folder + "; arrays are .npy or .npz files.",
                messageOf(Inputs.images(folder), ANY));
        Path gone = folder.resolve("gone");
        assertEquals(
                "Can't read the folder " + gone + ": no such file or folder.",
                messageOf(Inputs.images(gone), ANY));

        colours(1, 2);
        Path first = folder.resolve("00.png");
        assertEquals(
                "The model wants x: float [N, 1, 48, W]. "
                        + first
                        + " gives x: float [2, 3, 2, 4].",
                messageOf(
                        Inputs.images(folder, 2, 4).channels(3),
                        ModelsTaking.of("x: float [N, 1, 48, W]")));
        assertEquals(
                "The model wants x: uint8 [N, 3, H, W]. " + first + " gives x: float [2, 3, 2, 4].",
                messageOf(Inputs.images(folder), ModelsTaking.of("x: uint8 [N, 3, H, W]")));
        assertEquals(
                "Images are one input. The model wants x: float [N], y: float [N]. (give arrays"
                        + " named so)",
                messageOf(Inputs.images(folder), ModelsTaking.of("x: float [N]", "y: float [N]")));
        assertEquals(
                "The model takes batches of 3; " + folder + " has 2 examples.",
                messageOf(Inputs.images(folder), ModelsTaking.of("x: float [3, 3, 2, 4]")));

        image("02.png", BufferedImage.TYPE_INT_RGB, 5, 5, 0);
        String sizes = messageOf(Inputs.images(folder), ANY);
        assertTrue(sizes.contains("02.png have several sizes and can't be one batch"), sizes);
        assertEquals(3, values(Inputs.images(folder).batch(1), ANY).size());
        assertEquals(
                "Images can't be fitted without a size, which the model leaves open: x: float [N,"
                        + " 3, H, W].",
                messageOf(Inputs.images(folder).fit(), ANY));
    }

    @Test
    @DisplayName("that are damaged are named, wherever they come in the order")
    void damaged() throws IOException {
        colours(1, 2, 3);
        Path last = folder.resolve("02.png");
        byte[] whole = Files.readAllBytes(last);
        Files.write(last, Arrays.copyOf(whole, whole.length / 2));
        Inputs inputs = Inputs.images(folder).batch(1);

        var error = assertThrows(EspalierException.class, () -> values(inputs, ANY));

        assertTrue(
                String.valueOf(error.getMessage()).startsWith("Can't read the image " + last),
                error.getMessage());
    }

    @Test
    @DisplayName("belong to the loop, which frees each with the next, unless one is kept")
    void ownership() throws IOException {
        colours(1, 2, 3);
        var seen = new ArrayList<Tensor>();

        for (Map<String, Tensor> batch : Inputs.images(folder).batch(1).checkedFor(ANY)) {
            Tensor tensor = batch.values().iterator().next();
            seen.add(seen.isEmpty() ? Tensors.keep(tensor) : tensor);
        }

        assertEquals(
                List.of(false, true, true), seen.stream().map(tensor -> tensor.isNull()).toList());
    }

    private static String messageOf(Inputs inputs, OnnxModel model) {
        return String.valueOf(
                assertThrows(EspalierException.class, () -> inputs.checkedFor(model)).getMessage());
    }
}

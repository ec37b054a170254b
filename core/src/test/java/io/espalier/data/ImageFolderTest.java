package io.espalier.data;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.tensor.Tensors;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;

import javax.imageio.ImageIO;

class ImageFolderTest {
    @TempDir Path root;

    /** Writes an image of one colour. */
    private void image(String name, int type, int width, int height, int rgb) throws IOException {
        var image = new BufferedImage(width, height, type);
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                if (type == BufferedImage.TYPE_BYTE_GRAY) {
                    image.getRaster().setSample(x, y, 0, rgb & 0xFF);
                } else {
                    image.setRGB(x, y, 0xFF000000 | rgb);
                }
            }
        }
        Path file = root.resolve(name);
        Files.createDirectories(file.getParent());
        assertTrue(ImageIO.write(image, name.substring(name.lastIndexOf('.') + 1), file.toFile()));
    }

    private static float[] pixels(ImageFolder folder, int index) {
        return Tensors.floats(folder.get(index).input());
    }

    @Test
    @DisplayName("takes folders' names as labels, sorted, whatever else lies there")
    void classFolders() throws IOException {
        image("dog/1.png", BufferedImage.TYPE_INT_RGB, 2, 1, 0xFF8000);
        image("cat/2.jpg", BufferedImage.TYPE_INT_RGB, 2, 1, 0x808080);
        image("cat/1.png", BufferedImage.TYPE_INT_RGB, 2, 1, 0);
        Files.writeString(root.resolve("cat/notes.txt"), "x");
        Files.createDirectory(root.resolve("empty"));
        ImageFolder folder = ImageFolder.of(root);
        assertEquals(List.of("cat", "dog"), folder.classes());
        assertEquals(List.of("cat", "cat", "dog"), folder.labels());
        Batch all = folder.all();
        assertArrayEquals(new long[] {0, 0, 1}, Tensors.longs(all.target()));
        assertArrayEquals(new long[] {3, 3, 1, 2}, Tensors.shape(all.input()));
        float half = 128 / 255f;
        assertArrayEquals(new float[] {1, 1, half, half, 0, 0}, pixels(folder, 2));
    }

    @Test
    @DisplayName("names the first image of a batch that has another size than those before")
    void mixedSizes() throws IOException {
        image("cat/1.png", BufferedImage.TYPE_INT_RGB, 4, 3, 0);
        image("cat/2.png", BufferedImage.TYPE_INT_RGB, 4, 3, 0);
        image("dog/1.png", BufferedImage.TYPE_INT_RGB, 5, 3, 0);
        ImageFolder folder = ImageFolder.of(root);
        assertEquals(
                root.resolve("dog/1.png")
                        + " has 3x5 pixels, "
                        + root.resolve("cat/1.png")
                        + " has 3x4; images of a batch need one size: choose it by size(height,"
                        + " width).",
                messageOf(folder::all));
        assertArrayEquals(new long[] {3, 3, 3, 4}, Tensors.shape(folder.size(3, 4).all().input()));
    }

    @Test
    @DisplayName("says that a file is no folder")
    void noFolder() throws IOException {
        Path file = Files.writeString(root.resolve("file"), "");
        assertEquals(
                "Can't read the folder " + file + ": it is a file, not a folder.",
                messageOf(() -> ImageFolder.of(file)));
    }

    @Test
    @DisplayName("takes labels from a file, with or without a heading")
    void labelFile() throws IOException {
        image("a.png", BufferedImage.TYPE_BYTE_GRAY, 1, 1, 51);
        image("b.png", BufferedImage.TYPE_BYTE_GRAY, 1, 1, 102);
        Path labels =
                Files.writeString(
                        root.resolve("l.tsv"), "file\ttext\nb.png\ttwo words\n\na.png\tx\n");
        ImageFolder folder = ImageFolder.of(root, labels).channels(1);
        assertEquals(List.of("two words", "x"), folder.labels());
        assertEquals(List.of(root.resolve("b.png"), root.resolve("a.png")), folder.files());
        assertArrayEquals(new float[] {0.4f}, pixels(folder, 0));
        assertArrayEquals(new long[] {0, 1}, Tensors.longs(folder.all().target()));
        Files.writeString(labels, "\uFEFFa.png\tx\n");
        assertEquals(1, ImageFolder.of(root, labels).size());
    }

    @Test
    @DisplayName("refuses two labels of one image, and takes one twice")
    void twoLabels() throws IOException {
        image("a.png", BufferedImage.TYPE_BYTE_GRAY, 1, 1, 51);
        Path labels = Files.writeString(root.resolve("l.tsv"), "a.png\tx\n./a.png\tx\n");
        assertEquals(2, ImageFolder.of(root, labels).size());
        Files.writeString(labels, "a.png\tx\n./a.png\ty\n");
        assertEquals(
                "Line 2 of "
                        + labels
                        + " labels "
                        + root.resolve("./a.png")
                        + " 'y', an earlier one 'x'; one of them is wrong.",
                messageOf(() -> ImageFolder.of(root, labels)));
    }

    @ParameterizedTest
    @ValueSource(
            ints = {
                BufferedImage.TYPE_BYTE_GRAY,
                BufferedImage.TYPE_INT_RGB,
                BufferedImage.TYPE_INT_ARGB,
                BufferedImage.TYPE_BYTE_INDEXED
            })
    @DisplayName("a grey pixel has one value, however the file stores it and it is asked for")
    void grey(int type) throws IOException {
        image("c/1.png", type, 3, 2, 0x666666);
        ImageFolder folder = ImageFolder.of(root);
        for (int channels : new int[] {1, 3}) {
            for (float value : pixels(folder.channels(channels), 0)) {
                assertEquals(0.4f, value, 1e-6f);
            }
        }
    }

    @Test
    @DisplayName("colours become grey as the eye weighs them")
    void luma() throws IOException {
        image("c/1.png", BufferedImage.TYPE_INT_RGB, 1, 1, 0x00FF00);
        // round(0.587 * 255) = 150
        assertArrayEquals(new float[] {150 / 255f}, pixels(ImageFolder.of(root).channels(1), 0));
    }

    @Test
    @DisplayName("stretches to a size, averaging where it shrinks, and normalizes")
    void sizeAndNormalization() throws IOException {
        var image = new BufferedImage(64, 2, BufferedImage.TYPE_BYTE_GRAY);
        for (int x = 0; x < 64; x++) {
            image.getRaster().setSample(x, 0, 0, x % 2 * 255);
            image.getRaster().setSample(x, 1, 0, x % 2 * 255);
        }
        Files.createDirectory(root.resolve("c"));
        ImageIO.write(image, "png", root.resolve("c/1.png").toFile());
        ImageFolder folder = ImageFolder.of(root).channels(1).size(1, 4).normalized(0.5, 0.5);
        assertArrayEquals(new long[] {1, 1, 4}, Tensors.shape(folder.get(0).input()));
        for (float value : pixels(folder, 0)) {
            assertEquals(0, value, 0.05, "stripes finer than a pixel are grey");
        }
        image("c/1.png", BufferedImage.TYPE_INT_RGB, 1, 1, 0xFF0000);
        assertArrayEquals(
                new float[] {1, -1, -2},
                pixels(
                        ImageFolder.of(root)
                                .normalized(
                                        new double[] {0, 0.5, 0.5}, new double[] {1, 0.5, 0.25}),
                        0));
    }

    @Test
    @DisplayName("what is missing, damaged or out of range is named")
    void wrongUse() throws IOException {
        String none = messageOf(() -> ImageFolder.of(root));
        assertTrue(none.startsWith("No PNG or JPEG images in " + root + "; "), none);
        Path nowhere = root.resolve("nowhere");
        assertEquals(
                "Can't read the folder " + nowhere + ": no such file or folder.",
                messageOf(() -> ImageFolder.of(nowhere)));
        assertEquals(
                "Can't read the label file " + nowhere + ": no such file or folder.",
                messageOf(() -> ImageFolder.of(root, nowhere)));
        Path labels = Files.writeString(root.resolve("l.tsv"), "a.png\tx\nb.png y\n");
        assertEquals(
                "No file " + root.resolve("a.png") + ", which line 1 of " + labels + " names.",
                messageOf(() -> ImageFolder.of(root, labels)));
        image("a.png", BufferedImage.TYPE_INT_RGB, 1, 1, 0);
        assertEquals(
                "Line 2 of " + labels + " is not 'file<tab>label'.",
                messageOf(() -> ImageFolder.of(root, labels)));
        Files.writeString(labels, "\n");
        assertEquals(labels + " names no image.", messageOf(() -> ImageFolder.of(root, labels)));

        Files.writeString(labels, "a.png\tx\n");
        ImageFolder folder = ImageFolder.of(root, labels);
        assertEquals(
                "An image has at least 1x1 pixels; asked for 0x3.",
                messageOf(() -> folder.size(0, 3)));
        assertEquals(
                "Images are read with 1 or 3 channels; asked for 4.",
                messageOf(() -> folder.channels(4)));
        assertEquals(
                "Images of 3 channels need 1 or 3 means and deviations; got 2.",
                messageOf(() -> folder.normalized(new double[2], new double[] {1, 1})));
        assertTrue(
                messageOf(() -> folder.normalized(0, 0))
                        .startsWith("A deviation must be above 0;"));

        byte[] good = Files.readAllBytes(root.resolve("a.png"));
        Files.writeString(root.resolve("a.png"), "no image");
        assertEquals(
                root.resolve("a.png") + " is not a PNG or JPEG image.",
                messageOf(() -> folder.get(0)));
        Files.write(root.resolve("a.png"), Arrays.copyOf(good, good.length / 2));
        assertTrue(
                messageOf(() -> folder.get(0))
                        .startsWith("Can't read the image " + root.resolve("a.png") + ": "));
        ByteBuffer.wrap(good).putInt(16, 1 << 20).putInt(20, 1 << 20);
        Files.write(root.resolve("a.png"), good);
        assertEquals(
                root.resolve("a.png") + " claims 1099511627776 pixels; the limit is 134217728.",
                messageOf(() -> folder.get(0)));
        Files.delete(root.resolve("a.png"));
        assertEquals("No file " + root.resolve("a.png") + ".", messageOf(() -> folder.get(0)));
    }
}

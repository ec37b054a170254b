package io.espalier.data;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.zip.GZIPOutputStream;

class MnistTest {
    private static final String IMAGES = "t10k-images-idx3-ubyte.gz";
    private static final String LABELS = "t10k-labels-idx1-ubyte.gz";

    @TempDir Path directory;

    /** Writes an IDX file: the header's integers, then so many bytes of one value. */
    private void write(String name, int value, int bytes, int... header) throws IOException {
        try (var out =
                new DataOutputStream(
                        new GZIPOutputStream(Files.newOutputStream(directory.resolve(name))))) {
            for (int number : header) {
                out.writeInt(number);
            }
            byte[] content = new byte[bytes];
            Arrays.fill(content, (byte) value);
            out.write(content);
        }
    }

    private void writeGood() throws IOException {
        write(IMAGES, 51, 2 * 784, 0x803, 2, 28, 28);
        write(LABELS, 9, 2, 0x801, 2);
    }

    private String error() {
        String message = messageOf(() -> Mnist.test(directory));
        assertTrue(message.contains(directory.toString()), message);
        return message.replace(directory + "/", "");
    }

    @Test
    @DisplayName("has the 10,000 test digits with the labels and pixels of the original files")
    void testSet() {
        Mnist digits = Mnist.test();
        assertEquals(10_000, digits.size());
        Batch first = digits.batch(new int[] {0, 1, 2, 3, 4});
        assertArrayEquals(new long[] {5, 1, 28, 28}, Tensors.shape(first.input()));
        assertEquals(ScalarType.Float, Tensors.type(first.input()));
        assertArrayEquals(new long[] {7, 2, 1, 0, 4}, Tensors.longs(first.target()));
        Batch all = digits.all();
        assertEquals(0, all.input().min().item_float());
        assertEquals(1, all.input().max().item_float());
    }

    @Test
    @DisplayName("the 60,000 training digits, normalized, have mean 0 and deviation 1")
    void normalizedTrainingSet() {
        Batch all = Mnist.train().normalized().all();
        assertEquals(60_000, all.size());
        assertEquals(0, all.input().mean().item_float(), 1e-3);
        assertEquals(1, all.input().std().item_float(), 1e-3);
    }

    @Test
    @DisplayName("reads files of any number of images")
    void ownFiles() throws IOException {
        writeGood();
        Batch all = Mnist.test(directory).all();
        assertArrayEquals(new long[] {9, 9}, Tensors.longs(all.target()));
        assertEquals(0.2f, all.input().mean().item_float(), 1e-6);
    }

    @Test
    @DisplayName("looks where it is told, then in Espalier's own directory, then upwards")
    void finds() throws IOException {
        Path home = Files.createDirectories(directory.resolve("home/data/mnist"));
        Path above = Files.createDirectories(directory.resolve("mine/data/mnist"));
        Path working = Files.createDirectories(directory.resolve("mine/src/main"));
        String homeName = directory.resolve("home").toString();
        assertEquals(Path.of("digits"), Mnist.find("digits", homeName, working));
        assertEquals(home, Mnist.find(null, homeName, working));
        assertEquals(above, Mnist.find("", directory.toString(), working));
    }

    @Test
    @DisplayName("outside a clone it says by which three ways the files are named")
    void nowhere() {
        String message = messageOf(() -> Mnist.find(null, null, directory));
        assertTrue(message.startsWith("No directory data/mnist in " + directory), message);
        for (String way : List.of("Mnist.train(Path", "-Despalier.mnist=", "ESPALIER_MNIST")) {
            assertTrue(message.contains(way), message);
        }
    }

    @Test
    @DisplayName("a missing file is named, with what to do")
    void missing() {
        assertEquals("No file " + IMAGES + "; put MNIST's four .gz files there.", error());
    }

    @Test
    @DisplayName("a damaged or foreign file is named, with what is wrong with it")
    void damaged() throws IOException {
        String again = "; get MNIST's file of this name again.";
        writeGood();
        byte[] good = Files.readAllBytes(directory.resolve(IMAGES));
        Files.write(directory.resolve(IMAGES), Arrays.copyOf(good, good.length / 2));
        assertEquals(IMAGES + " ends early" + again, error());

        Files.writeString(directory.resolve(IMAGES), "<html>Not found</html>");
        assertEquals(IMAGES + " is not a gzip file, or is damaged" + again, error());

        write(IMAGES, 0, 10, 0x803, 2, 28, 28);
        assertEquals(IMAGES + " ends early" + again, error());

        write(IMAGES, 0, 2 * 784 + 1, 0x803, 2, 28, 28);
        assertEquals(IMAGES + " has more data than its header says" + again, error());

        write(IMAGES, 0, 0, 0x803, Integer.MAX_VALUE, Integer.MAX_VALUE, Integer.MAX_VALUE);
        assertEquals(IMAGES + " claims to hold more than 2 GB" + again, error());

        write(IMAGES, 0, 0, 0x803, -1, 28, 28);
        assertEquals(IMAGES + " claims to hold more than 2 GB" + again, error());

        write(IMAGES, 0, 2, 0x801, 2);
        assertEquals(IMAGES + " is not an IDX file of bytes in 3 dimensions" + again, error());

        write(IMAGES, 0, 2 * 49, 0x803, 2, 7, 7);
        assertEquals(IMAGES + " holds images of another size than 28 by 28" + again, error());

        writeGood();
        write(LABELS, 1, 3, 0x801, 3);
        assertEquals(LABELS + " has 3 labels for 2 images" + again, error());

        write(LABELS, 11, 2, 0x801, 2);
        assertEquals(LABELS + " has the label 11; labels go from 0 to 9" + again, error());
    }
}

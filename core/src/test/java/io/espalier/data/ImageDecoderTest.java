package io.espalier.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

import javax.imageio.ImageIO;

@DisplayName("A decoder of images")
class ImageDecoderTest {
    @TempDir Path folder;

    private Path image(int width, int height, int rgb) throws IOException {
        var image = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                image.setRGB(x, y, rgb);
            }
        }
        Path file = folder.resolve("image.png");
        ImageIO.write(image, "png", file.toFile());
        return file;
    }

    @Test
    @DisplayName("fits an image into a size, with zeros after normalizing at the right and below")
    void fit() throws IOException {
        ImageDecoder grey = ImageDecoder.rgb().channels(1);
        double[] half = {0.5};

        Tensor wide = grey.fit(2, 4).normalized(half, half).decode(image(3, 3, 0xFFFFFF));
        Tensor flat = grey.fit(3, 2).normalized(half, half).decode(image(6, 3, 0));
        Tensor thin = grey.fit(2, 9).decode(image(1, 500, 0xFFFFFF));

        assertArrayEquals(new float[] {1, 1, 0, 0, 1, 1, 0, 0}, Tensors.floats(wide), 1e-6f);
        assertArrayEquals(new float[] {-1, -1, 0, 0, 0, 0}, Tensors.floats(flat), 1e-6f);
        assertArrayEquals(new long[] {1, 2, 9}, Tensors.shape(thin));
        assertEquals(2, thin.sum().item_float(), 1e-5f, "one pixel wide at the least");
    }

    @Test
    @DisplayName("gives blue first when asked for, means and deviations in that order too")
    void bgr() throws IOException {
        Path file = image(1, 1, 0xFF3300);

        Tensor plain = ImageDecoder.rgb().decode(file);
        Tensor bgr =
                ImageDecoder.rgb()
                        .bgr()
                        .normalized(new double[] {0, 0.2, 0.5}, new double[] {1})
                        .decode(file);

        assertArrayEquals(new float[] {1, 0.2f, 0}, Tensors.floats(plain), 1e-6f);
        assertArrayEquals(new float[] {0, 0, 0.5f}, Tensors.floats(bgr), 1e-6f);
    }

    @Test
    @DisplayName("knows by their names which files it reads")
    void reads() {
        assertEquals(
                List.of(true, true, true, false, false),
                Stream.of("a.png", "b.JPG", "c.jpeg", "d.webp", "png")
                        .map(name -> ImageDecoder.reads(Path.of(name)))
                        .toList());
    }
}

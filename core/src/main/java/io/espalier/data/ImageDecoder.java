package io.espalier.data;

import io.espalier.state.AtomicFile;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Operators;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.awt.image.BufferedImage;
import java.awt.image.DataBuffer;
import java.io.File;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Iterator;

import javax.imageio.ImageIO;
import javax.imageio.ImageReader;
import javax.imageio.stream.ImageInputStream;

/**
 * Makes tensors of image files.
 *
 * @param height the height to stretch to; 0 leaves the size
 * @param width the width to stretch to; 0 leaves the size
 * @param channels 3 for colours, 1 for grey
 * @param mean what is subtracted, one number or one for each channel
 * @param deviation what is divided by afterwards, as many
 */
@SuppressWarnings("ArrayRecordComponent") // copied on the way in, never given out or compared
record ImageDecoder(int height, int width, int channels, double[] mean, double[] deviation) {
    static final ImageDecoder RGB = new ImageDecoder(0, 0, 3, new double[] {0}, new double[] {1});

    /** Larger images than this are taken for damaged or hostile. */
    private static final long MAX_PIXELS = 1L << 27;

    ImageDecoder size(int newHeight, int newWidth) {
        if (newHeight < 1 || newWidth < 1) {
            throw new EspalierException(
                    "An image has at least 1x1 pixels; asked for "
                            + newHeight
                            + "x"
                            + newWidth
                            + ".");
        }
        return new ImageDecoder(newHeight, newWidth, channels, mean, deviation);
    }

    ImageDecoder channels(int count) {
        if (count != 1 && count != 3) {
            throw new EspalierException(
                    "Images are read with 1 or 3 channels; asked for " + count + ".");
        }
        requireOnePerChannel(count, mean);
        return new ImageDecoder(height, width, count, mean, deviation);
    }

    ImageDecoder normalized(double[] newMean, double[] newDeviation) {
        requireOnePerChannel(channels, newMean);
        requireOnePerChannel(channels, newDeviation);
        if (!Arrays.stream(newDeviation).allMatch(value -> value > 0)) {
            throw new EspalierException(
                    "A deviation must be above 0; asked for "
                            + Arrays.toString(newDeviation)
                            + ".");
        }
        return new ImageDecoder(height, width, channels, newMean.clone(), newDeviation.clone());
    }

    private static void requireOnePerChannel(int channels, double... values) {
        if (values.length != 1 && values.length != channels) {
            throw new EspalierException(
                    "Images of "
                            + channels
                            + " channels need 1 or "
                            + channels
                            + " means and deviations; got "
                            + values.length
                            + ".");
        }
    }

    /** The image as floats [C, H, W]. */
    Tensor decode(Path file) {
        BufferedImage image = read(file);
        int h = image.getHeight();
        int w = image.getWidth();
        byte[] planes = new byte[channels * h * w];
        int[] rgb = new int[w];
        for (int y = 0; y < h; y++) {
            rowOf(image, y, rgb);
            for (int x = 0; x < w; x++) {
                int at = y * w + x;
                if (channels == 1) {
                    planes[at] = (byte) grey(rgb[x]);
                } else {
                    planes[at] = (byte) (rgb[x] >> 16);
                    planes[at + h * w] = (byte) (rgb[x] >> 8);
                    planes[at + 2 * h * w] = (byte) rgb[x];
                }
            }
        }
        Tensor bytes = Tensors.zeros(ScalarType.Byte, channels, h, w);
        Tensors.segment(bytes).copyFrom(MemorySegment.ofArray(planes));
        Tensor tensor = bytes.to(ScalarType.Float).div_(new Scalar(255));
        if (height != 0 && (height != h || width != w)) {
            Object size = new long[] {height, width};
            tensor =
                    Operators.call(
                                    "aten::_upsample_bilinear2d_aa",
                                    "",
                                    tensor.unsqueeze(0),
                                    size,
                                    false,
                                    null,
                                    null)
                            .squeeze(0);
        }
        return normalize(tensor);
    }

    private Tensor normalize(Tensor tensor) {
        if (this.mean.length == 1 && this.mean[0] == 0 && this.deviation[0] == 1) {
            return tensor;
        }
        return tensor.sub_(perChannel(mean)).div_(perChannel(deviation));
    }

    private static Tensor perChannel(double... values) {
        float[] floats = new float[values.length];
        for (int i = 0; i < floats.length; i++) {
            floats[i] = (float) values[i];
        }
        return Tensors.of(floats, values.length, 1, 1);
    }

    /** ITU-R 601 luma in integers, as Pillow's convert("L"). */
    private static int grey(int rgb) {
        int red = rgb >> 16 & 0xFF;
        int green = rgb >> 8 & 0xFF;
        int blue = rgb & 0xFF;
        return (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16;
    }

    private static void rowOf(BufferedImage image, int y, int[] rgb) {
        int bands = image.getRaster().getNumBands();
        int type = image.getRaster().getDataBuffer().getDataType();
        boolean grey = bands <= 2 && image.getColorModel().getNumColorComponents() == 1;
        if (!grey) {
            image.getRGB(0, y, rgb.length, 1, rgb, 0, rgb.length);
            return;
        }
        // getRGB would take grey for linear light and brighten it.
        int shift = type == DataBuffer.TYPE_USHORT ? 8 : 0;
        image.getRaster().getSamples(0, y, rgb.length, 1, 0, rgb);
        for (int x = 0; x < rgb.length; x++) {
            rgb[x] = (rgb[x] >> shift) * 0x010101;
        }
    }

    private static BufferedImage read(Path path) {
        File file = path.toFile();
        if (!file.isFile()) {
            throw new EspalierException("No file " + path + ".");
        }
        try (ImageInputStream in = ImageIO.createImageInputStream(file)) {
            Iterator<ImageReader> readers = ImageIO.getImageReaders(in);
            if (!readers.hasNext()) {
                throw new EspalierException(path + " is not a PNG or JPEG image.");
            }
            ImageReader reader = readers.next();
            try {
                reader.setInput(in, true, true);
                long pixels = Math.multiplyFull(reader.getWidth(0), reader.getHeight(0));
                if (pixels > MAX_PIXELS) {
                    throw new EspalierException(
                            path
                                    + " claims "
                                    + pixels
                                    + " pixels; the limit is "
                                    + MAX_PIXELS
                                    + ".");
                }
                return reader.read(0);
            } finally {
                reader.dispose();
            }
        } catch (IOException | IllegalArgumentException | IndexOutOfBoundsException e) {
            // The readers answer damage with any of these.
            String reason = e instanceof IOException io ? AtomicFile.reason(io) : e.toString();
            throw new EspalierException("Can't read the image " + path + ": " + reason + ".", e);
        }
    }
}

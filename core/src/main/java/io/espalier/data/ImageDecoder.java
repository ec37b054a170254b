package io.espalier.data;

import io.espalier.state.AtomicFile;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Internal;
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
import java.util.List;
import java.util.Locale;

import javax.imageio.ImageIO;
import javax.imageio.ImageReader;
import javax.imageio.stream.ImageInputStream;

/**
 * Makes tensors of PNG and JPEG files: floats [C, H, W] from 0 to 1, channels in the order red,
 * green, blue, unless it is told otherwise. Grey images give the same numbers in each channel.
 *
 * <p>A decoder never changes: each setting gives another one.
 */
@Internal
public final class ImageDecoder {
    private static final ImageDecoder RGB =
            new ImageDecoder(0, 0, false, 3, false, new double[] {0}, new double[] {1});

    private static final List<String> SUFFIXES = List.of(".png", ".jpg", ".jpeg");

    /** Larger images than this are taken for damaged or hostile. */
    private static final long MAX_PIXELS = 1L << 27;

    private final int height;
    private final int width;
    private final boolean fit;
    private final int channels;
    private final boolean bgr;
    private final double[] mean;
    private final double[] deviation;

    private ImageDecoder(
            int height,
            int width,
            boolean fit,
            int channels,
            boolean bgr,
            double[] mean,
            double[] deviation) {
        this.height = height;
        this.width = width;
        this.fit = fit;
        this.channels = channels;
        this.bgr = bgr;
        this.mean = mean;
        this.deviation = deviation;
    }

    /** Images of their own size, in colours. */
    public static ImageDecoder rgb() {
        return RGB;
    }

    /** Whether the file's name says that it is an image which can be read. */
    public static boolean reads(Path file) {
        String name = file.getFileName().toString().toLowerCase(Locale.ROOT);
        return SUFFIXES.stream().anyMatch(name::endsWith);
    }

    /**
     * Stretches images to this size (bilinear, smoothed where it shrinks).
     *
     * @throws EspalierException if a side is below 1
     */
    public ImageDecoder size(int newHeight, int newWidth) {
        return sized(newHeight, newWidth, false);
    }

    /**
     * Makes images as large as this size lets them be while they keep their proportions, and fills
     * what is left at the right and the bottom with zeros, after normalizing: as text recognition
     * and detection are fed.
     *
     * @throws EspalierException if a side is below 1
     */
    public ImageDecoder fit(int newHeight, int newWidth) {
        return sized(newHeight, newWidth, true);
    }

    private ImageDecoder sized(int newHeight, int newWidth, boolean newFit) {
        if (newHeight < 1 || newWidth < 1) {
            throw new EspalierException(
                    "An image has at least 1x1 pixels; asked for "
                            + newHeight
                            + "x"
                            + newWidth
                            + ".");
        }
        return new ImageDecoder(newHeight, newWidth, newFit, channels, bgr, mean, deviation);
    }

    /**
     * Gives 3 channels, or 1 (grey: 0.299 R + 0.587 G + 0.114 B).
     *
     * @throws EspalierException if it is another number
     */
    public ImageDecoder channels(int count) {
        if (count != 1 && count != 3) {
            throw new EspalierException(
                    "Images are read with 1 or 3 channels; asked for " + count + ".");
        }
        requireOnePerChannel(count, mean);
        return new ImageDecoder(height, width, fit, count, bgr, mean, deviation);
    }

    /** Gives the channels in the order blue, green, red, as models trained with OpenCV want. */
    public ImageDecoder bgr() {
        return new ImageDecoder(height, width, fit, channels, true, mean, deviation);
    }

    /**
     * Gives (value − mean) / deviation, value being from 0 to 1.
     *
     * @param newMean one number, or one for each channel in the order that is given
     * @param newDeviation one number, or one for each channel
     * @throws EspalierException if there are other numbers of them, a mean is not finite, or a
     *     deviation is not finite and above 0
     */
    public ImageDecoder normalized(double[] newMean, double[] newDeviation) {
        requireOnePerChannel(channels, newMean);
        requireOnePerChannel(channels, newDeviation);
        requireFinite("mean", newMean);
        requireFinite("deviation", newDeviation);
        if (!Arrays.stream(newDeviation).allMatch(value -> value > 0)) {
            throw new EspalierException(
                    "A deviation must be above 0; asked for "
                            + Arrays.toString(newDeviation)
                            + ".");
        }
        return new ImageDecoder(
                height, width, fit, channels, bgr, newMean.clone(), newDeviation.clone());
    }

    private static void requireFinite(String what, double... values) {
        if (!Arrays.stream(values).allMatch(Double::isFinite)) {
            throw new EspalierException(
                    "A %s must be finite; asked for %s.".formatted(what, Arrays.toString(values)));
        }
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

    /**
     * The image as floats [C, H, W].
     *
     * @throws EspalierException if the file is missing, damaged or no such image
     */
    public Tensor decode(Path file) {
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
                    planes[at] = (byte) (rgb[x] >> (bgr ? 0 : 16));
                    planes[at + h * w] = (byte) (rgb[x] >> 8);
                    planes[at + 2 * h * w] = (byte) (rgb[x] >> (bgr ? 16 : 0));
                }
            }
        }
        Tensor bytes = Tensors.zeros(ScalarType.Byte, channels, h, w);
        Tensors.segment(bytes).copyFrom(MemorySegment.ofArray(planes));
        Tensor tensor = bytes.to(ScalarType.Float).div_(new Scalar(255));
        if (height == 0) {
            return normalize(tensor);
        }
        if (!fit) {
            return normalize(resized(tensor, height, width));
        }
        double scale = Math.min((double) height / h, (double) width / w);
        int fitHeight = Math.clamp(Math.round(h * scale), 1, height);
        int fitWidth = Math.clamp(Math.round(w * scale), 1, width);
        return padded(normalize(resized(tensor, fitHeight, fitWidth)));
    }

    private static Tensor resized(Tensor image, int height, int width) {
        if (height == image.size(1) && width == image.size(2)) {
            return image;
        }
        Object size = new long[] {height, width};
        return Operators.call(
                        "aten::_upsample_bilinear2d_aa",
                        "",
                        image.unsqueeze(0),
                        size,
                        false,
                        null,
                        null)
                .squeeze(0);
    }

    private Tensor padded(Tensor image) {
        Tensor whole = Tensors.zeros(channels, height, width);
        whole.narrow(1, 0, image.size(1)).narrow(2, 0, image.size(2)).copy_(image);
        return whole;
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

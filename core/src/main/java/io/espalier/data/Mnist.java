package io.espalier.data;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * The handwritten digits of LeCun, Cortes and Burges: 60,000 to train on and 10,000 to test with.
 * Inputs are floats [N, 1, 28, 28] from 0 (paper) to 1 (ink), targets 64-bit integers [N] from 0 to
 * 9.
 *
 * <p>Without a directory, the files are looked for in the one that the system property {@code
 * espalier.mnist} or else the environment variable {@code ESPALIER_MNIST} names; otherwise in
 * {@code data/mnist} under the directory that the system property {@code espalier.home} names, then
 * under the working directory and those above it.
 */
public final class Mnist implements Dataset {
    /** Mean and standard deviation of all training pixels. */
    private static final double MEAN = 0.1307;

    private static final double STANDARD_DEVIATION = 0.3081;

    /** Bytes [N, 1, 28, 28]: a quarter of the floats' memory, converted batch by batch. */
    private final Tensor pixels;

    private final Tensor labels;
    private final double scale;
    private final double shift;

    private Mnist(Tensor pixels, Tensor labels, double scale, double shift) {
        this.pixels = pixels;
        this.labels = labels;
        this.scale = scale;
        this.shift = shift;
    }

    /**
     * The 60,000 training digits.
     *
     * @throws EspalierException if the files are missing or damaged
     */
    public static Mnist train() {
        return train(find());
    }

    /**
     * The 10,000 test digits.
     *
     * @throws EspalierException if the files are missing or damaged
     */
    public static Mnist test() {
        return test(find());
    }

    /**
     * The training digits in a directory.
     *
     * @throws EspalierException if the files are missing or damaged
     */
    public static Mnist train(Path directory) {
        return load(directory, "train");
    }

    /**
     * The test digits in a directory.
     *
     * @throws EspalierException if the files are missing or damaged
     */
    public static Mnist test(Path directory) {
        return load(directory, "t10k");
    }

    /**
     * The same digits with inputs shifted and scaled to the training pixels' mean 0, deviation 1.
     */
    public Mnist normalized() {
        return new Mnist(
                pixels, labels, 1 / (255 * STANDARD_DEVIATION), -MEAN / STANDARD_DEVIATION);
    }

    @Override
    public int size() {
        return Math.toIntExact(labels.size(0));
    }

    @Override
    public Batch batch(int[] indices) {
        Tensor rows = Rows.of(size(), indices);
        Tensor input = pixels.index_select(0, rows).to(ScalarType.Float).mul_(new Scalar(scale));
        if (shift != 0) {
            input.add_(new Scalar(shift));
        }
        return new Batch(input, labels.index_select(0, rows));
    }

    private static Mnist load(Path directory, String prefix) {
        Idx images = Idx.read(directory.resolve(prefix + "-images-idx3-ubyte.gz"), 3);
        Idx digits = Idx.read(directory.resolve(prefix + "-labels-idx1-ubyte.gz"), 1);
        int count = images.shape()[0];
        if (images.shape()[1] != 28 || images.shape()[2] != 28) {
            throw images.error("holds images of another size than 28 by 28");
        }
        if (digits.shape()[0] != count) {
            throw digits.error("has " + digits.shape()[0] + " labels for " + count + " images");
        }
        long[] labels = new long[count];
        for (int i = 0; i < count; i++) {
            labels[i] = Byte.toUnsignedLong(digits.values()[i]);
            if (labels[i] > 9) {
                throw digits.error("has the label " + labels[i] + "; labels go from 0 to 9");
            }
        }
        Tensor pixels = Tensors.zeros(ScalarType.Byte, count, 1, 28, 28);
        Tensors.segment(pixels).copyFrom(MemorySegment.ofArray(images.values()));
        return new Mnist(
                Tensors.keep(pixels), Tensors.keep(Tensors.of(labels, count)), 1 / 255.0, 0);
    }

    private static Path find() {
        return find(
                System.getProperty("espalier.mnist", System.getenv("ESPALIER_MNIST")),
                System.getProperty("espalier.home"),
                Path.of("").toAbsolutePath());
    }

    /** The directory of the files, by what is named and where the program runs. */
    static Path find(@Nullable String named, @Nullable String home, Path working) {
        if (named != null && !named.isBlank()) {
            return Path.of(named);
        }
        Path place = Path.of("data", "mnist");
        if (home != null && Files.isDirectory(Path.of(home).resolve(place))) {
            return Path.of(home).resolve(place);
        }
        for (Path above = working; above != null; above = above.getParent()) {
            if (Files.isDirectory(above.resolve(place))) {
                return above.resolve(place);
            }
        }
        throw new EspalierException(
                "No directory data/mnist in "
                        + working
                        + " or above it"
                        + (home == null ? "" : ", nor in " + home)
                        + "; name the directory of MNIST's four .gz files, which a clone of"
                        + " Espalier has in data/mnist, by Mnist.train(Path.of(\"…\")),"
                        + " -Despalier.mnist=… or the environment variable ESPALIER_MNIST.");
    }
}

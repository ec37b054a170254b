package io.espalier.data;

import io.espalier.state.AtomicFile;
import io.espalier.state.TextFile;
import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.Tensor;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.TreeMap;
import java.util.stream.Stream;

/**
 * Images in PNG or JPEG files, each with a label. Inputs are floats [C, H, W], from 0 to 1 unless
 * {@link #normalized}; targets are the number of the label among {@link #classes}, a 64-bit
 * integer.
 *
 * <p>Images are decoded when they are asked for; {@link DataLoader#ahead} does so beside the
 * training. A folder never changes: {@code size}, {@code channels} and {@code normalized} give
 * another one.
 */
public final class ImageFolder implements MapDataset {
    private static final int MOST_BYTES_OF_LABELS = 64 << 20;

    private final List<Path> files;
    private final List<String> labels;
    private final List<String> classes;
    private final ImageDecoder decoder;

    private ImageFolder(
            List<Path> files, List<String> labels, List<String> classes, ImageDecoder decoder) {
        this.files = files;
        this.labels = labels;
        this.classes = classes;
        this.decoder = decoder;
    }

    /**
     * Images in folders named as their classes: {@code root/cat/1.png}, {@code root/dog/2.jpg}.
     *
     * @throws EspalierException if there is no such folder or no image in it
     */
    public static ImageFolder of(Path root) {
        var labelOf = new TreeMap<Path, String>();
        for (Path folder : list(root)) {
            if (Files.isDirectory(folder)) {
                list(folder).stream()
                        .filter(ImageFolder::isImage)
                        .forEach(file -> labelOf.put(file, folder.getFileName().toString()));
            }
        }
        if (labelOf.isEmpty()) {
            throw new EspalierException(
                    "No PNG or JPEG images in "
                            + root
                            + "; they belong in folders named as their classes, such as "
                            + root.resolve("cat").resolve("1.png")
                            + ".");
        }
        return of(List.copyOf(labelOf.keySet()), List.copyOf(labelOf.values()));
    }

    /**
     * Images with a label file: a line for each, the file's path from {@code root}, a tab and the
     * label. A first line that calls the first column {@code file} is a heading; empty lines don't
     * count.
     *
     * @throws EspalierException if the label file can't be read, a line has no tab, a file is
     *     missing or has two different labels, or there is no image
     */
    public static ImageFolder of(Path root, Path labelFile) {
        var files = new ArrayList<Path>();
        var labels = new ArrayList<String>();
        var labelOf = new HashMap<Path, String>();
        List<String> lines = lines(labelFile);
        for (int i = 0; i < lines.size(); i++) {
            String line = lines.get(i);
            if (line.isBlank() || (i == 0 && line.startsWith("file\t"))) {
                continue;
            }
            int tab = line.indexOf('\t');
            if (tab <= 0) {
                throw new EspalierException(
                        "Line " + (i + 1) + " of " + labelFile + " is not 'file<tab>label'.");
            }
            Path file = root.resolve(line.substring(0, tab));
            if (!Files.isRegularFile(file)) {
                throw new EspalierException(
                        "No file "
                                + file
                                + ", which line "
                                + (i + 1)
                                + " of "
                                + labelFile
                                + " names.");
            }
            String label = line.substring(tab + 1);
            String other = labelOf.putIfAbsent(file.normalize(), label);
            if (other != null && !other.equals(label)) {
                throw new EspalierException(
                        "Line %d of %s labels %s '%s', an earlier one '%s'; one of them is wrong."
                                .formatted(i + 1, labelFile, file, label, other));
            }
            files.add(file);
            labels.add(label);
        }
        if (files.isEmpty()) {
            throw new EspalierException(labelFile + " names no image.");
        }
        return of(List.copyOf(files), List.copyOf(labels));
    }

    private static ImageFolder of(List<Path> files, List<String> labels) {
        return new ImageFolder(
                files, labels, labels.stream().sorted().distinct().toList(), ImageDecoder.rgb());
    }

    /**
     * The same images, each stretched to this size (bilinear, smoothed where it shrinks). Without a
     * size all images of a batch must have the same.
     *
     * @throws EspalierException if a side is below 1
     */
    public ImageFolder size(int height, int width) {
        return with(decoder.size(height, width));
    }

    /**
     * The same images with 3 channels (red, green, blue), as they have at first, or 1 (grey: 0.299
     * R + 0.587 G + 0.114 B).
     *
     * @throws EspalierException if it is another number
     */
    public ImageFolder channels(int count) {
        return with(decoder.channels(count));
    }

    /**
     * The same images with (value − mean) / deviation in every channel, value being from 0 to 1.
     *
     * @throws EspalierException if the deviation is not above 0
     */
    public ImageFolder normalized(double mean, double deviation) {
        return normalized(new double[] {mean}, new double[] {deviation});
    }

    /**
     * The same images with (value − mean) / deviation channel by channel.
     *
     * @throws EspalierException if there is not one number for each channel, or a deviation is not
     *     above 0
     */
    public ImageFolder normalized(double[] mean, double[] deviation) {
        return with(decoder.normalized(mean, deviation));
    }

    private ImageFolder with(ImageDecoder other) {
        return new ImageFolder(files, labels, classes, other);
    }

    /** The different labels, sorted; a target is a number in this list. */
    public List<String> classes() {
        return classes;
    }

    /** The label of each image. */
    public List<String> labels() {
        return labels;
    }

    /** The file of each image. */
    public List<Path> files() {
        return files;
    }

    @Override
    public int size() {
        return files.size();
    }

    @Override
    public Sample get(int index) {
        Tensor image = decoder.decode(files.get(index));
        return Sample.labelled(image, Collections.binarySearch(classes, labels.get(index)));
    }

    /**
     * The examples of these numbers, stacked.
     *
     * @throws EspalierException if the images' sizes differ; it names the first that does
     */
    @Override
    public Batch batch(int[] indices) {
        List<Sample> samples = Arrays.stream(indices).mapToObj(this::get).toList();
        for (int i = 1; i < indices.length; i++) {
            String first = pixels(samples.getFirst());
            String other = pixels(samples.get(i));
            if (!other.equals(first)) {
                throw new EspalierException(
                        files.get(indices[i])
                                + " has "
                                + other
                                + " pixels, "
                                + files.get(indices[0])
                                + " has "
                                + first
                                + "; images of a batch need one size: choose it by"
                                + " size(height, width).");
            }
        }
        return Batch.of(samples);
    }

    /** Height and width of an image, as {@link #size(int, int)} takes them. */
    private static String pixels(Sample sample) {
        return sample.input().size(1) + "x" + sample.input().size(2);
    }

    private static boolean isImage(Path file) {
        return Files.isRegularFile(file) && ImageDecoder.reads(file);
    }

    private static List<Path> list(Path folder) {
        try (Stream<Path> content = Files.list(folder)) {
            return content.sorted().toList();
        } catch (IOException e) {
            throw new EspalierException(
                    "Can't read the folder " + folder + ": " + AtomicFile.reason(e) + ".", e);
        }
    }

    private static List<String> lines(Path file) {
        try {
            return TextFile.lines(file, MOST_BYTES_OF_LABELS);
        } catch (IOException e) {
            throw new EspalierException(
                    "Can't read the label file " + file + ": " + AtomicFile.reason(e) + ".", e);
        }
    }
}

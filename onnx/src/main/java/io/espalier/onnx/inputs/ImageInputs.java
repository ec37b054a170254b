package io.espalier.onnx.inputs;

import io.espalier.data.ImageDecoder;
import io.espalier.data.ImageFolder;
import io.espalier.onnx.inputs.BatchSource.Made;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.state.AtomicFile;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.TensorException;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** Images for a model that takes them as its only input. */
public final class ImageInputs extends Inputs {
    private final Path folder;
    private final ImageDecoder decoder;
    private final Form form;

    /**
     * What becomes of an image besides what the decoder does; a size of 0 is the model's.
     *
     * @param channels 0 if the model says how many
     */
    private record Form(
            int height,
            int width,
            boolean fit,
            int channels,
            boolean channelsLast,
            Optional<Path> labels) {
        static final Form AS_IT_IS = new Form(0, 0, false, 0, false, Optional.empty());
    }

    /** An image and what it shows, if that is known. */
    private record Labelled(Path file, String label) {}

    ImageInputs(Path folder, Selection selection, ImageDecoder decoder) {
        this(folder, selection, decoder, Form.AS_IT_IS);
    }

    private ImageInputs(Path folder, Selection selection, ImageDecoder decoder, Form form) {
        super(selection);
        this.folder = folder;
        this.decoder = decoder;
        this.form = form;
    }

    /**
     * Of this size.
     *
     * @throws EspalierException if a side is below 1
     */
    ImageInputs size(int height, int width) {
        return with(
                decoder.size(height, width),
                new Form(height, width, form.fit, form.channels, form.channelsLast, form.labels));
    }

    /**
     * Scaled so that they keep their proportions, the rest at the right and the bottom being zeros
     * after normalizing, as text recognition and detection are fed, instead of stretched.
     */
    public ImageInputs fit() {
        return with(
                decoder,
                new Form(
                        form.height,
                        form.width,
                        true,
                        form.channels,
                        form.channelsLast,
                        form.labels));
    }

    /**
     * With 3 channels or 1 (grey); as many as the model takes if it is not set, else 3. A grey
     * image gives the same in all three.
     *
     * @throws EspalierException if it is another number, or not that of the means and deviations
     */
    public ImageInputs channels(int count) {
        return with(
                decoder.channels(count),
                new Form(form.height, form.width, form.fit, count, form.channelsLast, form.labels));
    }

    /** As [N, H, W, C], as models from TensorFlow take them, in place of [N, C, H, W]. */
    public ImageInputs channelsLast() {
        return with(
                decoder,
                new Form(form.height, form.width, form.fit, form.channels, true, form.labels));
    }

    /** Blue first, red last, as models trained with OpenCV want them. */
    public ImageInputs bgr() {
        return with(decoder.bgr(), form);
    }

    /**
     * With (value − mean) / deviation in every channel, value being from 0 to 1. A model that takes
     * values from 0 to 255 wants a mean of 0 and a deviation of 1/255.
     *
     * @throws EspalierException if the deviation is not above 0
     */
    public ImageInputs normalize(double mean, double deviation) {
        return normalize(new double[] {mean}, new double[] {deviation});
    }

    /**
     * With (value − mean) / deviation channel by channel, in the order that the model is given.
     *
     * @throws EspalierException if there is not one number, or one for each channel, or a deviation
     *     is not above 0
     */
    public ImageInputs normalize(double[] mean, double[] deviation) {
        return with(decoder.normalized(mean, deviation), form);
    }

    /**
     * Those that a file names, with the right answer to each ({@link InputBatches#labels}): a line
     * for each, its path from the folder, a tab and the answer. A first line that calls the first
     * column {@code file} is a heading.
     */
    public ImageInputs labels(Path file) {
        return with(
                decoder,
                new Form(
                        form.height,
                        form.width,
                        form.fit,
                        form.channels,
                        form.channelsLast,
                        Optional.of(file)));
    }

    @Override
    public ImageInputs batch(int examples) {
        return with(selection.batch(examples));
    }

    @Override
    public ImageInputs limit(int examples) {
        return with(selection.limit(examples));
    }

    @Override
    public ImageInputs shuffled(long seed) {
        return with(selection.shuffled(seed));
    }

    @Override
    ImageInputs with(Selection other) {
        return new ImageInputs(folder, other, decoder, form);
    }

    private ImageInputs with(ImageDecoder otherDecoder, Form otherForm) {
        return new ImageInputs(folder, selection, otherDecoder, otherForm);
    }

    @Override
    BatchSource open(OnnxModel model, Signature signature) {
        TensorInfo input = signature.only("Images");
        ImageDecoder sized = decoderFor(input);
        List<Labelled> chosen = selection.chosen(files());
        return ExampleSource.of(
                folder.toString(),
                signature,
                selection,
                chosen,
                form.labels.isEmpty() ? List.of() : chosen.stream().map(Labelled::label).toList(),
                some -> made(input.name(), sized, some.stream().map(Labelled::file).toList()));
    }

    private ImageDecoder decoderFor(TensorInfo input) {
        int first = form.channelsLast ? 1 : 2;
        long channels = input.fixed(form.channelsLast ? 3 : 1).orElse(0);
        ImageDecoder sized = decoder;
        if (form.channels == 0 && channels == 1) {
            sized = sized.channels(1);
        }
        int height = form.height != 0 ? form.height : (int) input.fixed(first).orElse(0);
        int width = form.width != 0 ? form.width : (int) input.fixed(first + 1).orElse(0);
        if (height != 0 && width != 0) {
            return form.fit ? sized.fit(height, width) : sized.size(height, width);
        }
        if (form.fit) {
            throw new EspalierException(
                    "Images can't be fitted without a size, which the model leaves open: "
                            + input
                            + ".");
        }
        return sized;
    }

    private List<Labelled> files() {
        if (form.labels.isPresent()) {
            ImageFolder labelled = ImageFolder.of(folder, form.labels.get());
            return IntStream.range(0, labelled.size())
                    .mapToObj(i -> new Labelled(labelled.files().get(i), labelled.labels().get(i)))
                    .toList();
        }
        List<Labelled> files;
        try (Stream<Path> all = Files.walk(folder)) {
            files =
                    all.filter(ImageDecoder::reads)
                            .filter(Files::isRegularFile)
                            .sorted()
                            .map(file -> new Labelled(file, ""))
                            .toList();
        } catch (IOException e) {
            throw unreadable(e);
        } catch (UncheckedIOException e) {
            throw unreadable(Objects.requireNonNull(e.getCause()));
        }
        if (files.isEmpty()) {
            throw new EspalierException(
                    "No PNG or JPEG images in " + folder + "; arrays are .npy or .npz files.");
        }
        return files;
    }

    private EspalierException unreadable(IOException e) {
        return new EspalierException(
                "Can't read the folder " + folder + ": " + AtomicFile.reason(e) + ".", e);
    }

    private Made made(String name, ImageDecoder sized, List<Path> files) {
        Tensor[] images = files.stream().map(sized::decode).toArray(Tensor[]::new);
        try {
            Tensor batch = torch.stack(new TensorVector(images));
            return new Made(
                    files.getFirst().toString(),
                    Map.of(
                            name,
                            form.channelsLast ? batch.permute(0, 2, 3, 1).contiguous() : batch));
        } catch (RuntimeException e) {
            throw TensorException.in(
                    "The images "
                            + files.getFirst()
                            + " to "
                            + files.getLast()
                            + " have several sizes and can't be one batch; set a size, or batches"
                            + " of 1",
                    e);
        }
    }
}

package io.espalier.onnx.inputs;

import io.espalier.data.ImageDecoder;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;

import org.bytedeco.pytorch.Tensor;

import java.nio.file.Path;
import java.util.Map;

/**
 * What a model is calibrated, compared and measured with, and how it becomes the model's inputs.
 *
 * <pre>{@code
 * Inputs lines = Inputs.images(Path.of("lines"), 48, 320).channels(3).normalize(0.5, 0.5);
 * for (Map<String, Tensor> batch : lines.checkedFor(model)) {
 *     try (var scope = new PointerScope()) { … }
 * }
 * }</pre>
 *
 * <p>Nothing is read before {@link #checkedFor}, and then one batch at a time. Inputs never change:
 * each setting gives others.
 */
public abstract sealed class Inputs
        permits ImageInputs, TextInputs, ArrayInputs, GivenInputs, RandomInputs {
    final Selection selection;

    Inputs(Selection selection) {
        this.selection = selection;
    }

    /**
     * The PNG and JPEG images in a folder and in those inside it, ordered by path, each stretched
     * to this size; floats [N, C, H, W] from 0 to 1, red first, as long as no setting says
     * otherwise.
     */
    public static ImageInputs images(Path folder, int height, int width) {
        return images(folder).size(height, width);
    }

    /**
     * The PNG and JPEG images in a folder and in those inside it, ordered by path, in the size that
     * the model wants, or as large as they are if it takes any.
     */
    public static ImageInputs images(Path folder) {
        return new ImageInputs(Needed.of(folder, "the folder"), Selection.ALL, ImageDecoder.rgb());
    }

    /**
     * The lines of a UTF-8 file, blank ones aside, each as the tokens of a {@code tokenizer.json}:
     * {@code input_ids}, {@code attention_mask} and {@code token_type_ids} [N, L], as far as the
     * model wants them, as long as the longest of the batch.
     *
     * <p>Needs {@code ai.djl.huggingface:tokenizers} on the class path, which Espalier does not
     * bring along for those who don't use text.
     */
    public static TextInputs text(Path lines, Path tokenizer) {
        return new TextInputs(
                Needed.of(lines, "the file of lines"),
                Needed.of(tokenizer, "the tokenizer"),
                Selection.ALL);
    }

    /**
     * NumPy's arrays: an {@code .npz} file whose arrays are named as the model's inputs, an {@code
     * .npy} file for a model that takes one, or a folder of either, ordered by name. Each file is
     * one batch, unless a batch size is set or the model takes one example at a time.
     *
     * <p>Doubles, NumPy's own floats, become floats where the model wants them, and its integers
     * 32-bit ones where they fit. A single array without a name of its own, which NumPy calls
     * {@code arr_0}, is the input of a model that takes one. A file is read whole.
     */
    public static Inputs arrays(Path fileOrFolder) {
        return new ArrayInputs(Needed.of(fileOrFolder, "the file or folder"), Selection.ALL);
    }

    /**
     * Batches made by a program: tensors by the model's names for its inputs. It is gone through
     * anew for each run over the inputs, and each batch is asked for when the one before has been
     * used.
     *
     * <p>The iterator works within a {@code PointerScope} of ours: a tensor that it makes is freed
     * with its batch. One that it wants to give again needs {@code Tensors.keep}.
     */
    public static Inputs of(Iterable<? extends Map<String, Tensor>> batches) {
        return new GivenInputs(Needed.of(batches, "the batches"), Selection.ALL);
    }

    /**
     * Numbers drawn at random, for trying out and measuring speed where there is no data: what is
     * calibrated with them has ranges that fit no real input, and {@link InputBatches#warning} says
     * so.
     */
    public static RandomInputs random() {
        return new RandomInputs(Selection.ALL, Map.of());
    }

    /**
     * So many examples at once; 8 if it is not set, or as many as the model takes if that is fixed.
     *
     * @param examples 1 or more
     * @throws EspalierException if it is below 1
     */
    public Inputs batch(int examples) {
        return with(selection.batch(examples));
    }

    /**
     * The first so many examples, of the shuffled order if they are {@link #shuffled}.
     *
     * @param examples 1 or more
     * @throws EspalierException if it is below 1
     */
    public Inputs limit(int examples) {
        return with(selection.limit(examples));
    }

    /**
     * In an order drawn at random, the same for the same seed wherever and whenever it is drawn.
     * Files of arrays are shuffled as wholes; of random numbers it draws others.
     */
    public Inputs shuffled(long seed) {
        return with(selection.shuffled(seed));
    }

    /**
     * The batches for a model, of which the first has been made to check it. Those after it are
     * checked when they are made.
     *
     * @throws EspalierException if there is nothing, it can't be read, or it has other names, types
     *     or shapes than the model's inputs; the message has what the model wants and what there is
     */
    public final InputBatches checkedFor(OnnxModel model) {
        var signature = Signature.of(model);
        return InputBatches.checked(signature, open(model, signature));
    }

    abstract Inputs with(Selection other);

    /** Finds what there is, without reading it yet. */
    abstract BatchSource open(OnnxModel model, Signature signature);
}

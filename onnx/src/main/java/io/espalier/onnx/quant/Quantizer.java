package io.espalier.onnx.quant;

import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.inputs.Task;
import io.espalier.onnx.model.FiniteWeights;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.quant.matmul.RoundingMethod;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.function.Consumer;

/**
 * Makes a smaller and faster model of an ONNX model, and measures both.
 *
 * <pre>{@code
 * OnnxModel model = OnnxModel.load(Path.of("ocr.onnx"));
 * Inputs lines = Inputs.images(Path.of("lines"), 48, 320).channels(3).normalize(0.5, 0.5);
 * QuantizationResult result = Quantizer.auto().maxDrop(0.01).quantize(model, lines);
 * IO.println(result.table());
 * result.model().save(Path.of("ocr-int8.onnx"));
 * }</pre>
 *
 * <p>The graph is repaired first; the model that was given stays as it is. Quantizers never change:
 * each setting gives another.
 */
public final class Quantizer {
    private final QuantizationSettings settings;

    private Quantizer(QuantizationSettings settings) {
        this.settings = settings;
    }

    /** What pays on this machine and stays within the budget. */
    public static Quantizer auto() {
        return of(QuantizationMode.AUTO);
    }

    /** One way for all layers. */
    public static Quantizer of(QuantizationMode mode) {
        return new Quantizer(QuantizationSettings.of(Needed.of(mode, "the mode")));
    }

    /**
     * How far results may be from the float model's: 1 less the cosine, as a mean over the
     * calibration data, or what {@link #judgedBy} says; 0.01 unless it is set. For {@link
     * QuantizationMode#AUTO} alone; other modes refuse it.
     *
     * @param drop above 0, below 1
     */
    public Quantizer maxDrop(double drop) {
        if (!(drop > 0 && drop < 1)) {
            throw new EspalierException(
                    "The accuracy that may be lost is above 0 and below 1, not " + drop + ".");
        }
        return with(s -> s.budget = OptionalDouble.of(drop));
    }

    /**
     * Judges results by the labels of the inputs: {@link #maxDrop} is then the part of the float
     * model's right results that may be lost, on the calibration data.
     *
     * @param task what the labels mean
     */
    public Quantizer judgedBy(Task task) {
        Needed.of(task, "the task");
        return with(s -> s.task = Optional.of(task));
    }

    /**
     * Keeps layers in floats. A pattern that is no layer's name is refused when a model is
     * quantized.
     *
     * @param patterns names of nodes or of weights, in which {@code *} stands for anything
     */
    public Quantizer keepFloat(String... patterns) {
        List<String> kept = Needed.all(patterns, "the layers to keep float");
        return with(s -> s.keptFloat = kept);
    }

    /**
     * Keeps weights within 7 bits, for machines without VNNI, where the sum of two products of 8
     * bits may be cut (onnxruntime#14642).
     */
    public Quantizer reduceRange() {
        return with(s -> s.reducedRange = true);
    }

    /**
     * How many bits the weights of {@link QuantizationMode#WEIGHT_ONLY} have: 8 unless it is set, a
     * scale for each channel, or 4, a scale for each block of a column of a matrix, for ONNX
     * Runtime's own operator. Convolutions keep to 8.
     *
     * @param bits 8 or 4
     */
    public Quantizer bits(int bits) {
        return withFormat(f -> f.bits = bits);
    }

    /**
     * How many numbers share a scale in 4 bits; 32 unless it is set. Larger blocks take less room
     * and lose more.
     *
     * @param numbers 16, 32, 64, 128 or 256
     */
    public Quantizer blockSize(int numbers) {
        return withFormat(f -> f.block = OptionalInt.of(numbers));
    }

    /** How 4-bit weights are rounded; by {@link RoundingMethod#GPTQ} unless it is set. */
    public Quantizer rounding(RoundingMethod method) {
        Needed.of(method, "the rounding");
        return withFormat(f -> f.rounding = Optional.of(method));
    }

    /**
     * What tables of vectors are kept in. Unless it is set, 8-bit integers; where weights have 4
     * bits, 4-bit ones for tables of 2^20 values or more; and floats in {@link
     * QuantizationMode#FLOAT16}. {@link QuantizationMode#AUTO} leaves them float if they miss the
     * budget. Tables of less than 2^14 values stay float, and those that 4 bits can't hold have 8.
     */
    public Quantizer embeddings(EmbeddingPrecision precision) {
        Needed.of(precision, "the precision of tables");
        return withFormat(f -> f.embeddings = Optional.of(precision));
    }

    /**
     * Writes operators of the standard alone: integers between QuantizeLinear and DequantizeLinear,
     * which each runtime reads, and ONNX Runtime makes its own operators of. Operators of the
     * runtime's that the model came with stay.
     */
    public Quantizer portable() {
        return withFormat(f -> f.portable = true);
    }

    /**
     * Gives weights of 8 bits one scale, instead of one for each channel, as some accelerators want
     * them. It costs accuracy.
     */
    public Quantizer perTensor() {
        return withFormat(f -> f.perTensor = true);
    }

    private Quantizer with(Consumer<QuantizationSettings.Change> change) {
        return new Quantizer(settings.with(change));
    }

    private Quantizer withFormat(Consumer<WeightFormat.Change> change) {
        return with(s -> s.format = s.format.with(change));
    }

    /**
     * Moves weights of convolutions before they are rounded, by least squares, so that each layer
     * gives of its quantized inputs what it gave of the float ones. It takes about twice the time,
     * and lifts models most of whose layers are in integers. Weights that are zero stay zero.
     */
    public Quantizer fittingWeights() {
        return with(s -> s.fitsWeights = true);
    }

    /**
     * How many threads the model will run with; all cores unless it is set.
     *
     * @param threads from 1 to 1024
     */
    public Quantizer threads(int threads) {
        if (threads < 1 || threads > 1024) {
            throw new EspalierException(
                    "A session has from 1 to 1024 threads, not " + threads + ".");
        }
        return with(s -> s.threads = threads);
    }

    /**
     * Does what a recipe says, without a search: for {@link #auto()}, whose choices are then those
     * of the recipe, whatever {@link #maxDrop} is. The recipe's mode and settings hold; {@link
     * #keepFloat}, {@link #portable}, {@link #perTensor}, {@link #reduceRange} and {@link
     * #fittingWeights} can be added to it.
     *
     * @see QuantizationResult#recipe()
     */
    public Quantizer recipe(Recipe recipe) {
        Needed.of(recipe, "the recipe");
        if (settings.mode() != QuantizationMode.AUTO) {
            throw new EspalierException(
                    "A recipe says of each layer what it becomes; it is followed by auto alone, not"
                            + " by "
                            + settings.mode()
                            + ".");
        }
        return with(s -> s.recipe = Optional.of(recipe));
    }

    /**
     * Keeps what the search of {@link #auto()} measures and decides in a file, from the moment it
     * is found. If the file is there, work that was stopped goes on from it: what was fitted and
     * given up is not fitted again. That holds for {@link #quantizeForLibtorch}, too.
     *
     * @param file of this model, these data and settings; that of others is refused
     */
    public Quantizer journal(Path file) {
        Needed.of(file, "the journal's file");
        return with(s -> s.journal = Optional.of(new Journal.Place(file, false)));
    }

    /**
     * The same in a file that is for nothing else: if it is of another model, other data or
     * settings, it is begun anew, and {@link #progress} is told so.
     */
    public Quantizer scratchJournal(Path file) {
        Needed.of(file, "the journal's file");
        return with(s -> s.journal = Optional.of(new Journal.Place(file, true)));
    }

    /** Tells somebody how far it is; {@code IO::println} prints a line for each step. */
    public Quantizer progress(Consumer<QuantizationProgress> listener) {
        Needed.of(listener, "the listener");
        return with(s -> s.progress = Pace.of(listener));
    }

    /**
     * Quantizes a model.
     *
     * @param data what it is calibrated, judged and measured with
     * @throws EspalierException if settings make no sense together, the data does not fit the
     *     model, a recipe is of another model, or ONNX Runtime can't run it
     */
    public QuantizationResult quantize(OnnxModel model, Inputs data) {
        require(model, data);
        QuantizationSettings all =
                settings.recipe()
                        .map(recipe -> recipe.appliedTo(settings))
                        .orElse(settings)
                        .with(s -> s.progress = s.progress.anew());
        all.requireMeaningInMode();
        settings.requireSearchForJournal();
        try (var journal = opened();
                var calibration = CalibrationData.read(model, data, all.mostExamples(model))) {
            begin(journal, model, calibration, "onnxruntime");
            return new QuantizationRun(model, calibration, all, journal).run();
        }
    }

    /**
     * Quantizes a model for libtorch, whose kernels compute activations with the convolutions
     * before them: the result is run by {@code CompressedModel}, in the place of ONNX Runtime.
     * Layers are convolutions and linear ones, with ranges found beforehand; those that lose too
     * much for {@link #maxDrop} stay in floats. {@link #keepFloat} takes names as {@link
     * LibtorchResult#table} has them.
     *
     * @param data what it is calibrated, judged and measured with
     * @throws EspalierException if a setting is of ONNX Runtime's files alone, the data does not
     *     fit the model, libtorch lacks one of its operators, or it has no layer that could be in
     *     integers
     */
    public LibtorchResult quantizeForLibtorch(OnnxModel model, Inputs data) {
        require(model, data);
        settings.requireMeaningForLibtorch();
        try (var journal = opened();
                var calibration = CalibrationData.read(model, data, settings.mostExamples(model))) {
            begin(journal, model, calibration, "libtorch");
            QuantizationSettings all = settings.with(s -> s.progress = s.progress.anew());
            return new LibtorchRun(model, calibration, all, journal).run();
        }
    }

    private static void require(OnnxModel model, Inputs data) {
        Needed.of(model, "the model");
        Needed.of(data, "the data");
        FiniteWeights.require(model);
    }

    /** The journal, before anything is computed that it would be too late for. */
    private Journal opened() {
        return settings.journal().map(Journal::open).orElseGet(Journal::none);
    }

    private void begin(Journal journal, OnnxModel model, CalibrationData data, String runtime) {
        if (settings.journal().isEmpty()) {
            return;
        }
        Path file = settings.journal().get().file();
        String judged = settings.task().map(task -> "; " + task + data.requireLabels()).orElse("");
        String work = Digest.of(model, data, runtime + "; " + settings.words() + judged);
        journal.of(work);
        if (journal.isBegunAnew()) {
            settings.progress().say("beginning " + file + " anew, which was of another search");
        } else if (!journal.isEmpty()) {
            settings.progress().say("going on from " + file);
        }
    }
}

package io.espalier.quant;

import io.espalier.graph.GraphModule;
import io.espalier.nn.Module;
import io.espalier.quant.fusion.Fusion;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;

import org.bytedeco.pytorch.Tensor;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Makes a model compute in 8-bit integers.
 *
 * <pre>{@code
 * model.eval();
 * Quantization.fuseModules(model, List.of("linear", "relu"));
 * model.qconfig(QConfig.forBackend("fbgemm"));
 * Quantization.prepare(model);
 * for (Tensor batch : calibration) model.call(batch);
 * Quantization.convert(model);
 * }</pre>
 *
 * <p>Each step changes the model it is given, wholly or, when it fails, not at all; to keep the
 * original, give it a {@link Module#copy}. The steps and their results are those of PyTorch's
 * {@code torch.ao.quantization} in eager mode.
 */
public final class Quantization {
    private static final String EXAMPLE = "the example";
    private static final String CALIBRATION = "the calibration data";
    private static final String QCONFIG = "the qconfig";
    private static final String FILE = "the file";

    private Quantization() {}

    /**
     * Fuses chains of layers for inference: a linear layer or convolution, also a transposed one,
     * with the batch normalization and the ReLU after it. The first module of a chain is replaced
     * by the fused one, the others by {@code Identity}. A pruned layer keeps its mask.
     *
     * @param names one chain of dotted paths, such as {@code List.of("conv", "bn", "relu")}, or a
     *     list of such lists; the places in a {@code Sequential} are called "0", "1", …
     * @throws EspalierException if a name does not exist, a chain is shorter than two or of another
     *     pattern, or a batch normalization is in training mode
     */
    public static void fuseModules(Module model, List<?> names) {
        Fusion.fuse(model, Fusion.named(names));
    }

    /**
     * Fuses chains of layers for training: like {@link #fuseModules}, but a batch normalization is
     * kept, and goes on training, until {@link #convert}. As PyTorch's {@code fuse_modules_qat}.
     *
     * @param names as for {@link #fuseModules}
     * @throws EspalierException if a name does not exist, or a chain is shorter than two or of
     *     another pattern
     */
    public static void fuseModulesQat(Module model, List<?> names) {
        Fusion.fuseForTraining(model, Fusion.named(names));
    }

    /**
     * Finds all chains that {@link #fuseModules} can fuse, by tracing the model and running it on
     * an example, and fuses them. A layer whose result is used at a second place stays as it is:
     * the model's graph says so, also where that makes no difference on the example. For code that
     * can't be traced a call with the chains joined does, which must give the very same numbers,
     * and then one of a copy with the chains fused: where its code reads what a normalization is
     * folded into, the layers stay as they are.
     *
     * @param example what the model is called with, so many tensors as it takes
     * @return the chains that were fused
     * @throws EspalierException if the model is in training mode, prepared or converted already, or
     *     can't take the example
     */
    public static List<List<String>> fuse(Module model, Tensor... example) {
        List<Tensor> inputs = Needed.all(example, EXAMPLE);
        if (Needed.of(model, "the model to fuse").isTraining()) {
            throw new EspalierException(
                    "Fusing for inference needs a model in inference mode; call eval() first.");
        }
        Preparation.requireFloat(model);
        List<List<String>> chains = Fusion.chains(model, inputs);
        Fusion.fuse(model, chains);
        return chains;
    }

    /**
     * Puts observers into all layers that have a {@code qconfig}, their own or one from above. Then
     * call the model on calibration data, and {@link #convert} it.
     *
     * <p>Where the model has no {@link QuantStub}, a layer that is handed floats gets an observer
     * of its input when that first happens, or at once if there is an example: to load the state of
     * a prepared model without stubs, give one.
     *
     * @param example what the model is called with, so many tensors as it takes; it is not observed
     * @throws EspalierException if nothing in the model has a qconfig, it is prepared already, or
     *     can't take the example
     */
    public static void prepare(Module model, Tensor... example) {
        EntryObservers.prepare(model, Needed.all(example, EXAMPLE), Preparation::prepare);
    }

    /**
     * Puts fake quantization into all layers that have a {@code qconfig}, their own or one from
     * above: from then on the model rounds weights and activations as its converted form will, and
     * is trained like any other. Masks of pruned layers hold. As PyTorch's {@code prepare_qat}.
     *
     * <p>{@link #converted} gives the converted form at any time. An optimizer made before the
     * first call does not train learnable scales of inputs that come as floats, nor can a state be
     * loaded then, unless there is an example, as for {@link #prepare}.
     *
     * @param example what the model is called with, so many tensors as it takes; it is not observed
     * @throws EspalierException if the model is in eval mode, nothing in it has a qconfig, a
     *     qconfig is not one for training, the model is prepared already, or can't take the example
     */
    public static void prepareQat(Module model, Tensor... example) {
        EntryObservers.prepare(model, Needed.all(example, EXAMPLE), QatPreparation::prepare);
    }

    /**
     * Replaces the observed layers by such that compute in 8-bit integers with the engine of their
     * {@code qconfig}. The model still takes and returns floats, with stubs or without.
     *
     * @throws EspalierException if the model is not prepared, a layer has seen no data, or a
     *     configuration has no int8 kernel
     */
    public static void convert(Module model) {
        Conversion.convert(model, Set.of());
    }

    /**
     * As {@link #convert(Module)}, for models that compute between their layers what has no int8
     * kernel, such as {@code fc.call(x).exp()}: in the named modules this runs in floats. Their
     * layers still compute in integers, but take and give floats, which costs a conversion each.
     *
     * @param inFloat the paths of modules that have layers; the empty path is the model itself
     * @throws EspalierException as {@link #convert(Module)}, or if a path names no module with
     *     layers
     */
    public static void convert(Module model, Set<String> inFloat) {
        Conversion.convert(model, Needed.of(inFloat, "the paths of what stays in float"));
    }

    /**
     * A copy of a prepared model, in inference mode and converted; the model itself is left as it
     * is, to be calibrated or trained on. What {@code trainer.evaluateAs(Quantization::converted)}
     * evaluates.
     *
     * @throws EspalierException as {@link #convert} does
     */
    @SuppressWarnings("TypeParameterUnusedInFormals") // the copy is of the model's class
    public static <M extends Module> M converted(M model) {
        M copy = Needed.of(model, "the model to convert").copy();
        copy.eval();
        convert(copy);
        return copy;
    }

    /**
     * Quantizes a whole model in one call, by its graph: it is traced on an example, chains of
     * layers are fused and integers placed where they pay, whatever has no integer kernel stays in
     * float. The model needs no stubs and no fusing before, and is left as it is. The result agrees
     * with that of {@link #prepare} and {@link #convert}, which keep to the model's own code,
     * within rounding, and is faster where there are sums and activations to fuse.
     *
     * <pre>{@code
     * model.eval();
     * GraphModule int8 = Quantization.quantize(model, example, calibration);
     * }</pre>
     *
     * @param model in inference mode; parts are configured by {@link Module#qconfig}, and all is by
     *     {@link QConfig#forBackend} of x86 if nothing is
     * @param example what the model is called with
     * @param calibration batches of typical inputs
     * @throws EspalierException if the model is in training mode or can't be traced, is prepared or
     *     converted already, has a qconfig for training, there is no calibration data, or nothing
     *     in it can be quantized
     * @see GraphQuantization the steps one by one
     */
    public static GraphModule quantize(Module model, Tensor example, Iterable<Tensor> calibration) {
        return quantize(
                model,
                List.of(Needed.of(example, EXAMPLE)),
                Calibration.eachAlone(Needed.of(calibration, CALIBRATION)));
    }

    /**
     * Quantizes a model of several inputs.
     *
     * @param example what the model is called with, all its inputs
     * @param calibration batches, each a list of all inputs
     * @see #quantize(Module, Tensor, Iterable)
     */
    public static GraphModule quantize(
            Module model, List<Tensor> example, Iterable<List<Tensor>> calibration) {
        Preparation.requireUnprepared(model);
        return GraphQuantization.quantize(
                model, Needed.all(example, EXAMPLE), Needed.of(calibration, CALIBRATION));
    }

    /**
     * Replaces Linear, LSTM and GRU by layers with 8-bit weights (or 16-bit, by {@link
     * QConfig#float16}) that take and return floats and quantize their inputs in each call, and the
     * tables of Embedding and EmbeddingBag by such of 8 (or 16) bits. Needs no calibration.
     *
     * @param qconfig such as {@link QConfig#dynamic}, {@link QConfig#dynamicPerChannel} or {@link
     *     QConfig#float16}; or, for tables only, {@link QConfig#weightOnly} or {@link
     *     QConfig#weightOnly4Bit}; its activation is not used
     * @throws EspalierException if the model has no such layer, or is one itself
     */
    public static void quantizeDynamic(Module model, QConfig qconfig) {
        DynamicQuantization.apply(model, Needed.of(qconfig, QCONFIG));
    }

    /**
     * As {@link #quantizeDynamic(Module, QConfig)}, for layers of some classes only.
     *
     * @throws EspalierException if the model has no such layer, is one itself, or a class has no
     *     dynamic kernel
     */
    public static void quantizeDynamic(
            Module model, QConfig qconfig, Set<? extends Class<? extends Module>> types) {
        DynamicQuantization.apply(
                model, Needed.of(qconfig, QCONFIG), Needed.of(types, "the classes of layers"));
    }

    /** {@link #quantizeDynamic(Module, QConfig)} with {@link QConfig#dynamic}. */
    public static void quantizeDynamic(Module model) {
        quantizeDynamic(model, QConfig.dynamic());
    }

    /**
     * Writes a converted model to one safetensors file: weights as 8-bit integers, scales, zero
     * points, engines, and which layers stand where. A file that is there is replaced at once.
     *
     * @throws EspalierException if the model is not converted, or the file can't be written
     */
    public static void save(Module model, Path file) {
        save(model, file, Map.of());
    }

    /**
     * Writes a converted model with notes of the program's own, such as the names of its classes,
     * which {@code SafeTensors.header(file).metadata()} gives back.
     *
     * @param notes none of which is called {@code format}, or begins with {@code espalier.}
     * @throws EspalierException if the model is not converted, a note is called so, or the file
     *     can't be written
     */
    public static void save(Module model, Path file, Map<String, String> notes) {
        QuantizedFile.save(
                Needed.of(model, "the model to save"),
                Needed.of(file, FILE),
                Needed.of(notes, "the notes"));
    }

    /**
     * Reads what {@link #save} wrote of the result of {@link #quantize}: program, integers and
     * scales. The model's code is not needed, unless layers were left in float.
     *
     * @throws EspalierException if the file can't be read, holds no quantized graph or one of
     *     another version, or layers in float
     */
    public static GraphModule loadGraph(Path file) {
        return QuantizedFile.loadGraph(Needed.of(file, FILE), Optional.empty());
    }

    /**
     * Reads what {@link #save} wrote of the result of {@link #quantize}.
     *
     * @param model the float architecture, for the layers that were left in float; it is left as it
     *     is
     * @throws EspalierException if the file can't be read, holds no quantized graph or one of
     *     another version, or does not fit the model
     */
    public static GraphModule loadGraph(Module model, Path file) {
        return QuantizedFile.loadGraph(
                Needed.of(file, FILE), Optional.of(Needed.of(model, "the float model")));
    }

    /**
     * Reads a converted model.
     *
     * @param model the float architecture, neither fused nor prepared; it is left as it is
     * @return a converted copy of {@code model} with the file's weights, in inference mode
     * @throws EspalierException if the file can't be read, was written by {@link Module#save} or
     *     another version, or does not fit the model
     */
    @SuppressWarnings("TypeParameterUnusedInFormals") // the copy is of the model's class
    public static <M extends Module> M load(M model, Path file) {
        Preparation.requireFloat(model);
        M copy = model.copy();
        QuantizedFile.load(copy, Needed.of(file, FILE));
        copy.eval();
        return copy;
    }
}

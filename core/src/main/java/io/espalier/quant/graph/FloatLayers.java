package io.espalier.quant.graph;

import io.espalier.nn.BatchNorm;
import io.espalier.nn.BatchNorm1d;
import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.BatchNorm3d;
import io.espalier.nn.Conv1d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Conv3d;
import io.espalier.nn.ConvTranspose1d;
import io.espalier.nn.ConvTranspose2d;
import io.espalier.nn.ConvTranspose3d;
import io.espalier.nn.Convolution;
import io.espalier.nn.Embedding;
import io.espalier.nn.EmbeddingBag;
import io.espalier.nn.GRU;
import io.espalier.nn.GroupNorm;
import io.espalier.nn.LSTM;
import io.espalier.nn.LayerNorm;
import io.espalier.nn.Linear;
import io.espalier.nn.Mask;
import io.espalier.nn.Module;
import io.espalier.nn.MultiheadAttention;
import io.espalier.nn.PReLU;
import io.espalier.nn.PaddingMode;
import io.espalier.nn.Recurrent;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.TreeMap;
import java.util.function.BiConsumer;
import java.util.function.Function;
import java.util.function.UnaryOperator;

/**
 * What a file says of the library's float layers, and the layers that are made of that again: their
 * constructor's settings. Sizes are not written; the tensors have them. Layers of a user's own
 * classes, subclasses too, have no description: their code is not in the file.
 */
final class FloatLayers {
    private static final String TYPE = "type";
    private static final Map<String, Kind<?>> KINDS = kinds();

    private FloatLayers() {}

    /** How the layers of one class are written and read. */
    private record Kind<M extends Module>(
            Class<M> type,
            BiConsumer<M, Map<String, String>> write,
            Function<SavedSettings, M> read) {
        Map<String, String> describe(Module layer) {
            Map<String, String> settings = new TreeMap<>();
            settings.put(TYPE, type.getSimpleName());
            write.accept(type.cast(layer), settings);
            return settings;
        }
    }

    /** Whether a module is one of the library's own layers with tensors, and no subclass of it. */
    static boolean isOne(Module module) {
        Kind<?> kind = KINDS.get(module.getClass().getSimpleName());
        return kind != null && kind.type() == module.getClass();
    }

    /** The float layer's description; empty for other modules. */
    static Optional<Map<String, String>> describe(Module module) {
        return isOne(module) ? Optional.of(kindOf(module).describe(module)) : Optional.empty();
    }

    private static Kind<?> kindOf(Module layer) {
        return Objects.requireNonNull(KINDS.get(layer.getClass().getSimpleName()));
    }

    /**
     * The layer that a description and its tensors make. Its tensors hold any values yet.
     *
     * @param place the file and path, for errors
     * @throws EspalierException if there is no such layer
     */
    static Module restore(
            String place, Map<String, String> description, Map<String, Tensor> tensors) {
        Kind<?> kind = KINDS.get(description.getOrDefault(TYPE, ""));
        if (kind == null) {
            throw new EspalierException(
                    place
                            + " is described as a float layer of type '"
                            + description.get(TYPE)
                            + "', which this library does not know.");
        }
        try {
            Module layer = kind.read().apply(new SavedSettings(description, tensors));
            mask(layer, tensors);
            return layer;
        } catch (EspalierException | IllegalArgumentException | ArithmeticException e) {
            throw new EspalierException(
                    place
                            + " is described in a form that makes no "
                            + kind.type().getSimpleName()
                            + ": "
                            + e.getMessage(),
                    e);
        }
    }

    /** A pruned layer's mask stays beside what it hides. */
    private static void mask(Module layer, Map<String, Tensor> tensors) {
        layer.namedModules()
                .forEach((path, part) -> {
                    String prefix = path.isEmpty() ? "" : path + ".";
                    for (String name : part.ownParameters().keySet().toArray(String[]::new)) {
                        var mask = new Mask(name);
                        if (tensors.containsKey(prefix + mask.bufferName())
                                && tensors.containsKey(prefix + mask.storedName())) {
                            long[] shape = Tensors.shape(part.parameter(name));
                            part.storeAs(name, mask.storedName());
                            part.addBuffer(mask.bufferName(), Tensors.ones(shape));
                            part.parametrize(name, mask);
                        }
                    }
                });
    }

    private static Map<String, Kind<?>> kinds() {
        Map<String, Kind<?>> kinds = new HashMap<>();
        add(
                kinds,
                Linear.class,
                (layer, settings) -> putBias(settings, layer.bias() != null),
                saved ->
                        new Linear(
                                saved.size("weight", 1),
                                saved.size("weight", 0),
                                with -> with.bias(saved.flag("bias"))));
        addConvolutions(kinds);
        addNormalizations(kinds);
        addTables(kinds);
        addRecurrent(kinds, LSTM.class, LSTM::new);
        addRecurrent(kinds, GRU.class, GRU::new);
        add(
                kinds,
                PReLU.class,
                (layer, settings) -> {},
                saved -> new PReLU(saved.size("weight", 0)));
        add(
                kinds,
                MultiheadAttention.class,
                (layer, settings) -> {
                    settings.put("heads", Long.toString(layer.numHeads()));
                    putBias(settings, layer.options().bias());
                    settings.put("dropout", Double.toString(layer.options().dropout()));
                    settings.put("batch_first", Boolean.toString(layer.options().batchFirst()));
                    settings.put("need_weights", Boolean.toString(layer.options().needWeights()));
                },
                saved ->
                        new MultiheadAttention(
                                saved.size("out_proj.weight", 0),
                                saved.number("heads"),
                                with ->
                                        with.dropout(saved.real("dropout"))
                                                .bias(saved.flag("bias"))
                                                .batchFirst(saved.flag("batch_first"))
                                                .needWeights(saved.flag("need_weights"))));
        return Map.copyOf(kinds);
    }

    private static <M extends Module> void add(
            Map<String, Kind<?>> kinds,
            Class<M> type,
            BiConsumer<M, Map<String, String>> write,
            Function<SavedSettings, M> read) {
        kinds.put(type.getSimpleName(), new Kind<>(type, write, read));
    }

    /** A convolution's constructor. */
    private interface ConvolutionMaker<M extends Convolution> {
        M make(long in, long out, long[] kernel, UnaryOperator<Convolution.Options> with);
    }

    private static void addConvolutions(Map<String, Kind<?>> kinds) {
        addConvolution(
                kinds,
                Conv1d.class,
                1,
                false,
                (in, out, kernel, with) -> new Conv1d(in, out, kernel[0], with));
        addConvolution(kinds, Conv2d.class, 2, false, Conv2d::new);
        addConvolution(kinds, Conv3d.class, 3, false, Conv3d::new);
        addConvolution(
                kinds,
                ConvTranspose1d.class,
                1,
                true,
                (in, out, kernel, with) -> new ConvTranspose1d(in, out, kernel[0], with));
        addConvolution(kinds, ConvTranspose2d.class, 2, true, ConvTranspose2d::new);
        addConvolution(kinds, ConvTranspose3d.class, 3, true, ConvTranspose3d::new);
    }

    private static <M extends Convolution> void addConvolution(
            Map<String, Kind<?>> kinds,
            Class<M> type,
            int rank,
            boolean transposed,
            ConvolutionMaker<M> maker) {
        add(
                kinds,
                type,
                (layer, settings) -> {
                    settings.put("stride", SavedSettings.text(layer.stride()));
                    settings.put("padding", SavedSettings.text(layer.padding()));
                    settings.put("dilation", SavedSettings.text(layer.dilation()));
                    settings.put("output_padding", SavedSettings.text(layer.outputPadding()));
                    settings.put("groups", Long.toString(layer.groups()));
                    putBias(settings, layer.hasParameter("bias"));
                    settings.put("padding_mode", layer.paddingMode().name());
                },
                saved -> {
                    long groups = saved.number("groups");
                    long outer = saved.size("weight", 0);
                    long inner = Math.multiplyExact(saved.size("weight", 1), groups);
                    return maker.make(
                            transposed ? outer : inner,
                            transposed ? inner : outer,
                            saved.kernel("weight", rank),
                            with ->
                                    with.stride(saved.numbers("stride"))
                                            .padding(saved.paddings("padding"))
                                            .dilation(saved.numbers("dilation"))
                                            .outputPadding(saved.numbers("output_padding"))
                                            .groups(groups)
                                            .bias(saved.flag("bias"))
                                            .paddingMode(
                                                    PaddingMode.valueOf(
                                                            saved.text("padding_mode"))));
                });
    }

    /** A batch normalization's constructor. */
    private interface NormMaker<M extends BatchNorm> {
        M make(long features, UnaryOperator<BatchNorm.Options> with);
    }

    private static void addNormalizations(Map<String, Kind<?>> kinds) {
        addBatchNorm(kinds, BatchNorm1d.class, BatchNorm1d::new);
        addBatchNorm(kinds, BatchNorm2d.class, BatchNorm2d::new);
        addBatchNorm(kinds, BatchNorm3d.class, BatchNorm3d::new);
        add(
                kinds,
                LayerNorm.class,
                (layer, settings) -> {
                    settings.put("shape", SavedSettings.text(layer.normalizedShape()));
                    putAffine(settings, layer.options().elementwiseAffine());
                    putBias(settings, layer.options().bias());
                    settings.put("eps", Double.toString(layer.eps()));
                },
                saved ->
                        new LayerNorm(
                                saved.flag("affine")
                                        ? saved.sizes("weight")
                                        : saved.numbers("shape"),
                                with ->
                                        with.eps(saved.real("eps"))
                                                .elementwiseAffine(saved.flag("affine"))
                                                .bias(saved.flag("bias"))));
        add(
                kinds,
                GroupNorm.class,
                (layer, settings) -> {
                    settings.put("groups", Long.toString(layer.numGroups()));
                    settings.put("channels", Long.toString(layer.numChannels()));
                    putAffine(settings, layer.options().affine());
                    settings.put("eps", Double.toString(layer.eps()));
                },
                saved ->
                        new GroupNorm(
                                saved.number("groups"),
                                saved.flag("affine")
                                        ? saved.size("weight", 0)
                                        : saved.number("channels"),
                                with -> with.eps(saved.real("eps")).affine(saved.flag("affine"))));
    }

    private static <M extends BatchNorm> void addBatchNorm(
            Map<String, Kind<?>> kinds, Class<M> type, NormMaker<M> maker) {
        add(
                kinds,
                type,
                (layer, settings) -> {
                    settings.put("features", Long.toString(layer.numFeatures()));
                    putAffine(settings, layer.options().affine());
                    settings.put("tracks", Boolean.toString(layer.options().trackRunningStats()));
                    settings.put("eps", Double.toString(layer.eps()));
                    settings.put("momentum", Double.toString(layer.momentum()));
                },
                saved -> {
                    boolean affine = saved.flag("affine");
                    boolean tracks = saved.flag("tracks");
                    String sized = affine ? "weight" : "running_mean";
                    return maker.make(
                            affine || tracks ? saved.size(sized, 0) : saved.number("features"),
                            with ->
                                    with.eps(saved.real("eps"))
                                            .momentum(saved.real("momentum"))
                                            .affine(affine)
                                            .trackRunningStats(tracks));
                });
    }

    private static void addTables(Map<String, Kind<?>> kinds) {
        add(
                kinds,
                Embedding.class,
                (layer, settings) -> putPadding(settings, layer.paddingIndex()),
                saved -> {
                    long count = saved.size("weight", 0);
                    long size = saved.size("weight", 1);
                    OptionalLong padding = saved.optional("padding_index");
                    return padding.isPresent()
                            ? new Embedding(count, size, padding.getAsLong())
                            : new Embedding(count, size);
                });
        add(
                kinds,
                EmbeddingBag.class,
                (layer, settings) -> {
                    EmbeddingBag.Options options = layer.options();
                    putPadding(settings, options.paddingIndex());
                    settings.put("mode", options.mode().name());
                    settings.put(
                            "include_last_offset", Boolean.toString(options.includeLastOffset()));
                },
                saved ->
                        new EmbeddingBag(
                                saved.size("weight", 0),
                                saved.size("weight", 1),
                                with ->
                                        new EmbeddingBag.Options(
                                                EmbeddingBag.Mode.valueOf(saved.text("mode")),
                                                saved.optional("padding_index"),
                                                saved.flag("include_last_offset"))));
    }

    private static void putBias(Map<String, String> settings, boolean bias) {
        settings.put("bias", Boolean.toString(bias));
    }

    private static void putAffine(Map<String, String> settings, boolean affine) {
        settings.put("affine", Boolean.toString(affine));
    }

    private static void putPadding(Map<String, String> settings, OptionalLong padding) {
        padding.ifPresent(index -> settings.put("padding_index", Long.toString(index)));
    }

    /** A recurrent network's constructor. */
    private interface RecurrentMaker<M extends Recurrent> {
        M make(long inputSize, long hiddenSize, UnaryOperator<Recurrent.Options> with);
    }

    private static <M extends Recurrent> void addRecurrent(
            Map<String, Kind<?>> kinds, Class<M> type, RecurrentMaker<M> maker) {
        add(
                kinds,
                type,
                (layer, settings) -> {
                    Recurrent.Options options = layer.options();
                    settings.put("layers", Long.toString(options.layers()));
                    putBias(settings, options.bias());
                    settings.put("bidirectional", Boolean.toString(options.bidirectional()));
                    settings.put("batch_first", Boolean.toString(options.batchFirst()));
                    settings.put("dropout", Double.toString(options.dropout()));
                },
                saved -> {
                    long layers = saved.number("layers");
                    saved.size("weight_hh_l" + (layers - 1), 1); // so many as there are tensors of
                    return maker.make(
                            saved.size("weight_ih_l0", 1),
                            saved.size("weight_hh_l0", 1),
                            with ->
                                    with.layers(layers)
                                            .bias(saved.flag("bias"))
                                            .batchFirst(saved.flag("batch_first"))
                                            .dropout(saved.real("dropout"))
                                            .bidirectional(saved.flag("bidirectional")));
                });
    }
}

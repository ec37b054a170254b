package io.espalier.onnx.quant;

import io.espalier.onnx.model.OnnxNode;
import io.espalier.tensor.EspalierException;

import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * What each layer of a model becomes, found once and applied again: to the same model trained
 * further, or on another machine. A YAML file that may be edited:
 *
 * <pre>{@code
 * espalier-recipe: 2
 * mode: auto
 * layers:
 *   conv1: int8
 *   fc: int8 dynamic
 *   stem: int8 stored
 *   head: float
 * }</pre>
 *
 * <p>Layers that it does not name stay in floats. Beside the layers a file has what else decides
 * their numbers: {@code mode} (auto, static, dynamic, weight-only or float16; auto if left out);
 * {@code bits} (8 or 4), {@code block-size} and {@code rounding} (gptq or nearest) of weights of 4
 * bits; {@code portable}, {@code per-tensor}, {@code reduce-range} and {@code fit-weights} (true or
 * false, false if left out).
 */
public final class Recipe {
    static final String INTEGERS = "int8";
    static final String DYNAMIC = "int8 dynamic";
    static final String STORED = "int8 stored";
    static final String FOUR_BITS = "int4";
    static final String HALVES = "float16 stored";
    static final String FLOAT = "float";
    static final List<String> PRECISIONS =
            List.of(INTEGERS, DYNAMIC, STORED, FOUR_BITS, HALVES, FLOAT);

    private final Content content;

    /** All that is in it. */
    record Content(
            QuantizationMode mode,
            WeightFormat format,
            boolean reducedRange,
            boolean fitsWeights,
            Map<String, String> layers) {
        Content {
            layers = Collections.unmodifiableMap(new LinkedHashMap<>(layers));
        }
    }

    /** What has weights that can be kept in fewer bits. */
    private static final Set<String> WEIGHTED =
            Set.of("Conv", "ConvTranspose", "MatMul", "Gemm", "LSTM", "GRU", "RNN");

    Recipe(Content content) {
        this.content = content;
        content.format().requireMeaningIn(content.mode());
        requirePortable(content.format());
        content.layers()
                .forEach((name, precision) -> {
                    if (!PRECISIONS.contains(precision)) {
                        throw new EspalierException(
                                "A recipe puts layers into %s; layer '%s' is %s."
                                        .formatted(String.join(", ", PRECISIONS), name, precision));
                    }
                });
    }

    /** What settings made of layers. */
    static Recipe of(QuantizationSettings settings, List<QuantizationResult.Layer> layers) {
        var precisions = new LinkedHashMap<String, String>();
        for (QuantizationResult.Layer layer : layers) {
            // A node with several weights is in floats only if all of them are.
            precisions.merge(
                    layer.name(),
                    layer.precision(),
                    (one, other) -> one.equals(FLOAT) ? other : one);
        }
        return new Recipe(
                new Content(
                        settings.mode(),
                        settings.format().spelledOut(),
                        settings.reducedRange(),
                        settings.fitsWeights(),
                        precisions));
    }

    /**
     * One for {@link QuantizationMode#AUTO} with nothing else set. The map is copied, in its order.
     *
     * @param layers names of nodes in the repaired graph, and each one's precision: {@code int8};
     *     {@code int8 dynamic}, which is for matrix products and finds ranges at each call; {@code
     *     int8 stored}, computed in floats; {@code int4}, for tables and where weights have 4 bits;
     *     {@code float16 stored}; or {@code float}
     * @throws EspalierException if a precision is none of these
     */
    public static Recipe of(Map<String, String> layers) {
        return new Recipe(
                new Content(QuantizationMode.AUTO, WeightFormat.DEFAULT, false, false, layers));
    }

    /**
     * Reads a file.
     *
     * @throws EspalierException if it is not there, or no recipe; the message says which line is
     *     wrong
     */
    public static Recipe load(Path file) {
        return RecipeFile.load(file);
    }

    /** Writes a file, in one move. */
    public void save(Path file) {
        RecipeFile.save(content, file);
    }

    /** What becomes integers, and when their ranges are found. */
    public QuantizationMode mode() {
        return content.mode();
    }

    /** Names of nodes in the repaired graph, and each one's precision. */
    public Map<String, String> layers() {
        return content.layers();
    }

    private void requirePortable(WeightFormat format) {
        if (format.portable() && !in(FOUR_BITS).isEmpty()) {
            throw new EspalierException(
                    "The recipe has layers in int4, and no standard operators that runtimes share"
                            + " have 4-bit integers; leave 'portable' out.");
        }
    }

    /** The settings with what this decides, and what they have besides. */
    QuantizationSettings appliedTo(QuantizationSettings settings) {
        WeightFormat given = settings.format();
        if (given.bits() != WeightFormat.DEFAULT.bits()
                || given.block().isPresent()
                || given.rounding().isPresent()
                || given.embeddings().isPresent()) {
            throw new EspalierException(
                    "A recipe says of weights and tables how many bits they have, and how they are"
                            + " rounded; leave these settings out.");
        }
        QuantizationSettings all =
                settings.with(s -> {
                    s.mode = content.mode();
                    s.format =
                            content.format()
                                    .with(f -> {
                                        f.portable |= given.portable();
                                        f.perTensor |= given.perTensor();
                                    });
                    s.reducedRange |= content.reducedRange();
                    s.fitsWeights |= content.fitsWeights();
                });
        requirePortable(all.format());
        return all;
    }

    /** What a layer becomes; what is not named stays in floats. */
    String precision(String layer) {
        return layers().getOrDefault(layer, FLOAT);
    }

    /** Whether a node's weights may be in fewer bits. */
    boolean allows(OnnxNode node) {
        String precision = layers().get(node.name());
        // With halves each weight is named by one of those that read it.
        return precision == null
                ? mode() == QuantizationMode.FLOAT16 || !WEIGHTED.contains(node.op())
                : !precision.equals(FLOAT);
    }

    /** The layers of a precision. */
    Set<String> in(String precision) {
        return layers().entrySet().stream()
                .filter(layer -> layer.getValue().equals(precision))
                .map(Map.Entry::getKey)
                .collect(Collectors.toSet());
    }

    /** Refuses names that a model has not. */
    void requireKnown(Set<String> nodes) {
        for (String name : layers().keySet()) {
            if (!nodes.contains(name)) {
                throw new EspalierException(
                        "The recipe names the layer '%s', which the model has not."
                                .formatted(name));
            }
        }
    }

    /**
     * Refuses what could not be done.
     *
     * @param keepsMore whether more layers are kept in floats than it says
     */
    void requireFollowed(Recipe followed, boolean keepsMore) {
        layers().forEach((name, wanted) -> {
            String found = followed.precision(name);
            if (!found.equals(wanted) && !(keepsMore && found.equals(FLOAT))) {
                throw new EspalierException(
                        "The recipe has layer '%s' in %s, which it can't be in mode %s; it would be in %s."
                                .formatted(name, wanted, RecipeFile.word(mode()), found));
            }
        });
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Recipe recipe && recipe.content.equals(content);
    }

    @Override
    public int hashCode() {
        return content.hashCode();
    }

    @Override
    public String toString() {
        return "Recipe" + layers();
    }
}

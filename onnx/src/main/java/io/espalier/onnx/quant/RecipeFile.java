package io.espalier.onnx.quant;

import io.espalier.onnx.quant.matmul.RoundingMethod;
import io.espalier.state.AtomicFile;
import io.espalier.state.TextFile;
import io.espalier.tensor.EspalierException;

import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.dataformat.yaml.YAMLMapper;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.stream.Collectors;

/** A recipe's YAML: a line for each setting and each layer. */
final class RecipeFile {
    private static final YAMLMapper MAPPER = YAMLMapper.builder().build();

    private static final String VERSION = "espalier-recipe";
    private static final String MODE = "mode";
    private static final String BITS = "bits";
    private static final String BLOCK = "block-size";
    private static final String ROUNDING = "rounding";
    private static final String PORTABLE = "portable";
    private static final String PER_TENSOR = "per-tensor";
    private static final String REDUCE_RANGE = "reduce-range";
    private static final String FIT_WEIGHTS = "fit-weights";
    private static final String LAYERS = "layers";
    private static final List<String> KEYS =
            List.of(
                    VERSION,
                    MODE,
                    BITS,
                    BLOCK,
                    ROUNDING,
                    PORTABLE,
                    PER_TENSOR,
                    REDUCE_RANGE,
                    FIT_WEIGHTS,
                    LAYERS);

    /** The first version had layers alone. */
    private static final Set<String> READ = Set.of("1", "2");

    private static final String WRITTEN = "2";

    /** More than the layers of any model need. */
    private static final int MOST_BYTES = 64 << 20;

    private final JsonParser parser;
    private final Set<String> seen = new HashSet<>();
    private final Map<String, String> layers = new LinkedHashMap<>();
    private QuantizationMode mode = QuantizationMode.AUTO;
    private WeightFormat format = WeightFormat.DEFAULT;
    private boolean reducedRange;
    private boolean fitsWeights;

    private RecipeFile(JsonParser parser) {
        this.parser = parser;
    }

    static void save(Recipe.Content recipe, Path file) {
        WeightFormat format = recipe.format();
        var entries = new LinkedHashMap<String, Object>();
        entries.put(VERSION, Integer.valueOf(WRITTEN));
        entries.put(MODE, word(recipe.mode()));
        if (recipe.mode() == QuantizationMode.WEIGHT_ONLY) {
            entries.put(BITS, format.bits());
        }
        format.block().ifPresent(size -> entries.put(BLOCK, size));
        format.rounding().ifPresent(method -> entries.put(ROUNDING, word(method)));
        entries.put(PORTABLE, format.portable());
        entries.put(PER_TENSOR, format.perTensor());
        entries.put(REDUCE_RANGE, recipe.reducedRange());
        entries.put(FIT_WEIGHTS, recipe.fitsWeights());
        entries.put(LAYERS, recipe.layers());
        String text = MAPPER.writeValueAsString(entries);
        AtomicFile.write(file, out -> out.write(StandardCharsets.UTF_8.encode(text)));
    }

    static Recipe load(Path file) {
        try {
            if (Files.exists(file) && !Files.isRegularFile(file)) {
                throw new EspalierException("it is a folder, a pipe or a device.");
            }
            if (Files.exists(file) && Files.size(file) > MOST_BYTES) {
                throw new EspalierException("it is far too large.");
            }
            String text = TextFile.read(file, MOST_BYTES);
            try (JsonParser parser = MAPPER.createParser(text)) {
                return new RecipeFile(parser).read();
            }
        } catch (IOException e) {
            throw new EspalierException(
                    "The recipe %s can't be read: %s.".formatted(file, AtomicFile.reason(e)), e);
        } catch (JacksonException e) {
            throw new EspalierException(
                    "%s is no recipe: line %d: it is no YAML."
                            .formatted(file, Math.max(1, e.getLocation().getLineNr())),
                    e);
        } catch (EspalierException e) {
            throw new EspalierException("%s is no recipe: %s".formatted(file, e.getMessage()), e);
        }
    }

    private Recipe read() {
        if (parser.nextToken() != JsonToken.START_OBJECT) {
            throw wrong("it has no '" + VERSION + "' and no '" + LAYERS + "'.");
        }
        while (parser.nextToken() == JsonToken.PROPERTY_NAME) {
            String key = once(parser.currentName());
            if (!KEYS.contains(key)) {
                throw wrong(
                        "a recipe has no '%s'; it has %s.".formatted(key, String.join(", ", KEYS)));
            }
            if (key.equals(LAYERS)) {
                readLayers();
            } else {
                set(key, scalar(key));
            }
        }
        if (parser.nextToken() != null) {
            throw wrong("it goes on after its end.");
        }
        for (String needed : List.of(VERSION, LAYERS)) {
            if (!seen.contains(needed)) {
                throw new EspalierException("it has no '" + needed + "'.");
            }
        }
        return new Recipe(new Recipe.Content(mode, format, reducedRange, fitsWeights, layers));
    }

    private void readLayers() {
        if (parser.nextToken() != JsonToken.START_OBJECT) {
            throw wrong("'layers' are lines 'NAME: PRECISION'.");
        }
        while (parser.nextToken() == JsonToken.PROPERTY_NAME) {
            String layer = parser.currentName();
            String precision = scalar(layer);
            if (!Recipe.PRECISIONS.contains(precision)) {
                throw wrong(
                        "layer '%s' is %s; a layer is in %s."
                                .formatted(layer, precision, String.join(", ", Recipe.PRECISIONS)));
            }
            if (layers.put(layer, precision) != null) {
                throw wrong("layer '%s' is there twice.".formatted(layer));
            }
        }
    }

    private String once(String key) {
        if (!seen.add(key)) {
            throw wrong("'%s' is there twice.".formatted(key));
        }
        return key;
    }

    private String scalar(String key) {
        JsonToken token = parser.nextToken();
        if (token == null || !token.isScalarValue() || token == JsonToken.VALUE_NULL) {
            throw wrong("'%s' has no value, or more than one.".formatted(key));
        }
        return String.valueOf(parser.getString());
    }

    private void set(String key, String value) {
        switch (key) {
            case VERSION -> {
                if (!READ.contains(value)) {
                    throw wrong("its version is %s; this is version %s.".formatted(value, WRITTEN));
                }
            }
            case MODE -> mode = named(key, value, QuantizationMode.values());
            case BITS -> format = format.with(f -> f.bits = number(key, value));
            case BLOCK -> format = format.with(f -> f.block = OptionalInt.of(number(key, value)));
            case ROUNDING ->
                    format =
                            format.with(f ->
                                    f.rounding =
                                            Optional.of(
                                                    named(key, value, RoundingMethod.values())));
            case PORTABLE -> format = format.with(f -> f.portable = truth(key, value));
            case PER_TENSOR -> format = format.with(f -> f.perTensor = truth(key, value));
            case REDUCE_RANGE -> reducedRange = truth(key, value);
            case FIT_WEIGHTS -> fitsWeights = truth(key, value);
            default -> throw new IllegalStateException(key);
        }
    }

    private int number(String key, String value) {
        if (!value.matches("\\d{1,6}")) {
            throw wrong("'%s' is a number, not %s.".formatted(key, value));
        }
        return Integer.parseInt(value);
    }

    private boolean truth(String key, String value) {
        return switch (value) {
            case "true" -> true;
            case "false" -> false;
            default -> throw wrong("'%s' is true or false, not %s.".formatted(key, value));
        };
    }

    private <E extends Enum<E>> E named(String key, String value, E[] all) {
        return Arrays.stream(all)
                .filter(one -> word(one).equals(value))
                .findFirst()
                .orElseThrow(() ->
                        wrong(
                                "'%s' is one of %s, not %s."
                                        .formatted(
                                                key,
                                                Arrays.stream(all)
                                                        .map(RecipeFile::word)
                                                        .collect(Collectors.joining(", ")),
                                                value)));
    }

    /** The word for a constant, as on the command line. */
    static String word(Enum<?> constant) {
        return constant.name().toLowerCase(Locale.ROOT).replace('_', '-');
    }

    private EspalierException wrong(String what) {
        return new EspalierException(
                "line %d: %s"
                        .formatted(Math.max(1, parser.currentTokenLocation().getLineNr()), what));
    }
}

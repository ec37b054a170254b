package io.espalier.onnx.inputs;

import ai.djl.huggingface.tokenizers.Encoding;
import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;

import io.espalier.state.AtomicFile;
import io.espalier.state.TextFile;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.function.Function;

/** A {@code tokenizer.json}, read and run by Hugging Face's own library as DJL binds it. */
final class Tokenizer implements AutoCloseable {
    private static final int USUAL_LENGTH = 512;
    private static final int MOST_BYTES = 256 << 20;

    private final HuggingFaceTokenizer tokenizer;

    private Tokenizer(HuggingFaceTokenizer tokenizer) {
        this.tokenizer = tokenizer;
    }

    /**
     * Reads one; a {@link LinkageError} says that the library is not there.
     *
     * @param length how long all texts are made, if the model takes only that
     * @param maxLength how long they may be
     */
    static Tokenizer open(Path file, OptionalLong length, OptionalInt maxLength) {
        try {
            if (!Files.isDirectory(file)) {
                TextFile.read(file, MOST_BYTES);
            }
            return new Tokenizer(opened(file, length, maxLength));
        } catch (IOException e) {
            throw new EspalierException(
                    "Can't read the tokenizer " + file + ": " + AtomicFile.reason(e) + ".", e);
        } catch (RuntimeException e) {
            throw new EspalierException(file + " is no tokenizer.json that can be used.", e);
        }
    }

    private static HuggingFaceTokenizer opened(
            Path file, OptionalLong length, OptionalInt maxLength) throws IOException {
        // It would otherwise tell its makers that it is used, from within their cloud.
        System.getProperties().putIfAbsent("OPT_OUT_TRACKING", "true");
        var builder = HuggingFaceTokenizer.builder().optTokenizerPath(file).optTruncation(true);
        if (length.isPresent()) {
            return builder.optPadToMaxLength()
                    .optMaxLength(Math.toIntExact(length.getAsLong()))
                    .build();
        }
        builder.optPadding(true);
        if (maxLength.isPresent()) {
            return builder.optMaxLength(maxLength.getAsInt()).build();
        }
        HuggingFaceTokenizer asItSays = builder.build();
        if (asItSays.getMaxLength() > 0) {
            return asItSays;
        }
        asItSays.close();
        return builder.optMaxLength(USUAL_LENGTH).build();
    }

    /** The tokens of texts, [N, L], L being the longest's length. */
    Map<String, Tensor> encode(List<String> texts) {
        Encoding[] encodings;
        try {
            encodings = tokenizer.batchEncode(texts);
        } catch (RuntimeException e) {
            throw new EspalierException(
                    "The tokenizer can't encode '%s' and what follows: %s."
                            .formatted(texts.getFirst(), reason(e)),
                    e);
        }
        return Map.of(
                TextInputs.IDS, stacked(encodings, Encoding::getIds),
                TextInputs.MASK, stacked(encodings, Encoding::getAttentionMask),
                TextInputs.TYPES, stacked(encodings, Encoding::getTypeIds));
    }

    private static Tensor stacked(Encoding[] encodings, Function<Encoding, long[]> numbers) {
        long[] all = Arrays.stream(encodings).map(numbers).flatMapToLong(Arrays::stream).toArray();
        return Tensors.of(all, encodings.length, all.length / encodings.length);
    }

    private static String reason(RuntimeException e) {
        return String.valueOf(e.getMessage()).lines().findFirst().orElse("no reason given");
    }

    @Override
    public void close() {
        tokenizer.close();
    }
}

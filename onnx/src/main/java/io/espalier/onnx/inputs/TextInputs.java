package io.espalier.onnx.inputs;

import io.espalier.onnx.inputs.BatchSource.Made;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.state.AtomicFile;
import io.espalier.state.TextFile;
import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.Tensor;

import java.io.IOException;
import java.lang.ref.Cleaner;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeSet;

/** Lines of text for a model that takes tokens. */
public final class TextInputs extends Inputs {
    private static final int MOST_BYTES = 256 << 20;

    static final String IDS = "input_ids";
    static final String MASK = "attention_mask";
    static final String TYPES = "token_type_ids";

    private static final List<String> NAMES = List.of(IDS, MASK, TYPES);

    private static final Cleaner CLEANER = Cleaner.create();

    private final Path lines;
    private final Path tokenizer;
    private final OptionalInt maxLength;

    TextInputs(Path lines, Path tokenizer, Selection selection) {
        this(lines, tokenizer, selection, OptionalInt.empty());
    }

    private TextInputs(Path lines, Path tokenizer, Selection selection, OptionalInt maxLength) {
        super(selection);
        this.lines = lines;
        this.tokenizer = tokenizer;
        this.maxLength = maxLength;
    }

    /**
     * Cut to so many tokens; to what the tokenizer's file says if it is not set, else to 512. A
     * model that takes one length gets that.
     *
     * @param tokens 2 or more
     * @throws EspalierException if it is below 2
     */
    public TextInputs maxLength(int tokens) {
        if (tokens < 2) {
            throw new EspalierException("A text has 2 or more tokens, not " + tokens + ".");
        }
        return new TextInputs(lines, tokenizer, selection, OptionalInt.of(tokens));
    }

    @Override
    public TextInputs batch(int examples) {
        return with(selection.batch(examples));
    }

    @Override
    public TextInputs limit(int examples) {
        return with(selection.limit(examples));
    }

    @Override
    public TextInputs shuffled(long seed) {
        return with(selection.shuffled(seed));
    }

    @Override
    TextInputs with(Selection other) {
        return new TextInputs(lines, tokenizer, other, maxLength);
    }

    @Override
    BatchSource open(OnnxModel model, Signature signature) {
        Set<String> others = new TreeSet<>();
        signature.inputs().forEach(input -> others.add(input.name()));
        others.removeAll(NAMES);
        if (!others.isEmpty()) {
            throw new EspalierException(
                    "A tokenizer gives %s, not %s. %s (give arrays named so)"
                            .formatted(
                                    String.join(", ", NAMES),
                                    String.join(", ", others),
                                    signature.wanted()));
        }
        List<String> sentences = selection.chosen(sentences());
        OptionalLong fixed = signature.inputs().getFirst().fixed(1);
        Tokenizer opened = opened(fixed);
        var source =
                ExampleSource.of(
                        lines.toString(),
                        signature,
                        selection,
                        sentences,
                        List.of(),
                        some -> made(opened, signature, some));
        CLEANER.register(source, opened::close);
        return source;
    }

    private Tokenizer opened(OptionalLong fixed) {
        try {
            return Tokenizer.open(tokenizer, fixed, maxLength);
        } catch (LinkageError e) {
            throw new EspalierException(
                    "Text needs DJL's tokenizers, which are not on the class path or not made for"
                            + " this machine; add ai.djl.huggingface:tokenizers:0.38.0 ("
                            + e.getMessage()
                            + ").",
                    e);
        }
    }

    private List<String> sentences() {
        try {
            List<String> all =
                    TextFile.lines(lines, MOST_BYTES).stream()
                            .filter(line -> !line.isBlank())
                            .toList();
            if (all.isEmpty()) {
                throw new EspalierException(lines + " has no lines of text.");
            }
            return all;
        } catch (IOException e) {
            throw new EspalierException(
                    "Can't read the text " + lines + ": " + AtomicFile.reason(e) + ".", e);
        }
    }

    private Made made(Tokenizer opened, Signature signature, List<String> some) {
        Map<String, Tensor> tokens = new HashMap<>(opened.encode(some));
        tokens.keySet().retainAll(signature.inputs().stream().map(TensorInfo::name).toList());
        return new Made(lines.toString(), tokens);
    }
}

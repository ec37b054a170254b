package io.espalier.onnx.inputs;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import static java.util.Objects.requireNonNull;

import io.espalier.onnx.RealModels;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.run.OnnxSession;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;

@DisplayName("Text as a model's inputs")
class TextInputsTest {
    private static final OnnxModel BERT =
            ModelsTaking.of(
                    "input_ids: int64 [N, L]",
                    "attention_mask: int64 [N, L]",
                    "token_type_ids: int64 [N, L]");

    @TempDir Path folder;
    private Path lines;
    private Path tokenizer;

    @BeforeEach
    void files() throws IOException {
        tokenizer = RealModels.miniLmTokenizer(folder);
        lines =
                Files.writeString(
                        folder.resolve("lines.txt"),
                        "hello world\n\nthe trait of being cautious\n  \nhello\n");
    }

    private static List<long[]> run(Inputs inputs, OnnxModel model, String input) {
        var seen = new ArrayList<long[]>();
        for (Map<String, Tensor> batch : inputs.checkedFor(model)) {
            seen.add(Tensors.longs(requireNonNull(batch.get(input))));
        }
        return seen;
    }

    @Test
    @DisplayName("becomes tokens, a mask and types, as long as the longest of the batch")
    void tokens() {
        Inputs inputs = Inputs.text(lines, tokenizer).batch(2);

        List<long[]> ids = run(inputs, BERT, "input_ids");

        assertEquals(2, ids.size());
        assertArrayEquals(
                new long[] {
                    101, 7592, 2088, 102, 0, 0, 0, 101, 1996, 18275, 1997, 2108, 17145, 102
                },
                ids.getFirst());
        assertArrayEquals(new long[] {101, 7592, 102}, ids.getLast());
        assertArrayEquals(
                new long[] {1, 1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1},
                run(inputs, BERT, "attention_mask").getFirst());
        assertArrayEquals(new long[14], run(inputs, BERT, "token_type_ids").getFirst());
    }

    @Test
    @DisplayName("is as long as the model takes, or as it may be, and only what the model wants")
    void lengths() {
        OnnxModel fixed =
                ModelsTaking.of("input_ids: int32 [1, 5]", "attention_mask: int64 [1, 5]");

        assertEquals(
                List.of(5, 5, 5),
                run(Inputs.text(lines, tokenizer), fixed, "input_ids").stream()
                        .map(row -> row.length)
                        .toList());
        assertArrayEquals(
                new long[] {101, 1996, 18275, 102},
                run(Inputs.text(lines, tokenizer).maxLength(4).batch(1), BERT, "input_ids").get(1));
    }

    @Test
    @DisplayName("runs a real model")
    void realModel() {
        OnnxModel model = OnnxModel.load(RealModels.miniLm(folder));

        try (var session = OnnxSession.open(model);
                var loop = Inputs.text(lines, tokenizer).limit(2).checkedFor(model).iterator();
                var scope = new PointerScope()) {
            Map<String, Tensor> batch = loop.next();
            Tensor hidden = session.run(batch).values().iterator().next();

            assertEquals(Set.copyOf(session.inputs()), batch.keySet());
            assertArrayEquals(new long[] {2, 7, 384}, Tensors.shape(hidden));
        }
    }

    @Test
    @DisplayName("that can't be given is refused in one sentence")
    void refused() throws IOException {
        assertRefused(
                "A tokenizer gives input_ids, attention_mask, token_type_ids, not pixels.",
                Inputs.text(lines, tokenizer),
                ModelsTaking.of("input_ids: int64 [N, L]", "pixels: float [N, 3]"));
        Path gone = folder.resolve("gone");
        assertRefused("Can't read the text " + gone, Inputs.text(gone, tokenizer), BERT);
        assertRefused("Can't read the tokenizer " + gone, Inputs.text(lines, gone), BERT);
        Path bad = Files.writeString(folder.resolve("bad.json"), "{}");
        assertRefused(bad + " is no tokenizer.json", Inputs.text(lines, bad), BERT);
        Path empty = Files.writeString(folder.resolve("empty.txt"), "\n \n");
        assertRefused(empty + " has no lines of text.", Inputs.text(empty, tokenizer), BERT);
        Path latin = Files.write(folder.resolve("latin.txt"), new byte[] {'a', (byte) 0xE9});
        assertRefused("Can't read the text " + latin, Inputs.text(latin, tokenizer), BERT);
        assertThrows(EspalierException.class, () -> Inputs.text(lines, tokenizer).maxLength(1));
    }

    @Test
    @DisplayName("says what to add where the tokenizers are not on the class path")
    void withoutTokenizers() throws ReflectiveOperationException {
        Class<?> inputs = new WithoutTokenizers().loadClass(Inputs.class.getName());
        Object text =
                inputs.getMethod("text", Path.class, Path.class).invoke(null, lines, tokenizer);
        Method checkedFor = inputs.getMethod("checkedFor", OnnxModel.class);

        var error =
                assertThrows(InvocationTargetException.class, () -> checkedFor.invoke(text, BERT));

        String message = String.valueOf(requireNonNull(error.getCause()).getMessage());
        assertTrue(message.contains("add ai.djl.huggingface:tokenizers:"), message);
    }

    /** Loads this room's classes anew, and none of the tokenizers'. */
    private static final class WithoutTokenizers extends ClassLoader {
        WithoutTokenizers() {
            super(Inputs.class.getClassLoader());
        }

        @Override
        protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
            if (name.startsWith("ai.djl.")) {
                throw new ClassNotFoundException(name);
            }
            if (!name.startsWith(Inputs.class.getPackageName() + ".")) {
                return super.loadClass(name, resolve);
            }
            Class<?> known = findLoadedClass(name);
            return known == null ? define(name) : known;
        }

        private Class<?> define(String name) throws ClassNotFoundException {
            try (var in = getResourceAsStream(name.replace('.', '/') + ".class")) {
                byte[] bytes = requireNonNull(in).readAllBytes();
                return defineClass(name, bytes, 0, bytes.length);
            } catch (IOException e) {
                throw new ClassNotFoundException(name, e);
            }
        }
    }

    private static void assertRefused(String words, Inputs inputs, OnnxModel model) {
        String message =
                String.valueOf(
                        assertThrows(EspalierException.class, () -> inputs.checkedFor(model))
                                .getMessage());
        assertTrue(message.contains(words), message);
        assertEquals(1, message.lines().count(), message);
    }
}

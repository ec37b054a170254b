package io.espalier.onnx;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Models that come as Maven artifacts, as files. */
public final class RealModels {
    private RealModels() {}

    /** Text recognition, PP-OCRv4. */
    public static Path ocr(Path folder) {
        return resource("/models/ch_PP-OCRv4_rec_infer.onnx", folder);
    }

    /** Text detection, PP-OCRv4. */
    public static Path detector(Path folder) {
        return resource("/models/ch_PP-OCRv4_det_infer.onnx", folder);
    }

    /** Sentence embedding, MiniLM-L6. */
    public static Path miniLm(Path folder) {
        return resource("/all-minilm-l6-v2.onnx", folder);
    }

    /** The tokenizer of {@link #miniLm}. */
    public static Path miniLmTokenizer(Path folder) {
        return resource("/all-minilm-l6-v2-tokenizer.json", folder);
    }

    private static Path resource(String name, Path folder) {
        Path file = folder.resolve(name.substring(name.lastIndexOf('/') + 1));
        try (InputStream in = RealModels.class.getResourceAsStream(name)) {
            if (in == null) {
                throw new IllegalStateException("No resource " + name);
            }
            Files.copy(in, file);
            return file;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}

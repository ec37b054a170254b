package io.espalier.state;

import io.espalier.tensor.Internal;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** Files of text in UTF-8 that a person names, who may have named another. */
@Internal
public final class TextFile {
    private TextFile() {}

    /** What editors of some systems write first, to say that UTF-8 follows. */
    private static final String BYTE_ORDER_MARK = "\uFEFF";

    /**
     * All of a file but a byte-order mark, of which no more than so many bytes are held.
     *
     * @throws IOException if it can't be read, is larger, or no text; the reason says which
     */
    public static String read(Path file, int mostBytes) throws IOException {
        byte[] bytes;
        try (InputStream in = Files.newInputStream(file)) {
            bytes = in.readNBytes(mostBytes);
            if (in.read() >= 0) {
                throw new FileSystemException(
                        file.toString(), null, "it has more than %d MB".formatted(mostBytes >> 20));
            }
        }
        try {
            String text =
                    StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
            return text.startsWith(BYTE_ORDER_MARK) ? text.substring(1) : text;
        } catch (CharacterCodingException e) {
            var foreign = new FileSystemException(file.toString(), null, "it is no text in UTF-8");
            foreign.initCause(e);
            throw foreign;
        }
    }

    /** Its lines. */
    public static List<String> lines(Path file, int mostBytes) throws IOException {
        return read(file, mostBytes).lines().toList();
    }
}

package io.espalier.onnx.inputs;

import io.espalier.state.AtomicFile;
import io.espalier.state.TextFile;
import io.espalier.tensor.EspalierException;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * The characters that a recognizer of text knows, as classes of its result: 0 is the blank between
 * characters, then come those of a file, and last a space, if the result has one class more.
 */
public final class Characters {
    private static final int MOST_BYTES = 1 << 20;

    private final Path file;
    private final List<String> lines;

    private Characters(Path file, List<String> lines) {
        this.file = file;
        this.lines = List.copyOf(lines);
    }

    /**
     * Reads a UTF-8 file with a character in each line.
     *
     * @throws EspalierException if it can't be read, or is empty
     */
    public static Characters load(Path file) {
        try {
            List<String> lines = TextFile.lines(file, MOST_BYTES);
            if (lines.isEmpty()) {
                throw new EspalierException("The file " + file + " has no characters.");
            }
            return new Characters(file, lines);
        } catch (IOException e) {
            throw new EspalierException(
                    "Can't read the characters in " + file + ": " + AtomicFile.reason(e) + ".", e);
        }
    }

    /**
     * The character of each class.
     *
     * @param classes how many the model's result has
     * @throws EspalierException if they are not the file's, a blank, and perhaps a space
     */
    List<String> ofClasses(long classes) {
        var all = new ArrayList<String>();
        all.add("");
        all.addAll(lines);
        if (classes == all.size() + 1) {
            all.add(" ");
        }
        if (classes != all.size()) {
            throw new EspalierException(
                    "The model has %d classes, and %s %d characters for a blank, them, and maybe a space."
                            .formatted(classes, file, lines.size()));
        }
        return all;
    }

    /** The characters in the order of their classes. */
    @Override
    public String toString() {
        return String.join("", lines);
    }

    /**
     * A text as the classes of its characters.
     *
     * @param classes how many the model's result has
     * @throws EspalierException if the text has a character that is none of them
     */
    public long[] codes(String text, long classes) {
        Map<String, Integer> places = new HashMap<>();
        List<String> all = ofClasses(classes);
        for (int i = 1; i < all.size(); i++) {
            places.putIfAbsent(all.get(i), i);
        }
        return text.codePoints()
                .mapToObj(Character::toString)
                .mapToLong(character -> {
                    Integer place = places.get(character);
                    if (place == null) {
                        throw new EspalierException(
                                "The text '%s' has the character '%s', which is none of those in %s."
                                        .formatted(text, character, file));
                    }
                    return place;
                })
                .toArray();
    }
}

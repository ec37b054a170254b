package io.espalier.cli;

import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * Text from outside (names in files, paths, arguments) as a terminal may be given it: characters
 * that would steer the terminal, or hide what stands there, are spelled out.
 */
final class Printable {
    /** Control characters, formatting ones such as changes of direction, and line separators. */
    private static final Pattern STEERING = Pattern.compile("[\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}]");

    private static final Pattern STEERING_BUT_LINES =
            Pattern.compile("[[\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}]&&[^\n]]");

    private Printable() {}

    /** One line: {@code ESC} becomes <code>&#92;u001b</code>. */
    static String line(String text) {
        return spellOut(STEERING, text);
    }

    /** Text of several lines, which stay. */
    static String lines(String text) {
        return spellOut(STEERING_BUT_LINES, text);
    }

    private static String spellOut(Pattern characters, String text) {
        return characters
                .matcher(text)
                .replaceAll(found -> Matcher.quoteReplacement(units(found.group())));
    }

    /** As Java and JSON write characters: each unit of UTF-16 by itself. */
    private static String units(String character) {
        return character.chars().mapToObj("\\u%04x"::formatted).collect(Collectors.joining());
    }
}

package io.espalier.conformance;

import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * An error that PyTorch raised. Ours says it in other words, but must name the same thing: what was
 * asked for, and what it collided with.
 *
 * @param message PyTorch's own words
 * @param params the case's arguments, for messages of PyTorch that don't repeat them
 */
record Fault(String message, Map<String, String> params) {
    /**
     * A kind of fault.
     *
     * @param theirs finds PyTorch's message; what its groups capture must be named by ours
     * @param words beginnings of words that ours must contain as well
     * @param params arguments of the case that ours must name
     */
    private record Kind(Pattern theirs, List<String> words, List<String> params) {
        Kind(String theirs, List<String> words, List<String> params) {
            this(Pattern.compile(theirs), words, params);
        }

        Stream<String> evidence(MatchResult found, Map<String, String> arguments) {
            Stream<String> captured =
                    IntStream.rangeClosed(1, found.groupCount()).mapToObj(found::group);
            Stream<String> named = params.stream().map(name -> arguments.getOrDefault(name, ""));
            return Stream.of(captured, words.stream(), named).flatMap(all -> all);
        }
    }

    /** The first kind that finds itself in PyTorch's message is the fault's. */
    private static final List<Kind> KINDS =
            List.of(
                    new Kind(
                            "amount=(\\S+) should either be a float", List.of("amount"), List.of()),
                    new Kind(
                            "amount=(\\d+) should be smaller than .* to prune=(\\d+)",
                            List.of(),
                            List.of()),
                    new Kind(
                            "Invalid index (-?\\d+) for tensor of size torch.Size\\(\\[(.*)]\\)",
                            List.of("dim"),
                            List.of()),
                    new Kind("tuple index out of range", List.of("dim"), List.of("dim")),
                    new Kind(
                            "only be applied to multidimensional .*torch.Size\\(\\[(.*)]\\)",
                            List.of("dim"),
                            List.of()),
                    new Kind(
                            "Parameter '(\\w+)' .* has to be pruned", List.of("pruned"), List.of()),
                    new Kind("object has no attribute '(\\w+)'", List.of(), List.of()),
                    new Kind(
                            "did not find fuser method for: \\(<[^>]+>,\\)",
                            List.of("two"),
                            List.of()),
                    new Kind("<class 'torch\\.[\\w.]*?(\\w+)'>", List.of("fus"), List.of()),
                    // A fault that is not in this list: ours must at least name the same numbers.
                    new Kind("(?<![\\w.-])(-?\\d+(?:\\.\\d+)?)(?!\\w)", List.of(), List.of()));

    /** The words and numbers that a message must contain to name this fault. */
    List<String> evidence() {
        for (Kind kind : KINDS) {
            List<MatchResult> found = kind.theirs().matcher(message).results().toList();
            if (!found.isEmpty()) {
                return found.stream().flatMap(match -> kind.evidence(match, params)).toList();
            }
        }
        return List.of();
    }

    /** Which of the {@link #evidence} a message of ours lacks; empty where it names this fault. */
    List<String> missingFrom(String ours) {
        return evidence().stream().filter(word -> !names(ours, word)).toList();
    }

    /** Whether a message contains a number on its own, or a word that begins so. */
    private static boolean names(String message, String word) {
        return Pattern.compile("(?<![\\w.-])" + Pattern.quote(lower(word)) + "(?!\\d|\\.\\d)")
                .matcher(lower(message))
                .find();
    }

    private static String lower(String text) {
        return text.toLowerCase(Locale.ROOT);
    }
}

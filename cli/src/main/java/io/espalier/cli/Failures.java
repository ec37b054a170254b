package io.espalier.cli;

import io.espalier.tensor.EspalierException;

import org.jspecify.annotations.Nullable;

import picocli.CommandLine;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.UnmatchedArgumentException;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;

/** What a failed command says on standard error, and its exit code. */
final class Failures {
    private Failures() {}

    /** A wrong command line: what is wrong, what may have been meant, where the help is. */
    static int usage(ParameterException error, String[] args) {
        CommandLine at = error.getCommandLine();
        PrintWriter err = at.getErr();
        err.println(line(at, firstLine(error.getMessage())));
        var suggestions = new StringWriter();
        UnmatchedArgumentException.printSuggestions(error, new PrintWriter(suggestions, true));
        err.print(Printable.lines(suggestions.toString()));
        err.println("Try '" + at.getCommandSpec().qualifiedName() + " --help'.");
        return at.getCommandSpec().exitCodeOnInvalidInput();
    }

    /** A command that could not do what it was asked. */
    static int execution(Exception error, CommandLine at, boolean stacktrace) {
        PrintWriter err = at.getErr();
        err.println(line(at, sentence(error)));
        if (stacktrace) {
            error.printStackTrace(err);
        }
        return at.getCommandSpec().exitCodeOnExecutionException();
    }

    /** A standard output that could not be written; one that nobody reads is no one's trouble. */
    static void output(IOException error, CommandLine at) {
        String reason = firstLine(error.getMessage());
        if (!reason.contains("Broken pipe")) {
            at.getErr().println(line(at, "The output can't be written: " + reason + "."));
        }
    }

    /** A command that needs more memory than there is. */
    static int memory(OutOfMemoryError error, CommandLine at) {
        at.getErr()
                .println(
                        line(
                                at,
                                "There is not enough memory (%s); give smaller inputs, or fewer at once."
                                        .formatted(firstLine(error.getMessage()))));
        return at.getCommandSpec().exitCodeOnExecutionException();
    }

    private static String sentence(Exception error) {
        String message = firstLine(error.getMessage());
        return switch (error) {
            case EspalierException ours -> allLines(ours.getMessage());
            case NoSuchFileException missing -> "No file '" + missing.getFile() + "'.";
            case FileAlreadyExistsException there -> "'" + there.getFile() + "' exists already.";
            case FileSystemException _ -> "The file system refuses: " + message;
            case IOException _ -> "Reading or writing failed: " + message;
            default ->
                    "Unexpected "
                            + error.getClass().getSimpleName()
                            + ": "
                            + message
                            + " (add --stacktrace to see where)";
        };
    }

    /** Names from files may break lines; the sentence goes on after them. */
    private static String allLines(@Nullable String message) {
        return message == null ? firstLine(null) : String.join(" ", message.lines().toList());
    }

    private static String firstLine(@Nullable String message) {
        return message == null ? "no reason given" : message.lines().findFirst().orElse("");
    }

    private static String line(CommandLine at, String sentence) {
        return at.getColorScheme().errorText("espalier: " + Printable.line(sentence)).toString();
    }
}

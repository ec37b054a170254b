package io.espalier.cli;

import io.espalier.tensor.EspalierException;

import org.jspecify.annotations.Nullable;

import picocli.CommandLine;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.UnmatchedArgumentException;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.util.Objects;

/** What a failed command says on standard error, and its exit code. */
final class Failures {
    private Failures() {}

    /** A wrong command line: what is wrong, what may have been meant, where the help is. */
    static int usage(ParameterException error, String[] args) {
        CommandLine at = error.getCommandLine();
        PrintWriter err = at.getErr();
        err.println(line(at, error.getMessage()));
        UnmatchedArgumentException.printSuggestions(error, err);
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

    private static @Nullable String sentence(Exception error) {
        return switch (error) {
            case EspalierException ours -> ours.getMessage();
            case NoSuchFileException missing -> "No file '" + missing.getFile() + "'.";
            case FileAlreadyExistsException there -> "'" + there.getFile() + "' exists already.";
            case FileSystemException file -> "'" + file.getFile() + "': " + file.getReason() + ".";
            case IOException io -> "Reading or writing failed: " + io.getMessage();
            default ->
                    "Unexpected "
                            + error.getClass().getSimpleName()
                            + ": "
                            + error.getMessage()
                            + " (add --stacktrace to see where)";
        };
    }

    private static String line(CommandLine at, @Nullable String sentence) {
        String oneLine =
                Objects.toString(sentence, "no reason given").lines().findFirst().orElse("");
        return at.getColorScheme().errorText("espalier: " + oneLine).toString();
    }
}

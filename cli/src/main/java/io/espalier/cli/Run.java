package io.espalier.cli;

import io.espalier.tensor.EspalierException;

import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;

/**
 * Runs a single-file program in a process of its own, which has this one's class path and flags.
 */
@Command(
        name = "run",
        description = "Runs a single-file Java program with Espalier on its class path.",
        footer = {"", "Example: espalier run examples/PruneLinear.java"})
final class Run implements Callable<Integer> {
    @Parameters(index = "0", paramLabel = "FILE.java", description = "The program.")
    Path file;

    @Parameters(index = "1..*", paramLabel = "ARG", description = "Its arguments.")
    List<String> args = List.of();

    /** What follows the file belongs to the program, options included. */
    @Spec
    void parseOwnOptionsOnly(CommandSpec spec) {
        spec.parser().stopAtPositional(true);
    }

    @Override
    public Integer call() throws IOException, InterruptedException {
        requireProgram();
        return new ProcessBuilder(command()).inheritIO().start().waitFor();
    }

    private void requireProgram() throws IOException {
        if (Files.isDirectory(file)) {
            throw new EspalierException(
                    "'" + file + "' is a directory; name the program in it, such as Main.java.");
        }
        if (!Files.isRegularFile(file)) {
            throw new EspalierException("No file '" + file + "' to run.");
        }
        if (!file.toString().endsWith(".java")) {
            throw new EspalierException(
                    "'" + file + "' is no program; 'run' takes Java's source, FILE.java.");
        }
        if (Files.size(file) == 0) {
            throw new EspalierException("'" + file + "' is empty; a program has a main method.");
        }
    }

    private List<String> command() {
        var command = new ArrayList<String>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.addAll(ManagementFactory.getRuntimeMXBean().getInputArguments());
        command.add("-cp");
        command.add(System.getProperty("java.class.path"));
        command.add(file.toString());
        command.addAll(args);
        return command;
    }
}

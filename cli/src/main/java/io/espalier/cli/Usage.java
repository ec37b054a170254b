package io.espalier.cli;

import io.espalier.tensor.EspalierException;

import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;

import java.util.function.Supplier;

/**
 * How a command is used. What is wrong on the command line alone, whatever files hold, ends with 2
 * and where the help is; what is found wrong in files, or in doing the work, with 1.
 */
final class Usage {
    private Usage() {}

    /** What options make; a value that the library refuses is wrong use. */
    static <T> T of(CommandSpec command, Supplier<T> made) {
        try {
            return made.get();
        } catch (EspalierException e) {
            throw new ParameterException(command.commandLine(), String.valueOf(e.getMessage()), e);
        }
    }
}

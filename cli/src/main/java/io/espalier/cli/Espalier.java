package io.espalier.cli;

import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.nio.file.Path;

/** The command {@code espalier}; each of its subcommands is a class of this package. */
@Command(
        name = "espalier",
        description = "Makes neural networks smaller and faster: pruning and quantization in Java.",
        subcommands = {
            DemoCommand.class,
            Conform.class,
            Inspect.class,
            Compare.class,
            Optimize.class,
            Quantize.class,
            SensitivityCommand.class,
            PruneCommand.class,
            Slim.class,
            Finetune.class,
            CompressCommand.class,
            Run.class,
            Completion.class
        },
        versionProvider = Version.class,
        synopsisSubcommandLabel = "COMMAND",
        footer = {"", "'espalier COMMAND --help' explains a command."})
public final class Espalier implements Runnable {
    @Spec CommandSpec spec;

    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            scope = ScopeType.INHERIT,
            description = "Show this help.")
    boolean help;

    @Option(
            names = {"-V", "--version"},
            versionHelp = true,
            description = "Show the versions of Espalier, libtorch and Java.")
    boolean version;

    @Option(
            names = "--stacktrace",
            scope = ScopeType.INHERIT,
            description = "Show where an error comes from.")
    boolean stacktrace;

    /** Runs the command line and ends the process with its exit code. */
    public static void main(String... args) {
        var out = new StandardStream(new FileOutputStream(FileDescriptor.out));
        var err = new StandardStream(new FileOutputStream(FileDescriptor.err));
        System.setOut(out.printer(System.getProperty("stdout.encoding")));
        System.setErr(err.printer(System.getProperty("stderr.encoding")));
        System.exit(execute(commandLine(), out, err, args));
    }

    /** Runs a command line; what was not written to the end is a failure, whatever it did. */
    static int execute(CommandLine line, StandardStream out, StandardStream err, String... args) {
        int code;
        try {
            code = line.execute(args);
        } catch (OutOfMemoryError e) {
            code = Failures.memory(e, line);
        }
        line.getOut().flush();
        out.failure().ifPresent(failure -> Failures.output(failure, line));
        line.getErr().flush();
        return out.failure().isPresent() || err.failure().isPresent() ? Math.max(code, 1) : code;
    }

    /** The whole command line, with Espalier's way of reporting errors. */
    static CommandLine commandLine() {
        var espalier = new Espalier();
        var line = new CommandLine(espalier);
        line.registerConverter(Path.class, Espalier::path);
        line.setUsageHelpAutoWidth(true);
        line.setCaseInsensitiveEnumValuesAllowed(true);
        line.setParameterExceptionHandler(Failures::usage);
        line.setExecutionExceptionHandler(
                (error, at, parsed) -> Failures.execution(error, at, espalier.stacktrace));
        return line;
    }

    private static Path path(String text) {
        if (text.isEmpty()) {
            throw new TypeConversionException("the path is empty");
        }
        return Path.of(text);
    }

    /** Without a command there is nothing to do. */
    @Override
    public void run() {
        throw new ParameterException(spec.commandLine(), "A command is missing.");
    }
}

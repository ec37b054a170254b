package io.espalier.cli;

import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

import java.io.PrintWriter;
import java.util.function.Consumer;
import java.util.function.Supplier;

/** What a command found, on standard output: for people, or for programs. */
final class Report {
    @Option(names = "--json", description = "Print one JSON object instead of a table.")
    boolean json;

    @Spec(Spec.Target.MIXEE)
    CommandSpec command;

    /**
     * Prints it.
     *
     * @param description what programs read, if that is asked for
     * @param table prints what people read
     */
    void print(Supplier<?> description, Consumer<PrintWriter> table) {
        PrintWriter out = command.commandLine().getOut();
        if (json) {
            out.println(Json.line(description.get()));
        } else {
            table.accept(out);
        }
        out.flush();
    }
}

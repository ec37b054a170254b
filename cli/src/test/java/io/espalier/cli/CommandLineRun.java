package io.espalier.cli;

import picocli.CommandLine;

import java.io.PrintWriter;
import java.io.StringWriter;

/** What a command line printed, and its exit code. */
record CommandLineRun(int code, String out, String err) {
    static CommandLineRun of(String... args) {
        var out = new StringWriter();
        var err = new StringWriter();
        CommandLine line = Espalier.commandLine();
        line.setOut(new PrintWriter(out));
        line.setErr(new PrintWriter(err));
        int code = line.execute(args);
        return new CommandLineRun(code, out.toString(), err.toString());
    }
}

package io.espalier.cli;

import io.espalier.conformance.Conformance;
import io.espalier.conformance.Summary;

import org.jspecify.annotations.Nullable;

import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.concurrent.Callable;

/** Runs PyTorch's reference cases. */
@Command(
        name = "conformance",
        description =
                "Runs PyTorch's reference cases: prints each failure and, last, how many passed.",
        footer = {
            "",
            "Exit code: 0 if no case failed, 1 otherwise.",
            "Example: espalier conformance conformance/vectors"
        })
final class Conform implements Callable<Integer> {
    @Parameters(
            arity = "0..1",
            paramLabel = "DIR",
            description =
                    "A directory of cases, G.json with G.safetensors for each group G; those kept"
                            + " with Espalier if it is left out.")
    @Nullable Path directory;

    @Option(names = "--json", description = "Print the last line as a JSON object.")
    boolean json;

    @Spec CommandSpec spec;

    @Override
    public Integer call() {
        PrintWriter out = spec.commandLine().getOut();
        Summary summary =
                Conformance.run(
                        directory == null ? Conformance.kept() : directory,
                        failure -> out.println(Printable.line(failure)));
        out.println(json ? Json.line(summary) : summary);
        out.flush();
        return summary.failed() == 0 ? 0 : 1;
    }
}
